"""What a transaction changes in a job's counters, taken from the rows really written, and the close
of a job. Called with the job's row locked, once a transaction."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from jobs.costs.budgets import Refusal
from jobs.engine.breakers import (
    PROBE_EVERY_S,
    Batch,
    Watch,
    latest_rows_fail,
    provider_is_down,
    runs_away,
    spends_too_fast,
)
from jobs.engine.decide import failure_rate_exceeded, finished_status
from jobs.engine.dialect import Dialect, Writer, read_time
from jobs.engine.grants import Moves, settle_grants
from jobs.engine.telling import tell_status
from jobs.models import Due, Job, JobStatus, Replay, StatusReason
from jobs.money import usd_string
from jobs.notices.of_jobs import note_status


@dataclass(slots=True)
class JobDelta:
    """Relative changes; every field is a column of `Job`."""

    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expanded: int = 0
    attempts: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    wasted_cost: int = 0
    in_doubt_cost: int = 0
    in_doubt_attempts: int = 0
    unpriced_attempts: int = 0
    estimated_attempts: int = 0
    estimated_cost: int = 0
    reserved: int = 0
    borrows: int = 0
    shared: int = 0
    reused: int = 0


_COLUMNS = [field.name for field in fields(JobDelta)]


@dataclass(frozen=True, slots=True)
class JobState:
    """The locked row, as far as transitions depend on it."""

    id: int
    status: JobStatus
    team_id: int
    dataset_id: int
    budget: int | None
    committed: int  # of the budget: spent, in doubt, reserved
    reserved: int
    budgeted: bool | None  # whether the team has budgets; None: not looked yet
    pending: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    excused_succeeded: int
    excused_failed: int
    tolerated: float
    reason: str
    cursor: int
    max_attempts: int
    max_cost_per_minute: int | None
    pilot_rows: int  # 0: no pilot, or over
    template_version_id: int
    connection_id: int
    model: str
    borrows: int
    scan_until: datetime | None  # claims wait until then
    watch: Watch


_STATE_SQL = (
    "SELECT id, status, team_id, dataset_id, budget, cost + in_doubt_cost + reserved, "
    "reserved, budgeted, pending, running, succeeded, failed, cancelled, excused_succeeded, "
    "excused_failed, tolerated_failure_rate, status_reason, cursor, max_attempts, "
    "max_cost_per_minute, pilot_rows, template_version_id, connection_id, model, borrows, "
    "CASE WHEN scan = 'first' THEN scan_until END, watch FROM jobs_job WHERE id = %s"
)


def lock_job(dialect: Dialect, cursor: CursorWrapper, job_id: int) -> JobState | None:
    """The job's row, locked until the transaction ends; None if it is gone."""
    cursor.execute(_STATE_SQL + dialect.lock(), [job_id])
    row = cursor.fetchone()
    if row is None:
        return None
    watch = orjson.loads(row[-1]) if isinstance(row[-1], str) else row[-1]
    budgeted = None if row[7] is None else bool(row[7])  # SQLite knows no truth, only numbers
    rest = (*row[2:7], budgeted, *row[8:-2], read_time(row[-2]), Watch.load(watch))
    return JobState(row[0], JobStatus(row[1]), *rest)


def unlocked_jobs(dialect: Dialect, job_ids: Collection[int]) -> list[int]:
    """Those whose rows nobody holds now. For duties that can as well be done later: one row that
    somebody forgot to let go must not keep them from all the others."""
    if not dialect.postgresql or not job_ids:
        return list(job_ids)
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        query = "SELECT id FROM jobs_job WHERE id = ANY(%s) ORDER BY id"
        cursor.execute(query, [list(job_ids)])
        held = {job_id for (job_id,) in cursor.fetchall()}
        cursor.execute(f"{query} FOR UPDATE SKIP LOCKED", [list(job_ids)])
        held -= {job_id for (job_id,) in cursor.fetchall()}
    return [job_id for job_id in job_ids if job_id not in held]


