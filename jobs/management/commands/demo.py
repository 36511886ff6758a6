"""The demo: loads its data once, then runs simulator, web server and queue until Ctrl-C."""

import signal
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

import orjson
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from jobs.demo.load import CONTEXT_TOKENS, FAULTS, connect_to, is_loaded, launch_live, load
from jobs.demo.people import login_lines
from jobs.demo.provider import settle
from jobs.lifeline import tied
from jobs.management.readiness import listen
from jobs.models import Job, JobStatus

READY = "simulator listening on "
LATENCY_MS = 1200


class Command(BaseCommand):
    help = "Runs the demo on this machine. Run again, it goes on where it was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--simulator-port", type=int, default=8090)

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENVIRONMENT != "demo":
            raise CommandError("This is not a demo installation: start the demo with `make demo`.")
        logins = settings.DATA_DIR / "demo-logins.json"
        loading = settings.DATA_DIR / "demo-loading"  # there until all is loaded
        # Better refused now than after the loading.
        listen("127.0.0.1", options["port"], "make demo PORT=…").close()
        listen("127.0.0.1", options["simulator_port"], "make demo SIMULATOR_PORT=…").close()
        call_command("migrate", verbosity=0)
        simulator = self._simulator(options["simulator_port"])
        url = f"http://127.0.0.1:{options['simulator_port']}"
        serve = None
        try:
            if loading.exists():
                self._say("the last start was cut short; beginning anew")
                call_command("flush", interactive=False, verbosity=0)
            if not is_loaded():
                loading.touch()
                settle(url, latency_ms=5)
                load(logins=logins, simulator_url=url, say=self._say)
                settle(url, latency_ms=LATENCY_MS)
                loading.unlink()
            connect_to(url)
            active = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING)
            if not Job.objects.filter(status__in=active).exists():
                self._say("launching a job")
                launch_live()
            connection.close()
            self._tell(options["port"], login_lines(logins))
            serve = subprocess.Popen(
                [sys.executable, sys.argv[0], "serve", "--port", str(options["port"])],
                start_new_session=True,
                env=tied() | {"PUBLIC_URL": f"http://127.0.0.1:{options['port']}"},
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: serve.terminate())
            code = serve.wait()
            if code:
                raise CommandError(f"the server ended with {code}")
        finally:
            if serve is not None and serve.poll() is None:
                serve.terminate()
                serve.wait()
            simulator.terminate()
            simulator.wait()

    def _say(self, words: str) -> None:
        self.stdout.write(f"demo: {words} …")
        self.stdout.flush()

    def _simulator(self, port: int) -> "subprocess.Popen[str]":
        faults = orjson.dumps({**FAULTS, "latency_ms": LATENCY_MS}).decode()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jobs.simulator", "--port", str(port), "--jitter", "0.5"),
                *("--context-tokens", str(CONTEXT_TOKENS), "--faults", faults),
                "--until-stdin-closes",
            ],
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        if not process.stdout.readline().startswith(READY):
            raise CommandError("The simulator could not start.")
        return process

    def _tell(self, port: int, lines: list[str]) -> None:
        self.stdout.write(
            "\n".join(
                [
                    "",
                    f"batchllm demo: http://127.0.0.1:{port}/",
                    "",
                    "  log in as  with password  who is",
                    *lines,
                    "",
                    "Ctrl-C ends everything; run it again, and it goes on where it was.",
                    "",
                ]
            )
        )
        self.stdout.flush()
