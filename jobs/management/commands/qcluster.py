"""A queue cluster: django-q2's own command, which also starts the queue for short tasks and gives a
pulse that pages and `/readyz` judge the cluster by."""

import logging
import os
import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django_q.management.commands.qcluster import Command as DjangoQCommand

from jobs import queue
from jobs.engine.pulse import Pulse
from jobs.lifeline import end_with_parent, tied

logger = logging.getLogger(__name__)


class Command(DjangoQCommand):  # type: ignore[misc]
    help = "Starts the queue cluster: slices, and beside it the queue of short tasks."
    requires_system_checks: list[str] = []  # they would load pages and API, which no worker serves

    def handle(self, *args: Any, **options: Any) -> None:
        if options["cluster_name"] or options["run_once"]:
            # The queue's configuration is fixed when it is imported, before options are read.
            raise CommandError("There is one way to start it: manage.py qcluster, without options.")
        name = os.environ.get("Q_CLUSTER_NAME") or queue.SLICES
        slices = name == queue.SLICES
        self.short: subprocess.Popen[bytes] | None = None
        cluster = queue.DrainingCluster(on_stop=self._stop_short)
        end_with_parent()
        pulse = Pulse(name, settings.WORKERS if slices else 0, cluster)
        try:
            if slices:
                queue.ring_from_new_workers()
                self._start_short()
            cluster.start()
            pulse.start()
            while cluster.sentinel.is_alive():
                cluster.sentinel.join(1)
                if self.short is not None and self.short.poll() is not None:
                    self._restart_short()
            pulse.stop()
        finally:
            self._stop_short()
            if self.short is not None:
                self.short.wait()
        if not queue.stopping.is_set():
            raise CommandError("the guard of the workers died")

    def _start_short(self) -> None:
        """The queue of short tasks, with a configuration of its own and so in another process."""
        self.short = subprocess.Popen(
            [sys.executable, sys.argv[0], "qcluster"],
            env={**tied(), "Q_CLUSTER_NAME": queue.SHORT},
        )

    def _restart_short(self) -> None:
        if not queue.stopping.is_set():
            logger.warning("the queue of short tasks ended; starting it again")
            time.sleep(1)
            self._start_short()

    def _stop_short(self) -> None:
        if self.short is not None:
            self.short.terminate()