def apply_delta(
    dialect: Dialect,
    cursor: Writer,
    before: JobState,
    delta: JobDelta,
    now: datetime,
    *,
    pause: StatusReason | None = None,
    detail: str = "",
    batch: Batch | None = None,
    moves: Moves | None = None,
    refusal: Refusal | None = None,
) -> JobStatus:
    """Write the delta, and the status that follows from it; returns the status. `batch` is what calls
    came to, for the breakers; `moves` what they came to in the team's budgets.

    A pause asked for by a call's failure is heeded only while slices may claim: a terminal state, a
    cancel, or an earlier pause is never overwritten by a late write.
    """
    sets = [f"{name} = {name} + %s" for name in _COLUMNS if getattr(delta, name)]
    parameters: list[Any] = [getattr(delta, name) for name in _COLUMNS if getattr(delta, name)]
    status, reason = before.status, None
    watch, probed = before.watch, before.watch.probing
    if batch is not None:
        cost = None if before.max_cost_per_minute is None else delta.cost + delta.in_doubt_cost
        watch.note(
            batch, succeeded=delta.succeeded, failed=delta.failed, now=now.timestamp(), cost=cost
        )
    succeeded = before.succeeded + delta.succeeded
    failed = before.failed + delta.failed
    open_rows = before.pending + delta.pending + before.running + delta.running
    if not status.is_terminal and open_rows == 0 and not _replay_open(before.id):
        cancelled = before.cancelled + delta.cancelled
        status = finished_status(
            status=before.status,
            failed=failed,
            cancelled=cancelled,
            replayed=status is JobStatus.CANCELLING and _was_replayed(before.id),
        )
        reason, detail = StatusReason.NONE, ""
        sets.append("finished_at = %s")
        parameters.append(dialect.time(now))
    elif status.is_runnable and pause is not None:
        status, reason = JobStatus.PAUSED, pause
    elif status.is_runnable and (
        failing := failure_rate_exceeded(
            succeeded=succeeded - watch.kept,
            failed=failed + watch.kept,
            excused_succeeded=before.excused_succeeded,
            excused_failed=before.excused_failed,
            tolerated=before.tolerated,
        )
    ):
        status, reason = JobStatus.PAUSED, StatusReason.FAILURE_RATE
        detail = _too_many_fail(watch, failing, before.tolerated)
    elif status.is_runnable and _pilot_is_done(before, delta):
        status, reason = JobStatus.PAUSED, StatusReason.PILOT
        detail = "Look at the answers, then run the remaining rows or cancel."
    elif status.is_runnable and batch is not None:
        settled = succeeded + failed + before.cancelled + delta.cancelled
        found = _tripped(before, max(0, before.cursor - settled), now)
        if found is not None:
            status, (reason, detail) = JobStatus.PAUSED, found
    elif (
        status is JobStatus.PAUSED
        and before.reason == StatusReason.PROVIDER_DOWN
        and batch is not None
        and batch.answered
    ):
        # A call that was on its way when the job paused was answered: the provider is back.
        status, reason, detail = JobStatus.RUNNING, StatusReason.NONE, ""
    if batch is not None:
        sets.append("watch = %s")
        parameters.append(orjson.dumps(watch.dump()).decode())
        if probed and not watch.probing and status is before.status:
            sets.append("status_detail = ''")
    if status is not before.status:
        sets.append("refusal = %s")
        parameters.append(orjson.dumps(refusal.dump() if refusal else {}).decode())
        sets += ["status = %s", "status_reason = %s", "status_detail = %s", "status_at = %s"]
        parameters += [status.value, (reason or "").__str__(), detail, dialect.time(now)]
        cancelled = before.cancelled + delta.cancelled
        tell_status(
            before.id,
            status,
            reason or "",
            succeeded=succeeded,
            failed=failed,
            cancelled=cancelled,
        )
        note_status(
            before.id,
            status,
            reason=reason or "",
            detail=detail,
            episode=_episode(reason, watch, refusal, now),
            counts={"succeeded": succeeded, "failed": failed, "cancelled": cancelled},
            cost_added=delta.cost + delta.in_doubt_cost,
            now=now,
        )
    if sets:
        cursor.execute(
            f"UPDATE jobs_job SET {', '.join(sets)} WHERE id = %s",
            [*parameters, before.id],
        )
    if before.budgeted is not False:
        if moves is None and (delta.cost or delta.in_doubt_cost or delta.reserved < 0):
            raise ValueError("what was spent or freed has to move in the budgets, too")
        settle_grants(
            dialect,
            cursor,
            job_id=before.id,
            team_id=before.team_id,
            moves=moves,
            keep=status.is_runnable,
        )
    return status


