"""The demo as a visitor starts it: one command, and Ctrl-C."""

import http.cookiejar
import re
import signal
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import Job, Team
from tests.installation.databases import database_of_its_own, looking_into
from tests.installation.processes import Tree, clean_environment, wait_until
from tests.installation.reckoning import settled

pytestmark = pytest.mark.installation


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Demo:
    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database_url = database_url
        self.ports = (free_port(), free_port())
        self.url = f"http://127.0.0.1:{self.ports[0]}"
        self.trees: list[Tree] = []

    def start(self) -> Tree:
        tree = Tree(
            [
                *("-m", "batchllm.demo", "--port", str(self.ports[0])),
                *("--simulator-port", str(self.ports[1])),
            ],
            clean_environment(DATA_DIR=str(self.folder), DATABASE_URL=self.database_url),
            self.folder / "words.log",
        )
        self.trees.append(tree)
        return tree

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def log_in(self, name: str, password: str) -> str:
        """The page behind the log-in."""
        jar = http.cookiejar.CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        with browser.open(f"{self.url}/") as answer:
            at, page = answer.url, answer.read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token is not None
        form = {"csrfmiddlewaretoken": token[1], "username": name, "password": password}
        with browser.open(at, urllib.parse.urlencode(form).encode()) as answer:
            return str(answer.read().decode())


@pytest.fixture
def demo(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Demo]:
    with database_of_its_own("demo", tmp_path) as url:
        made = Demo(tmp_path, url)
        try:
            with django_db_blocker.unblock(), looking_into(url):
                yield made
        finally:
            for tree in made.trees:
                if not tree.ended():
                    tree.kill()


@pytest.mark.parametrize(("place", "option"), [(0, "PORT"), (1, "SIMULATOR_PORT")])
def test_it_says_which_port_is_taken_and_nothing_else(demo: Demo, place: int, option: str) -> None:
    with socket.create_server(("127.0.0.1", demo.ports[place])):
        tree = demo.start()
        assert tree.wait() == 1
    assert tree.words().strip() == (
        f"CommandError: Cannot listen on 127.0.0.1:{demo.ports[place]}: Address already in use. Does "
        f"something run there already? Choose another port: make demo {option}=…"
    )


def test_it_shows_itself_ends_on_one_signal_and_goes_on_where_it_was(demo: Demo) -> None:
    # A first start that is killed while it loads leaves half a demo; the next one begins anew.
    tree = demo.start()
    wait_until(lambda: "support tickets" in tree.words() or tree.ended(), "half a demo")
    tree.kill()

    tree = demo.start()
    wait_until(lambda: "Ctrl-C ends" in tree.words() or tree.ended(), "its address")
    assert f"{demo.url}/" in tree.words()
    logins = dict(re.findall(r"^  (\w+) +(\S+) +(?:operator|admin|team)", tree.words(), re.M))
    assert set(logins) == {"olivia", "leo", "ada", "sam"}
    wait_until(demo.answers, "readiness")
    assert "Support tickets" in demo.log_in("olivia", logins["olivia"])
    assert Team.objects.count() == 2
    live = Job.objects.latest("pk")
    wait_until(lambda: settled(live) > 0, "the live job's first rows")

    tree.signal(signal.SIGINT)
    assert tree.wait() == 0
    done = settled(live)
    assert live.running == 0

    tree = demo.start()
    wait_until(lambda: settled(live) > done, "the live job's next rows")
    assert Job.objects.latest("pk") == live
    assert "loading" not in tree.words()
    assert demo.log_in("ada", logins["ada"])
    tree.signal(signal.SIGKILL)
    tree.wait()  # the rest notices and ends
