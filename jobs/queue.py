"""The doorbell. The one module that knows django-q2.

A message says only "there may be work": lost, doubled, late or out of order it changes nothing but
latency, because the tables are the truth and every task begins by asking them. Messages carry ints
and strings only (django-q2 signs pickles: what is in them would be code).
"""

from collections.abc import Mapping
from datetime import datetime
from multiprocessing import Event
from multiprocessing.synchronize import Event as EventType
from typing import Any

from django.conf import settings
from django.utils import timezone
from django_q.cluster import Cluster
from django_q.models import OrmQ
from django_q.tasks import async_task

from jobs.models import Worker

SLICES = "batchllm"
SHORT = "short"
RUN_SLICE = "jobs.engine.tasks.run_slice"

# Set when this machine's cluster is told to stop. django-q2 only puts a pill into the queue, which a
# worker in the middle of a slice would see minutes later; forked workers share this event instead.
stopping: EventType = Event()


def enqueue(task: str, *args: int | str) -> None:
    """Have `task` (dotted path) run soon by a worker for short tasks; joins the transaction."""
    async_task(task, *args, cluster=SHORT)


def ring() -> None:
    """Say that slices may find work. Joins the transaction; cheap when it was already said.

    A message per worker at most lies unread, so that a thousand launches ring no thousand times.
    """
    unread = OrmQ.objects.filter(key=SLICES, lock__lte=timezone.now()).count()
    if unread < settings.WORKERS:
        async_task(RUN_SLICE, cluster=SLICES)


def depth() -> Mapping[str, Any]:
    """Unread and taken messages by queue, for the workers page."""
    now = timezone.now()
    return {
        key: {
            "unread": OrmQ.objects.filter(key=key, lock__lte=now).count(),
            "taken": OrmQ.objects.filter(key=key, lock__gt=now).count(),
        }
        for key in (SLICES, SHORT)
    }


def oldest_unread(before: datetime) -> bool:
    """Whether a slice's doorbell has lain unread since `before` although a worker is free.

    With all workers busy a doorbell waits by rights: a slice lives for minutes.
    """
    live = Worker.objects.filter(kind="slice", seen_at__gt=before).count()
    unread = OrmQ.objects.filter(key=SLICES, lock__lte=before)
    return bool(live < settings.WORKERS and unread.exists())


class DrainingCluster(Cluster):  # type: ignore[misc]
    """django-q2's cluster, which tells running slices to drain before it waits for them."""

    def stop(self) -> bool:
        stopping.set()
        return bool(super().stop())