def _episode(
    reason: StatusReason | None, watch: Watch, refusal: Refusal | None, now: datetime
) -> str:
    """What a pause belongs to. An outage is one thing to tell, however often a probe fails, and so is a
    limit until it is raised; any other reason until a person sets the job going again, or for a day."""
    if reason is StatusReason.PROVIDER_DOWN:
        return f"{watch.down_since:.0f}"
    if refusal is not None:
        return f"{refusal.scope}:{refusal.limit}:{refusal.resets}"
    return f"{now:%F}:{watch.since:.0f}"


def _too_many_fail(watch: Watch, failing: tuple[int, int], tolerated: float) -> str:
    """With the figures that were judged: what a person has seen and resumed over is not in them."""
    since = ""
    if watch.since:
        at = datetime.fromtimestamp(watch.since, UTC)
        since = f" since the job was {watch.since_what} on {at:%Y-%m-%d} at {at:%H:%M} UTC"
    kept = f" ({watch.kept:,} of them keep a former result)" if watch.kept else ""
    return (
        f"Of the {failing[1]:,} rows settled{since}, {failing[0]:,} failed{kept}; {tolerated:.0%} are "
        "tolerated. Look at the failures, then resume or cancel."
    )


def _tripped(state: JobState, unsettled: int, now: datetime) -> tuple[StatusReason, str] | None:
    """The breaker that stops the job now, and the sentence for people."""
    watch = state.watch
    failing = latest_rows_fail(watch.recent, state.tolerated)
    if failing is not None:
        return StatusReason.FAILURE_RATE, (
            f"Of the latest {failing[1]:,} rows {failing[0]:,} failed; {state.tolerated:.0%} are "
            "tolerated. Look at the failures, then resume or cancel."
        )
    runaway = runs_away(watch.recent, unsettled=unsettled, max_attempts=state.max_attempts)
    if runaway is not None:
        # Rows that went first lie ahead of the cursor: those of them that are not settled wait or run.
        unsettled = max(unsettled, state.running + Due.objects.filter(job_id=state.id).count())
        runaway = runs_away(watch.recent, unsettled=unsettled, max_attempts=state.max_attempts)
    if runaway is not None:
        return StatusReason.RUNAWAY, (
            f"{runaway[0]:,} calls were made for {runaway[1]:,} rows. Look at the attempts of some "
            "records, then resume or cancel."
        )
    spent = spends_too_fast(watch.spent, state.max_cost_per_minute)
    if spent is not None:
        return StatusReason.RUNAWAY, (
            f"Its calls cost {usd_string(spent)} USD within a minute; "
            f"{usd_string(state.max_cost_per_minute)} are allowed. Look at the attempts of "
            "some records, then resume or cancel."
        )
    if not provider_is_down(watch, now.timestamp()):
        return None
    watch.probe_at, watch.probing = now.timestamp() + PROBE_EVERY_S, False
    since = datetime.fromtimestamp(watch.down_since, UTC)
    return StatusReason.PROVIDER_DOWN, (
        f"Since {since:%H:%M:%S} UTC every call has failed with a provider error, a timeout or a broken "
        f"connection. One call asks every {PROBE_EVERY_S:.0f} s, and the job goes on by itself once the "
        "provider answers; no row loses an attempt meanwhile."
    )


def _pilot_is_done(before: JobState, delta: JobDelta) -> bool:
    """Whether the pilot's stage is on and nothing of it is open: nothing runs, goes back or waits."""
    still = not before.pilot_rows or before.running + delta.running or delta.pending > 0
    return not still and nothing_due(before.id)


def nothing_due(job_id: int) -> bool:
    """Whether no record waits for its time. In a pilot's stage those that could are the pilot's."""
    return not Due.objects.filter(job_id=job_id).exists()


def _replay_open(job_id: int) -> bool:
    """Whether a replay has yet to send records back to pending: the job is not finished then."""
    return Replay.objects.filter(job_id=job_id, applied_at__isnull=True).exists()


def _was_replayed(job_id: int) -> bool:
    return Replay.objects.filter(job_id=job_id, sent__gt=0).exists()


def close_if_done(dialect: Dialect, cursor: CursorWrapper, job_id: int, now: datetime) -> None:
    """Close a job that has nothing left to do; the caller holds a transaction."""
    state = lock_job(dialect, cursor, job_id)
    if state is not None:
        apply_delta(dialect, cursor, state, JobDelta(), now)


def job_of(job_id: int) -> Job | None:
    return (
        Job.objects.select_related("dataset", "template_version", "connection", "team")
        .filter(pk=job_id)
        .first()
    )
