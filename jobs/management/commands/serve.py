"""Web server and queue clusters in one process tree, for one machine; one signal ends them all.

With `--no-queue` it is the web server alone, for one machine of several.
"""

import logging
import os
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from datetime import timedelta
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from jobs import queue
from jobs.lifeline import end_with_parent
from jobs.management.children import Child
from jobs.management.readiness import listen, prepare

logger = logging.getLogger(__name__)

# A doorbell that nobody took for so long: the cluster is wedged, and is started anew.
STALLED = timedelta(seconds=25)
CHECK_EVERY_S = 5.0
STOP_AFTER_S = 40.0


class Command(BaseCommand):
    help = "Serve the web pages and run the queue, for one machine. Ctrl-C ends all of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="0: one that is free")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--workers", type=int, help="slices at a time; default: WORKERS")
        parser.add_argument(
            "--no-queue",
            action="store_true",
            help="the web server alone: the queue runs elsewhere (qcluster), and whoever releases "
            "has run `migrate` and `collectstatic`",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        web = [
            *(sys.executable, "-m", "gunicorn", "batchllm.wsgi:application"),
            *("--config", "python:batchllm.web_server"),
        ]
        if options["no_queue"]:
            bind = f"{options['host']}:{options['port']}"
            os.execv(sys.executable, [*web, "--bind", bind])  # noqa: S606  no shell is wanted
        self.stopping = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        end_with_parent()
        self.workers = max(1, options["workers"] or settings.WORKERS)
        # Held here for as long as this lives: while the web server is started anew, callers wait.
        listener = listen(options["host"], options["port"])
        prepare(self.stderr.write)
        if not self.stopping:
            self._run(web, listener)

    def _run(self, web: list[str], listener: socket.socket) -> None:
        environment = {**os.environ, "WORKERS": str(self.workers)}
        cluster = [sys.executable, sys.argv[0], "qcluster"]
        fd = listener.fileno()
        self.web = Child("web", [*web, "--bind", f"fd://{fd}"], environment, fds=[fd])
        self.queue = Child("queue", cluster, environment, fds=[])
        host, port = listener.getsockname()[:2]
        self.stdout.write(f"batchllm is at http://{f'[{host}]' if ':' in host else host}:{port}/")
        self.stdout.flush()
        self._watch()
        listener.close()
        self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _watch(self) -> None:
        """Start anew what died or stalled, until told to stop."""
        checked = time.monotonic()
        while not self.stopping:
            time.sleep(0.2)
            for child in (self.web, self.queue):
                said = child.tend()
                if said:
                    logger.warning(said)
            if time.monotonic() - checked > CHECK_EVERY_S:
                checked = time.monotonic()
                if self.queue.age() > STALLED.total_seconds() and self._stalled():
                    logger.error("nobody takes the queue's messages; starting the queue again")
                    self.queue.kill()

    def _stalled(self) -> bool:
        try:
            return queue.stalled(timezone.now() - STALLED, self.workers)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("database away", extra={"error": error})
            return False
        finally:
            connection.close()

    def _end(self) -> None:
        deadline = time.monotonic() + STOP_AFTER_S
        children = (self.web, self.queue)
        for child in children:
            child.terminate()
        for child in children:
            if not child.wait(deadline - time.monotonic()):
                logger.warning(f"{child.name} did not end in time and is killed")
            child.kill()
