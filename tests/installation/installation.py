"""A real installation: `manage.py serve` on a database and folder of its own, driven from outside."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from jobs.models import Job, Worker
from tests.environment import TEST_DB
from tests.installation.processes import ROOT, Tree, clean_environment, wait_until

LEASE_S = 6
AT = "batchllm is at "


class Installation:
    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database_url = database_url
        self.environment = clean_environment(
            DATA_DIR=str(folder),
            DATABASE_URL=database_url,
            SECRET_KEY="test-" + "k" * 60,
            FIELD_ENCRYPTION_KEYS="dGVzdC1vbmx5LWtleS10ZXN0LW9ubHkta2V5LTEyMzQ=",
            HTTPS="0",
            ALLOW_PRIVATE_ADDRESSES="1",
            LEASE_SECONDS=str(LEASE_S),
            LOG_FORMAT="json",
            ACCESS_LOG="1",
        )
        self.tree: Tree | None = None
        self.url = ""
        self.token = ""

    # --- processes --------------------------------------------------------------------------
    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self) -> Tree:
        """Returns once it says that it is ready."""
        self.tree = tree = Tree(
            ["manage.py", "serve", "--port", "0", "--workers", "2"],
            self.environment,
            self.folder / "words.log",
        )
        wait_until(lambda: AT in tree.words() or tree.ended(), "its address")
        assert AT in tree.words(), tree.words()
        self.url = tree.words().split(AT)[1].split()[0].rstrip("/")
        wait_until(self.ready, "readiness")
        return tree

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    @property
    def running(self) -> Tree:
        assert self.tree is not None, "never started"
        return self.tree

    def stop(self) -> None:
        if self.tree is not None and not self.tree.ended():
            self.tree.kill()

    # --- the REST API -----------------------------------------------------------------------
    def get(self, path: str, **headers: str) -> tuple[int, str]:
        return _ask(urllib.request.Request(self.url + path, headers=headers))

    def api(self, path: str, body: Any = None, **files: bytes) -> Any:
        """GET, or POST where there is something to say. Raises what is no success."""
        headers = {"Authorization": f"Bearer {self.token}"}
        data = None
        if files:
            mark = uuid.uuid4().hex
            headers["Content-Type"] = f"multipart/form-data; boundary={mark}"
            data = b"".join(
                f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; '
                f'filename="{name}.jsonl"\r\n\r\n'.encode()
                + content
                + b"\r\n"
                for name, content in files.items()
            )
            data += f"--{mark}--\r\n".encode()
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers)
        status, text = _ask(request)
        assert status < 300, (status, text)
        return json.loads(text)

    def set_up(self, simulator_url: str, rows: Sequence[Mapping[str, Any]], model: str) -> None:
        """A team's data, template, connection and price, made as a program makes them."""
        self.token = self.manage(
            *("create_api_token", "--create"),
            *("--user", "alice", "--team", "Support", "--role", "admin"),
        )
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        self.dataset = self.api("/datasets", file=lines)["id"]
        self.template = self.api(
            "/templates",
            {
                "name": "Sort",
                "system": "Sort.",
                "user": "{{ text }}",
                "output_schema": {
                    "type": "object",
                    "properties": {"label": {"type": "string"}, "score": {"type": "integer"}},
                    "required": ["label", "score"],
                    "additionalProperties": False,
                },
            },
        )["id"]
        self.connection = self.api(
            "/connections",
            {
                "name": "Simulator",
                "kind": "simulator",
                "base_url": simulator_url,
                "api_key": "sk-test-key",
                "limits": {"max_in_flight": 60},
            },
        )["id"]
        price = {"model": model, "input": "0.15", "output": "0.60"}
        self.api("/prices", {**price, "effective_from": "2020-01-01T00:00:00Z"})
        self.model = model
        wait_until(lambda: self.api(f"/datasets/{self.dataset}")["status"] == "ready", "the ingest")

    def launch(self, rows: int, **parameters: float) -> Job:
        """Launched by the API; returned as the tables have it."""
        made = self.api(
            "/jobs",
            {
                "dataset": self.dataset,
                "template": self.template,
                "connection": self.connection,
                "model": self.model,
                "rows": {"limit": rows},
                "parameters": {"max_tokens": 200, **parameters},
            },
        )
        return Job.objects.get(public_id=made["id"])

    def log_in(self, name: str) -> str:
        """The cookie of somebody logged in."""
        client = Client()
        client.force_login(User.objects.get(username=name))
        return f"sessionid={client.cookies['sessionid'].value}"

    # --- its workers ------------------------------------------------------------------------
    def busy_workers(self) -> list[Worker]:
        """Slices of this tree that have calls in flight, those with most of them first."""
        pids = {process.pid for process in self.running.processes()}
        slices = Worker.objects.filter(kind="slice", in_flight__gt=0, pid__in=pids)
        return list(slices.order_by("-in_flight"))

    def kill_a_worker(self) -> int:
        """-9 to one that has calls in flight; returns how many it was seen to have."""
        worker = wait_until(self.busy_workers, "a worker with calls in flight")[0]
        psutil.Process(worker.pid).send_signal(signal.SIGKILL)
        return worker.in_flight

    def freeze_a_worker(self, job: Job) -> Worker:
        """SIGSTOP to one with calls in flight, while it holds no lock of the database."""
        while True:
            worker = wait_until(self.busy_workers, "a worker with calls in flight")[0]
            process = psutil.Process(worker.pid)
            process.suspend()
            if _unlocked(job):
                return worker
            process.resume()
            time.sleep(0.05)

    def wake(self, worker: Worker) -> None:
        psutil.Process(worker.pid).resume()

    def is_idle(self) -> bool:
        """Whether the cluster is complete and no slice runs: all its workers wait for a message."""
        pids = {process.pid for process in self.running.processes()}
        slices = Worker.objects.filter(kind="slice", pid__in=pids)
        return len(self.pool()) == 4 and not slices.exists()

    def pool(self) -> list[psutil.Process]:
        """What the sentinel of the slices' cluster guards: workers, pusher, monitor."""
        cluster = Worker.objects.get(
            kind="cluster", detail__workers=2, seen_at__gt=timezone.now() - _FRESH
        )
        (sentinel,) = (
            child
            for child in psutil.Process(cluster.pid).children()
            if "Q_CLUSTER_NAME" not in child.environ()
        )
        return sentinel.children()


_FRESH = timedelta(seconds=10)


def _unlocked(job: Job) -> bool:
    """Whether others can write: no transaction stands open that was begun before now."""
    if TEST_DB == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (now,) = cursor.fetchone()
            until = time.monotonic() + 2
            while time.monotonic() < until:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid() AND xact_start <= %s",
                    [now],
                )
                if cursor.fetchone() == (0,):
                    return True
        return False
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 2000")
        try:
            cursor.execute("UPDATE jobs_job SET name = name WHERE id = %s", [job.pk])
        except DatabaseError:
            return False
        finally:
            cursor.execute("PRAGMA busy_timeout = 30000")
    return True


def _ask(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
