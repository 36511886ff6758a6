"""The pulse of a queue cluster: a heartbeat row, and the reconciler's own trigger.

It runs in the cluster's parent process, beside the queue and not in it, so that recovery does not wait
behind what it mends.
"""

import logging
import threading
from typing import Protocol

from django.db import DatabaseError, InterfaceError, connection

from jobs import queue
from jobs.engine.reconcile import sweep_if_due
from jobs.engine.store import Store
from jobs.engine.workers import register_worker
from jobs.models import Worker

logger = logging.getLogger(__name__)

EVERY_S = 3.0


class Guarded(Protocol):
    """What is known of a cluster: its sentinel, which keeps the workers alive."""

    sentinel: "Process"


class Process(Protocol):
    def is_alive(self) -> bool: ...


class Pulse:
    """`workers` is the number of slices this cluster can run; 0 for the queue of short tasks."""

    def __init__(self, name: str, workers: int, cluster: Guarded) -> None:
        self.name = name
        self.workers = workers
        self.cluster = cluster
        self._stop = threading.Event()

    def run(self) -> None:
        """Until `stop`: say every few seconds that the cluster lives, and sweep."""
        store, worker = Store(), ""
        while not self._stop.is_set():
            try:
                store.sync_clock()
                alive = self.cluster.sentinel.is_alive() and not queue.stopping.is_set()
                if alive and not worker:
                    worker = register_worker("cluster", store)
                if alive:
                    Worker.objects.filter(pk=worker).update(
                        seen_at=store.clock.now(),
                        detail={"queue": self.name, "workers": self.workers},
                    )
                if alive and self.workers:
                    sweep_if_due(store)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("pulse: %s", error)
                connection.close()
            self._stop.wait(EVERY_S)
        if worker:
            Worker.objects.filter(pk=worker).delete()
        connection.close()

    def stop(self) -> None:
        self._stop.set()
