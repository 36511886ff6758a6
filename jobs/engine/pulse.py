"""The pulse of a queue cluster: a heartbeat row, and the reconciler's own trigger.

It runs in the cluster's parent process, beside the queue and not in it, so that recovery does not wait
behind what it mends.
"""

import logging
import threading
from typing import Protocol

from django.db import DatabaseError, InterfaceError, connection

from jobs import queue
from jobs.engine.claiming import LEASE
from jobs.engine.reconcile import sweep_if_due
from jobs.engine.store import Store
from jobs.engine.workers import register_worker
from jobs.models import Worker
from jobs.postgresql import wait_at_most

logger = logging.getLogger(__name__)

# Several times in what counts as an outage (`jobs.engine.reconcile`).
EVERY_S = min(3.0, LEASE.total_seconds() / 7)


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
        self._worker = ""
        self._stop = threading.Event()
        self._away = False
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Say no more that the cluster lives, and take back that it did."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        wait_at_most(LEASE.total_seconds())
        store = Store()
        while not self._stop.is_set():
            try:
                self._beat(store)
                self._away = False
            except (DatabaseError, InterfaceError) as error:
                if not self._away:  # said once
                    logger.warning("pulse missed", extra={"error": error})
                self._away = True
                connection.close()
            except Exception:
                # A fault of ours; without a pulse the cluster would count as dead.
                logger.exception("pulse failed")
                connection.close()
            self._stop.wait(EVERY_S)
        try:
            Worker.objects.filter(pk=self._worker).delete()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("cluster could not sign off", extra={"error": error})
        connection.close()

    def _beat(self, store: Store) -> None:
        if queue.stopping.is_set() or not self.cluster.sentinel.is_alive():
            return
        store.sync_clock()
        if not self._worker:
            self._worker = register_worker("cluster", store)
        known = Worker.objects.filter(pk=self._worker).update(
            seen_at=store.clock.now(), detail={"queue": self.name, "workers": self.workers}
        )
        if not known:
            self._worker = ""  # taken for dead, after a sleep of a day
        if self.workers:
            sweep_if_due(store)
