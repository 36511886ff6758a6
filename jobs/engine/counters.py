"""What a transaction changes in a job's counters, taken from the rows really written, and the close
of a job. Called with the job's row locked, once a transaction."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.db.backends.utils import CursorWrapper

from jobs.engine.decide import failure_rate_exceeded, finished_status
from jobs.engine.dialect import Dialect
from jobs.models import Job, JobStatus, Replay, StatusReason


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
    reserved: int = 0


_COLUMNS = [field.name for field in fields(JobDelta)]


@dataclass(frozen=True, slots=True)
class JobState:
    """The locked row, as far as transitions depend on it."""

    id: int
    status: JobStatus
    pending: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    excused_succeeded: int
    excused_failed: int
    tolerated: float


_STATE_SQL = (
    "SELECT id, status, pending, running, succeeded, failed, cancelled, excused_succeeded, "
    "excused_failed, tolerated_failure_rate FROM jobs_job WHERE id = %s"
)


def lock_job(dialect: Dialect, cursor: CursorWrapper, job_id: int) -> JobState | None:
    """The job's row, locked until the transaction ends; None if it is gone."""
    cursor.execute(_STATE_SQL + dialect.lock(), [job_id])
    row = cursor.fetchone()
    return JobState(row[0], JobStatus(row[1]), *row[2:]) if row else None


def apply_delta(
    dialect: Dialect,
    cursor: CursorWrapper,
    before: JobState,
    delta: JobDelta,
    now: datetime,
    *,
    pause: StatusReason | None = None,
    detail: str = "",
) -> JobStatus:
    """Write the delta, and the status that follows from it; returns the status.

    A pause asked for by a call's failure is heeded only while slices may claim: a terminal state, a
    cancel, or an earlier pause is never overwritten by a late write.
    """
    sets = [f"{name} = {name} + %s" for name in _COLUMNS if getattr(delta, name)]
    parameters: list[Any] = [getattr(delta, name) for name in _COLUMNS if getattr(delta, name)]
    status, reason = before.status, None
    succeeded = before.succeeded + delta.succeeded
    failed = before.failed + delta.failed
    open_rows = before.pending + delta.pending + before.running + delta.running
    if not status.is_terminal and open_rows == 0 and not _replay_open(before.id):
        cancelled = before.cancelled + delta.cancelled
        status = finished_status(status=before.status, failed=failed, cancelled=cancelled)
        reason, detail = StatusReason.NONE, ""
        sets.append("finished_at = %s")
        parameters.append(dialect.time(now))
    elif status.is_runnable and pause is not None:
        status, reason = JobStatus.PAUSED, pause
    elif status.is_runnable and failure_rate_exceeded(
        succeeded=succeeded,
        failed=failed,
        excused_succeeded=before.excused_succeeded,
        excused_failed=before.excused_failed,
        tolerated=before.tolerated,
    ):
        status, reason = JobStatus.PAUSED, StatusReason.FAILURE_RATE
        detail = (
            f"{failed:,} of {failed + succeeded:,} settled rows failed; "
            f"{before.tolerated:.0%} are tolerated. Look at the failures, then resume or cancel."
        )
    if status is not before.status:
        sets += ["status = %s", "status_reason = %s", "status_detail = %s", "status_at = %s"]
        parameters += [status.value, (reason or "").__str__(), detail, dialect.time(now)]
    if sets:
        cursor.execute(
            f"UPDATE jobs_job SET {', '.join(sets)} WHERE id = %s",
            [*parameters, before.id],
        )
    return status


def _replay_open(job_id: int) -> bool:
    """Whether a replay has yet to send records back to pending: the job is not finished then."""
    return Replay.objects.filter(job_id=job_id, applied_at__isnull=True).exists()


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
