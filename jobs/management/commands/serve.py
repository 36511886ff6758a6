"""Web server and queue clusters in one process tree, for one machine; one signal ends them all."""

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from datetime import timedelta
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.utils import timezone

from jobs import queue

# A doorbell that nobody took for so long: the cluster is wedged (a worker killed while it held the
# queue's lock leaves the others waiting for ever), and is started anew.
STALLED = timedelta(seconds=45)
CHECK_EVERY_S = 5.0
STOP_AFTER_S = 40.0
WEB_THREADS = 16


class Command(BaseCommand):
    help = "Serve the web pages and run the queue, for one machine. Ctrl-C ends all of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--workers", type=int, help="slices at a time; default: WORKERS")

    def handle(self, *args: Any, **options: Any) -> None:
        workers = options["workers"] or settings.WORKERS
        self.environment = {**os.environ, "WORKERS": str(workers)}
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        connection.close()
        self.stopping = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        web = [
            *(sys.executable, "-m", "gunicorn", "batchllm.wsgi:application"),
            *("--bind", f"{options['host']}:{options['port']}"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", str(WEB_THREADS)),
            # A thread lost to a slow upload is no reason to kill the process and its other requests.
            *("--timeout", "0", "--graceful-timeout", "10", "--log-level", "warning"),
        ]
        cluster = [sys.executable, sys.argv[0], "qcluster"]
        self.commands = {"web": web, "queue": cluster}
        self.running = {name: self._start(name) for name in self.commands}
        self.stdout.write(f"batchllm is at http://{options['host']}:{options['port']}/")
        self.stdout.flush()
        self._watch()
        self._end()

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        # A session of its own: Ctrl-C reaches this process alone, which ends the others in order.
        return subprocess.Popen(self.commands[name], env=self.environment, start_new_session=True)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _watch(self) -> None:
        """Start anew what died or stalled, until told to stop."""
        checked = time.monotonic()
        while not self.stopping:
            time.sleep(0.2)
            for name, process in self.running.items():
                if process.poll() is not None and not self.stopping:
                    self.stderr.write(f"{name} ended with {process.returncode}; starting it again")
                    self._kill_group(process)
                    time.sleep(1)
                    self.running[name] = self._start(name)
            if time.monotonic() - checked > CHECK_EVERY_S:
                checked = time.monotonic()
                if self._stalled():
                    self.stderr.write("nobody takes the queue's messages; starting it again")
                    self._kill_group(self.running["queue"])
                    self.running["queue"].wait()

    def _stalled(self) -> bool:
        try:
            return queue.oldest_unread(timezone.now() - STALLED)
        except DatabaseError as error:
            self.stderr.write(f"database: {error}")
            return False
        finally:
            connection.close()

    @staticmethod
    def _kill_group(process: "subprocess.Popen[bytes]") -> None:
        """Whatever is left of a process's group: orphaned workers must not linger."""
        with suppress(ProcessLookupError):  # nothing is left
            os.killpg(process.pid, signal.SIGKILL)

    def _end(self) -> None:
        for process in self.running.values():
            process.terminate()
        deadline = time.monotonic() + STOP_AFTER_S
        for process in self.running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.stderr.write("something did not end in time and is killed")
            self._kill_group(process)
