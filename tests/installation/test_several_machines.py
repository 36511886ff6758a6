"""Web server and queue cluster as machines of their own: one database, each process started alone."""

import json
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.installation.databases import database_of_its_own
from tests.installation.installation import Installation
from tests.installation.processes import Tree, wait_until

pytestmark = pytest.mark.installation


def test_web_server_and_cluster_run_apart_on_one_database(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    with database_of_its_own("several", tmp_path) as url:
        made = Installation(tmp_path, url)
        made.environment["WORKERS"] = "1"
        made.url = f"http://127.0.0.1:{port}"
        # A release: once, before anything is started.
        made.manage("migrate")
        made.manage("collectstatic", "--noinput")
        trees = [
            Tree(
                ["manage.py", "serve", "--no-queue", "--port", port],
                made.environment,
                tmp_path / "web.log",
            )
        ]
        try:
            wait_until(lambda: _up(made), "the web server")
            status, told = made.get("/readyz")
            assert (status, json.loads(told)["queue"]) == (503, False)
            # Static files under hashed names come from the same process.
            _, page = made.get("/accounts/login/")
            (style,) = re.findall(r'href="(/static/app\.\w+\.css)"', page)
            assert made.get(style)[0] == 200

            trees.append(Tree(["manage.py", "qcluster"], made.environment, tmp_path / "queue.log"))
            wait_until(made.ready, "the cluster")
            for tree in trees:
                tree.signal(signal.SIGTERM)
            assert [tree.wait() for tree in trees] == [0, 0]
        finally:
            for tree in trees:
                if not tree.ended():
                    tree.kill()


def _up(made: Installation) -> bool:
    try:
        return made.get("/healthz")[0] == 200
    except OSError:
        return False
