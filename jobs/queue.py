"""The doorbell. The one module that knows django-q2.

A message says only "there may be work": lost, doubled, late or out of order it changes nothing but
latency, because the tables are the truth and every task begins by asking them. Messages carry ints
and strings only (django-q2 signs pickles: what is in them would be code).
"""

import fcntl
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from multiprocessing import parent_process
from multiprocessing.sharedctypes import RawValue
from multiprocessing.util import register_after_fork
from typing import Any

import django_q.cluster
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Count, Min
from django.utils import timezone
from django_q.models import OrmQ
from django_q.queues import Queue
from django_q.signals import post_execute_in_worker, post_spawn, pre_execute
from django_q.tasks import async_task

from jobs.lifeline import when_orphaned
from jobs.models import Worker

logger = logging.getLogger(__name__)

SLICES = "batchllm"
SHORT = "short"
RUN_SLICE = "jobs.engine.tasks.run_slice"
# A cluster that has said nothing for so long counts no more.
CLUSTER_SILENT = timedelta(seconds=30)
# What an orphaned worker may take to put down what it holds.
ORPHAN_GRACE_S = 30.0


class Flag:
    """Shared with the processes forked later. It has no lock: one that is killed leaves none locked."""

    def __init__(self) -> None:
        self._value = RawValue("b", 0)

    def set(self) -> None:
        self._value.value = 1

    def is_set(self) -> bool:
        return bool(self._value.value)


# Set when this machine's cluster is told to stop. django-q2 only puts a pill into the queue, which a
# worker in the middle of a slice would see minutes later.
stopping = Flag()


def task[**P](work: Callable[P, None]) -> Callable[P, None]:
    """A function that messages name. What it raises is told here: django-q2 keeps it as a text, in
    which the words of an exception, which may quote a row, cannot be told from the rest."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except Exception:
            logger.exception("task failed", extra={"task": work.__name__})
            raise

    return run


def enqueue(task: str, *args: int | str) -> None:
    """Have `task` (dotted path) run soon by a worker for short tasks; joins the transaction."""
    async_task(task, *args, cluster=SHORT)


def ring() -> None:
    """Say that slices may find work. Joins the transaction; cheap when it was already said.

    A message per worker at most lies unread, so that a thousand launches ring no thousand times.
    """
    unread = OrmQ.objects.filter(key=SLICES, lock__lte=timezone.now()).count()
    if unread < capacity():
        async_task(RUN_SLICE, cluster=SLICES)


def capacity() -> int:
    """Slices that can run at a time, on all machines; this machine's where no cluster is seen."""
    clusters = Worker.objects.filter(kind="cluster", seen_at__gt=timezone.now() - CLUSTER_SILENT)
    found: int = sum(
        detail.get("workers", 0) for detail in clusters.values_list("detail", flat=True)
    )
    return found or settings.WORKERS


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages of one queue, and for how many seconds the oldest of the unread ones has waited."""

    unread: int
    taken: int
    age: float


def depth() -> dict[str, Depth]:
    now = timezone.now()
    found = {}
    for key in (SLICES, SHORT):
        # A message is put there unlocked, and locked into the future while somebody has it.
        unread = OrmQ.objects.filter(key=key, lock__lte=now)
        told = unread.aggregate(unread=Count("pk"), oldest=Min("lock"))
        age = (now - told["oldest"]).total_seconds() if told["oldest"] else 0.0
        taken = OrmQ.objects.filter(key=key, lock__gt=now).count()
        found[key] = Depth(told["unread"], taken, round(age, 1))
    return found


def stalled(since: datetime, workers: int) -> bool:
    """Whether a message has lain unread since then although a worker of this machine is free.

    With all workers busy a doorbell waits by rights: a slice lives for minutes. Short tasks may take
    that long too, so that nothing can be said of their queue.
    """
    busy = Worker.objects.filter(kind="slice", host=socket.gethostname(), seen_at__gt=since).count()
    unread = OrmQ.objects.filter(key=SLICES, lock__lte=since)
    return busy < workers and unread.exists()


class DrainingCluster(django_q.cluster.Cluster):  # type: ignore[misc]
    """django-q2's cluster, which tells running slices to drain before it waits for them, and whose
    processes neither outlive it nor lock each other out when they are killed."""

    def __init__(self, on_stop: Callable[[], None]) -> None:
        super().__init__()
        self.on_stop = on_stop
        register_after_fork(self, DrainingCluster._forked)
        pre_execute.connect(_begin, weak=False)
        post_execute_in_worker.connect(_end, weak=False)

    def stop(self) -> bool:
        stopping.set()
        self.on_stop()
        if self.sentinel is None:
            raise SystemExit(0)  # told to stop before it began
        return bool(super().stop())

    def _forked(self) -> None:
        parent = parent_process()
        when_orphaned(_end_orphan, parent.pid if parent else None)


def ring_from_new_workers() -> None:
    """Have each worker ring when it starts: one that takes a dead one's place finds the work at once,
    and not when the dead one's heartbeat has become old."""
    post_spawn.connect(_announce, weak=False)


def _announce(**_: Any) -> None:
    try:
        ring()
    except (DatabaseError, InterfaceError):
        connection.close()  # the reconciler will ring


_at_work = threading.Event()


def _begin(**_: Any) -> None:
    _at_work.set()


def _end(**_: Any) -> None:
    _at_work.clear()


def _end_orphan() -> None:
    """The guard of this process was killed: a task may put down what it holds, no more follow."""
    stopping.set()
    until = time.monotonic() + ORPHAN_GRACE_S
    while _at_work.is_set() and time.monotonic() < until:
        time.sleep(0.1)
    os._exit(1)


class _ReadLock:
    """A lock that the system takes back from a process that is killed."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the lock

    def __enter__(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)


class TaskQueue(Queue):  # type: ignore[misc]
    """Of the idle workers of a cluster one waits for a message holding the queue's lock, the others
    wait for the lock. With a semaphore for a lock, to kill that one wedges the cluster for good."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rlock = _ReadLock()


django_q.cluster.Queue = TaskQueue
