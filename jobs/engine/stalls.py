"""Jobs that stand still though they have work and workers live: found, mended where that is possible,
and else said.

No job may come to this; what leads there are faults of ours and hands in the database. Whoever waits by
rights has not stalled: for calls in flight, for a rate limit, for due times, for its turn on a lane
where others get on.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from jobs import queue
from jobs.engine.breakers import Watch
from jobs.engine.claiming import LEASE
from jobs.engine.counters import lock_job, unlocked_jobs
from jobs.engine.expanding import EXPAND_CHUNK
from jobs.engine.reclaiming import give_back
from jobs.engine.store import Store
from jobs.models import (
    Due,
    DueReason,
    Job,
    JobStatus,
    Lease,
    LimitState,
    Record,
    RecordStatus,
    Worker,
)
from jobs.notices.of_jobs import note_stall

logger = logging.getLogger(__name__)

STILL = timedelta(minutes=2)
_AT_WORK = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING)


def progress_of(job: Job) -> datetime:
    """When it last got on: a call was settled, or somebody set it going."""
    settled = datetime.fromtimestamp(Watch.load(job.watch).settled_at, UTC)
    return max(at for at in (settled, job.created_at, job.started_at, job.status_at) if at)


def stalled_since(job: Job) -> datetime | None:
    """As the reconciler found it."""
    return progress_of(job) if Watch.load(job.watch).stalled_at else None


def mend_stalls(store: Store) -> None:
    now = store.clock.now()
    slices = Worker.objects.filter(kind="slice", seen_at__gt=now - LEASE)
    details = list(slices.values_list("detail", flat=True))
    if not details:
        return  # nobody is at work: doorbells are rung, and the pages say it
    for job in _open_jobs():
        stalled = not _is_awaited(job, details) and _stands_still(job, now)
        if stalled and not unlocked_jobs(store.dialect, [job.pk]):
            continue  # somebody is at it, or forgot to let go of it
        if stalled and _mend(store, job, now):
            continue
        watch = Watch.load(job.watch)
        if stalled and not watch.stalled_at:
            since = progress_of(job).isoformat()
            logger.error("job stands still", extra={"job": job.pk, "since": since})
            queue.ring()
        if stalled is not bool(watch.stalled_at):
            _say(store, job, now if stalled else None)


def _open_jobs() -> Iterator[Job]:
    jobs = Job.objects.filter(status__in=_AT_WORK).filter(Q(pending__gt=0) | Q(running__gt=0))
    return jobs.iterator()


def _is_awaited(job: Job, details: Sequence[dict[str, Any]]) -> bool:
    """Whether slices tell of calls in flight, or of tokens that it waits for."""
    lane = f"{job.connection_id}:{job.model}"
    return any(
        str(job.pk) in detail.get("jobs", {})
        or detail.get("limits", {}).get(lane, {}).get("tokens_short", False)
        for detail in details
    )


def _stands_still(job: Job, now: datetime) -> bool:
    if now - progress_of(job) < STILL:
        return False
    # Of all the team's connections: a replay may use another.
    if LimitState.objects.filter(connection__team=job.team_id, cooldown_until__gt=now).exists():
        return False
    same_lane = Job.objects.filter(connection_id=job.connection_id, model=job.model)
    others = same_lane.filter(status__in=_AT_WORK).exclude(pk=job.pk)
    if any(now - progress_of(other) < STILL for other in others):
        return False  # its turn comes
    waiting = Due.objects.filter(job=job, not_before__gt=now).count()
    return waiting < job.pending or job.running > 0


def _mend(store: Store, job: Job, now: datetime) -> int:
    """Put back what no worker can find: records held under a lease that is gone, and pending ones
    behind the cursor without a due time. Returns how many there were."""
    found = _orphans(store, job, now) + _undue(store, job, now)
    if found:
        told = {"job": job.pk, "count": found}
        logger.warning("job stood still: records were out of reach", extra=told)
        queue.ring()
    return found


def _orphans(store: Store, job: Job, now: datetime) -> int:
    """They may have been called for: in doubt, and nobody's fault."""
    lost = (
        Record.objects.filter(job_id=job.pk, status=RecordStatus.RUNNING)
        .exclude(Exists(Lease.objects.filter(token=OuterRef("lease"))))
        .values_list("lease", "n")[:EXPAND_CHUNK]
    )
    by_lease: dict[str, list[int]] = {}
    for token, n in lost:
        by_lease.setdefault(token or "", []).append(n)
    for token, numbers in by_lease.items():
        give_back(store.dialect, token, job.pk, numbers, set(numbers), now)
    return sum(map(len, by_lease.values()))


def _undue(store: Store, job: Job, now: datetime) -> int:
    if not job.state.is_runnable:
        return 0  # a cancel finds them by itself
    with transaction.atomic(), connection.cursor() as cursor:
        lock_job(store.dialect, cursor, job.pk)
        cursor.execute(
            "INSERT INTO jobs_due (job_id, n, not_before, reason) "
            "SELECT r.job_id, r.n, %s, %s FROM jobs_record r JOIN jobs_job j ON j.id = r.job_id "
            "WHERE r.job_id = %s AND r.status = 0 AND r.n <= j.cursor AND NOT EXISTS "
            "(SELECT 1 FROM jobs_due d WHERE d.job_id = r.job_id AND d.n = r.n) "
            "ORDER BY r.n LIMIT %s ON CONFLICT (job_id, n) DO NOTHING",
            [store.dialect.time(now), DueReason.RETURNED.value, job.pk, EXPAND_CHUNK],
        )
        return int(cursor.rowcount)


def _say(store: Store, job: Job, at: datetime | None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        state = lock_job(store.dialect, cursor, job.pk)
        if state is not None:
            state.watch.stalled_at = at.timestamp() if at else 0.0
            Job.objects.filter(pk=job.pk).update(watch=state.watch.dump())
            if at:
                note_stall(job.pk, progress_of(job), at)
