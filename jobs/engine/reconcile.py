"""The reconciler: small duties that keep the tables true to each other, each safe to do twice.

It is no task of the queue it mends: slices run it between heartbeats, and each cluster's parent process
runs it with its pulse. One process at a time does it, by compare-and-swap on its `Errand`.

A lease says that its owner is dead once it was silent for so long. That holds only while owners can
speak: after an outage of the database, a lock on all of it, or a jump of its clock, all would look dead,
and every call on its way would be paid for twice. But then nobody looked at leases either. So a look
that comes long after the one before begins all leases anew: owners that live renew theirs, the others'
run out.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from jobs import queue
from jobs.costs.reporting import reports_due
from jobs.costs.tasks import REPORT
from jobs.datasets.leftovers import remove_leftovers
from jobs.engine.breakers import PROBE_EVERY_S, Watch
from jobs.engine.checking import unchecked
from jobs.engine.claiming import LEASE
from jobs.engine.counters import close_if_done, lock_job, unlocked_jobs
from jobs.engine.expanding import EXPAND_CHUNK, cancel_chunk
from jobs.engine.pilots import conclude_pilots
from jobs.engine.reclaiming import begin_leases_anew, reclaim_expired
from jobs.engine.replaying import replay_chunk
from jobs.engine.resuming import give_back_idle, resume_within_budgets
from jobs.engine.revaluing import revalue_chunk
from jobs.engine.stalls import mend_stalls
from jobs.engine.store import Store
from jobs.engine.twins import forget_hints, look_again
from jobs.models import (
    Budget,
    Dataset,
    DatasetStatus,
    Due,
    DueReason,
    Errand,
    IdempotencyKey,
    Job,
    JobStatus,
    LimitState,
    Notice,
    Record,
    RecordStatus,
    Replay,
    Revaluation,
    StatusReason,
    Throughput,
    Worker,
)
from jobs.notices.spread import spread_notices

logger = logging.getLogger(__name__)

SWEEP_EVERY = timedelta(seconds=2)
# A sweep that takes longer than this has died, or takes its time: another process may begin, since
# two at once do no harm.
SWEEP_AT_MOST = timedelta(seconds=10)
# Without a sweep for so long there was an outage. Shorter ones leave an owner, who renews its leases
# seven times in their length, the time to come back.
OUTAGE = LEASE / 2
PRUNE_EVERY = timedelta(hours=1)
CHECK_EVERY = timedelta(seconds=60)
NOTICES_KEPT = timedelta(days=90)
BUDGETS_EVERY = timedelta(minutes=1)
# An ingest that says nothing for so long has died with its worker.
INGEST_SILENT = timedelta(seconds=60)
CHUNKS_A_SWEEP = 20
_OPEN = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.CANCELLING)


def sweep_if_due(store: Store) -> bool:
    """Do the duties unless somebody else does, or did moments ago. Returns whether it did."""
    # Apart, so that a sweep that takes its time is not taken for an outage.
    _errand("leases", SWEEP_EVERY, store.clock.now, partial(_look_after_leases, store))
    return _errand("sweep", SWEEP_EVERY, store.clock.now, lambda last: _do_duties(store))


def _errand(
    name: str,
    every: timedelta,
    clock: Callable[[], datetime],
    duty: Callable[[datetime | None], bool],
) -> bool:
    """The duty is told when it was last done, and says whether it is done now."""
    now = clock()
    last = Errand.objects.get_or_create(name=name)[0].done_at
    mine = (
        Errand.objects.filter(name=name, done_at=last)
        # What lies in the future was written before the clock was put back.
        .filter(Q(done_at__isnull=True) | Q(done_at__lte=now - every) | Q(done_at__gt=now + every))
        .filter(Q(until__isnull=True) | Q(until__lte=now) | Q(until__gt=now + 2 * SWEEP_AT_MOST))
        .update(until=now + SWEEP_AT_MOST)
    )
    if not mine:
        return False  # somebody else is at it, or it was done moments ago
    done = {}
    try:
        began = clock()  # after the write above, which may have waited for an outage's end
        if duty(last):
            done = {"done_at": began}
    finally:
        Errand.objects.filter(name=name).update(until=None, **done)
    return True


def sweep(store: Store) -> None:
    """All duties, whenever they were done before."""
    _look_after_leases(store, None)
    _do_duties(store)


def _look_after_leases(store: Store, last: datetime | None) -> bool:
    try:
        _reclaim(store, last)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("no lease was looked at", extra={"error": error})
        store.disconnect()
        return False
    except Exception:
        logger.exception("duty failed", extra={"duty": "_reclaim"})
        store.disconnect()
    return True


def _do_duties(store: Store) -> bool:
    for duty in (
        _cancel,
        _apply_replays,
        look_again,
        _apply_revaluations,
        _close,
        _put_back_due,
        _resume_ingests,
        _probe,
        conclude_pilots,
        _heed_budgets,
        _ring,
        mend_stalls,
        _check_books,
        _report_months,
        _tell,
        forget_hints,
        _prune,
    ):
        try:
            duty(store)
        except Exception:
            # Also after a fault of ours the others are worth doing, and so is what the caller does
            # besides; this one has its next chance in seconds.
            logger.exception("duty failed", extra={"duty": duty.__name__})
            store.disconnect()
    return True


def _reclaim(store: Store, last: datetime | None) -> None:
    now = store.clock.now()
    if last is not None and not -SWEEP_EVERY < now - last < OUTAGE:
        logger.warning("no sweep for long: all leases begin anew", extra={"since": last})
        begin_leases_anew(store.dialect, last, now)
        if last > now:
            _forget_times(now)
    moved = reclaim_expired(store.dialect, now)
    if moved:
        logger.warning("took records back from silent workers", extra={"count": moved})


def _forget_times(now: datetime) -> None:
    """The clock was put back: what waits for a time that was set before waits no longer, and what slices
    were granted until then is free. The pace that a provider bears is found anew."""
    with transaction.atomic():
        Due.objects.filter(not_before__gt=now).update(not_before=now)
        LimitState.objects.update(state={}, cooldown_until=None)


def _cancel(store: Store) -> None:
    cancelling = Job.objects.filter(status=JobStatus.CANCELLING).values_list("id", flat=True)
    for job_id in unlocked_jobs(store.dialect, cancelling):
        for _ in range(CHUNKS_A_SWEEP):
            if not cancel_chunk(store.dialect, job_id, store.clock.now()):
                break


def _apply_replays(store: Store) -> None:
    replays = dict(Replay.objects.filter(applied_at__isnull=True).values_list("id", "job_id"))
    free = set(unlocked_jobs(store.dialect, replays.values()))
    for replay_id in (replay_id for replay_id, job_id in replays.items() if job_id in free):
        for _ in range(CHUNKS_A_SWEEP):
            if not replay_chunk(store.dialect, replay_id, store.clock.now()):
                break


def _apply_revaluations(store: Store) -> None:
    unfinished = Revaluation.objects.filter(finished_at__isnull=True)
    jobs = dict(unfinished.values_list("id", "job_id"))
    free = set(unlocked_jobs(store.dialect, jobs.values()))
    for revaluation_id in (one for one, job_id in jobs.items() if job_id in free):
        # Few: the task that does it is on its way, or was lost.
        revalue_chunk(store.dialect, revaluation_id, store.clock.now())


def _close(store: Store) -> None:
    done = Job.objects.filter(status__in=_OPEN, pending=0, running=0)
    for job_id in unlocked_jobs(store.dialect, done.values_list("id", flat=True)):
        with transaction.atomic(), connection.cursor() as cursor:
            close_if_done(store.dialect, cursor, job_id, store.clock.now())


def _put_back_due(store: Store) -> None:
    """Pending records that no claim can find: behind the cursor, and without a `Due` row.

    They are looked for only where nothing else is to be claimed. The cursor stays: moved back, it would
    meet again what waits behind it by rights.
    """
    waiting = Job.objects.filter(
        status__in=(JobStatus.QUEUED, JobStatus.RUNNING),
        pending__gt=0,
        running=0,
        expanded=F("total"),
        cursor__gt=0,
    ).exclude(Exists(Due.objects.filter(job_id=OuterRef("pk"))))
    cursors = dict(waiting.values_list("id", "cursor"))
    for job_id in unlocked_jobs(store.dialect, cursors):
        walked_to = cursors[job_id]
        ahead = Record.objects.filter(job_id=job_id, status=RecordStatus.PENDING, n__gt=walked_to)
        if ahead.exists():
            continue
        with transaction.atomic(), connection.cursor() as cursor:
            lock_job(store.dialect, cursor, job_id)
            cursor.execute(
                "INSERT INTO jobs_due (job_id, n, not_before, reason) "
                "SELECT r.job_id, r.n, %s, %s FROM jobs_record r JOIN jobs_job j ON j.id = r.job_id "
                "WHERE r.job_id = %s AND r.status = 0 AND r.n <= j.cursor ORDER BY r.n LIMIT %s "
                "ON CONFLICT (job_id, n) DO NOTHING",
                [
                    store.dialect.time(store.clock.now()),
                    DueReason.RETURNED.value,
                    job_id,
                    EXPAND_CHUNK,
                ],
            )
            if cursor.rowcount:
                told = {"job": job_id, "count": cursor.rowcount}
                logger.warning("due times were gone", extra=told)


def _resume_ingests(store: Store) -> None:
    silent = Dataset.objects.filter(status=DatasetStatus.INGESTING).filter(
        Q(ingest_seen_at__lt=store.clock.now() - INGEST_SILENT)
        | Q(ingest_seen_at__isnull=True, created_at__lt=store.clock.now() - INGEST_SILENT)
    )
    for dataset in silent:
        # Said to be seen now, so that the next sweep does not ring once more; the token is taken from
        # who held it, or the doorbell would find the dataset in hands that look alive.
        if Dataset.objects.filter(pk=dataset.pk, ingest_seen_at=dataset.ingest_seen_at).update(
            ingest_seen_at=store.clock.now(), ingest_token=""
        ):
            queue.enqueue("jobs.datasets.tasks.ingest", dataset.pk)


def _probe(store: Store) -> None:
    """Let one call ask whether a provider that was down is back."""
    now = store.clock.now()
    down = Job.objects.filter(status=JobStatus.PAUSED, status_reason=StatusReason.PROVIDER_DOWN)
    for job in down.filter(pk__in=unlocked_jobs(store.dialect, down.values_list("id", flat=True))):
        watch = Watch.load(job.watch)
        if now.timestamp() < watch.probe_at <= now.timestamp() + PROBE_EVERY_S:
            continue  # not yet; later than that it was set before the clock was put back
        watch.probing = True
        # Of a person and this, who is first.
        down.filter(pk=job.pk, status_at=job.status_at).update(
            status=JobStatus.RUNNING,
            status_reason="",
            status_detail="One call asks whether the provider is back.",
            status_at=now,
            watch=watch.dump(),
        )


def _heed_budgets(store: Store) -> None:
    """What is held of budgets without need goes back; jobs that they stopped go on if they now can."""
    now = store.clock.now()
    give_back_idle(store.dialect, now)
    resume_within_budgets(store.dialect, now)


def _ring(store: Store) -> None:
    """A doorbell for runnable jobs that no live slice looks after."""
    if store.runnable_jobs() and store.live_slices() == 0:
        queue.ring()


def _tell(store: Store) -> None:
    """Notices on their way to people and programs; and the budgets, which nobody else looks at for
    warnings."""
    spread_notices(store.clock.now())

    def ask(last: datetime | None) -> bool:
        if Budget.objects.exclude(warn_at=None, stop_at=None).exists():
            # Once an hour also at where the month leads to, which takes months of history.
            looking_ahead = last is None or last.hour != store.clock.now().hour
            queue.enqueue("jobs.notices.tasks.look_at_budgets", int(looking_ahead))
        return True

    _errand("budgets", BUDGETS_EVERY, store.clock.now, ask)


def _check_books(store: Store) -> None:
    """Jobs that have ended are checked in the background, some at a time."""

    def ask(last: datetime | None) -> bool:
        if unchecked().exists():
            queue.enqueue("jobs.engine.tasks.check_books")
        return True

    _errand("books", CHECK_EVERY, store.clock.now, ask)


def _report_months(store: Store) -> None:
    """Monthly reports are written in the background; whether any is due is looked at each hour."""

    def ask(last: datetime | None) -> bool:
        if reports_due(timezone.now()):
            queue.enqueue(REPORT)
        return True

    _errand("reports", PRUNE_EVERY, store.clock.now, ask)


def _prune(store: Store) -> None:
    def prune(last: datetime | None) -> bool:
        now = timezone.now()
        Worker.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()
        Notice.objects.filter(created_at__lt=now - NOTICES_KEPT).delete()
        Throughput.objects.filter(at__lt=now - timedelta(days=2)).delete()
        IdempotencyKey.objects.filter(created_at__lt=now - timedelta(days=1)).delete()
        remove_leftovers()
        if settings.ANSWERS_DAYS:
            queue.enqueue("jobs.engine.tasks.forget")
        return True

    _errand("prune", PRUNE_EVERY, store.clock.now, prune)
