"""A queue cluster: django-q2's own command, which also starts the queue for short tasks and gives a
pulse that pages and `/readyz` judge the cluster by."""

import os
import subprocess
import sys
import threading
from typing import Any

from django.conf import settings
from django_q.management.commands.qcluster import Command as DjangoQCommand

from jobs import queue
from jobs.engine.pulse import Pulse


class Command(DjangoQCommand):  # type: ignore[misc]
    help = "Starts the queue cluster: slices, and beside it the queue of short tasks."

    def handle(self, *args: Any, **options: Any) -> None:
        name = options.get("cluster_name") or os.environ.get("Q_CLUSTER_NAME")
        short = None
        if not name and not options.get("run_once"):
            # The queue's configuration is fixed when it is imported: another queue is another process.
            short = subprocess.Popen(
                [sys.executable, sys.argv[0], "qcluster"],
                env={**os.environ, "Q_CLUSTER_NAME": queue.SHORT},
            )
        cluster = queue.DrainingCluster()
        cluster.start()
        if options.get("run_once"):
            cluster.stop()
            return
        pulse = Pulse(name or queue.SLICES, settings.WORKERS if not name else 0, cluster)
        threading.Thread(target=pulse.run, name="pulse", daemon=True).start()
        cluster.sentinel.join()
        pulse.stop()
        if short is not None:
            short.terminate()
            short.wait()
