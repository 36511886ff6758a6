"""A job's records come into being by chunks, in the background and as claims need them.

Each chunk is one short transaction under the job's lock, so that any number of processes may expand
the same job; it moves `Job.expanded` on. `pending` counted the records from the launch on.
"""

from datetime import datetime
from typing import Any

import orjson
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from jobs.datasets.selection import selected_rows
from jobs.engine.counters import JobDelta, JobState, apply_delta, lock_job
from jobs.engine.dialect import Dialect
from jobs.models import JobStatus, RecordStatus

EXPAND_CHUNK = 10_000
_REPLAY_CANCELLED = "The replay was cancelled."


def expand_locked(
    dialect: Dialect,
    cursor: CursorWrapper,
    job_id: int,
    status: RecordStatus,
    at_most: int = EXPAND_CHUNK,
) -> int:
    """Make the next chunk of records, in `status`; the caller holds the job's lock.

    Returns how many were made; 0 when all are there.
    """
    cursor.execute(
        "SELECT j.expanded, j.total, j.selection, d.id, d.rows FROM jobs_job j "
        "JOIN jobs_dataset d ON d.id = j.dataset_id WHERE j.id = %s",
        [job_id],
    )
    expanded, total, selection, dataset_id, dataset_rows = cursor.fetchone()
    if expanded >= total:
        return 0
    numbers = selected_rows(
        _as_dict(selection), dataset_rows, expanded, min(total, expanded + at_most)
    )
    if isinstance(numbers, range):
        cursor.execute(
            "INSERT INTO jobs_record (job_id, n, status, calls, tries, deaths, reserved, "
            "generation, cost) SELECT %s, n, %s, 0, 0, 0, 0, 0, 0 FROM jobs_datasetrow "
            "WHERE dataset_id = %s AND n BETWEEN %s AND %s",
            [job_id, int(status), dataset_id, numbers.start, numbers.stop - 1],
        )
    else:
        dialect.insert_rows(
            cursor,
            "jobs_record",
            [
                (name, "bigint")
                for name in (
                    *("job_id", "n", "status", "calls", "tries", "deaths", "reserved"),
                    *("generation", "cost"),
                )
            ],
            [(job_id, n, int(status), 0, 0, 0, 0, 0, 0) for n in numbers],
        )
    return len(numbers)


def _as_dict(column: Any) -> dict[str, Any]:
    """A JSON column as a plain cursor returns it: text in SQLite, perhaps text in PostgreSQL."""
    found: dict[str, Any] = orjson.loads(column) if isinstance(column, str) else column
    return found


def expand_chunk(dialect: Dialect, job_id: int) -> int:
    """One chunk in a transaction of its own; 0 when nothing is left or the job takes no more."""
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        state = lock_job(dialect, cursor, job_id)
        if state is None or state.status.is_terminal or state.status is JobStatus.CANCELLING:
            return 0
        made = expand_locked(dialect, cursor, job_id, RecordStatus.PENDING)
        if made:
            cursor.execute(
                "UPDATE jobs_job SET expanded = expanded + %s WHERE id = %s", [made, job_id]
            )
        return made


def cancel_chunk(dialect: Dialect, job_id: int, now: datetime) -> bool:
    """Cancel the next pending records of a job that is being cancelled, or close it.

    Returns whether there may be more to do. Records in flight are left to end.
    """
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        state = lock_job(dialect, cursor, job_id)
        if state is None or state.status is not JobStatus.CANCELLING:
            return False
        made = expand_locked(dialect, cursor, job_id, RecordStatus.CANCELLED)
        delta = JobDelta(expanded=made, pending=-made, cancelled=made)
        if not made:
            cancelled, kept = _cancel_pending(dialect, cursor, state)
            delta = JobDelta(pending=-cancelled - kept, cancelled=cancelled, succeeded=kept)
        apply_delta(dialect, cursor, state, delta, now)
        return bool(delta.pending)


def _cancel_pending(dialect: Dialect, cursor: CursorWrapper, state: JobState) -> tuple[int, int]:
    """Cancel up to a chunk of existing pending records: those behind the cursor by way of `Due`,
    then those ahead of it by key; what neither finds is found by walking the whole key once.

    Returns how many were cancelled, and how many keep the result they had before their replay.
    """
    found: list[tuple[int, bool]] = []
    for source in (
        "SELECT d.n, r.output IS NOT NULL FROM jobs_due d "
        "JOIN jobs_record r ON r.job_id = d.job_id AND r.n = d.n "
        "WHERE d.job_id = %s AND r.status = 0 ORDER BY d.n LIMIT %s",
        "SELECT r.n, r.output IS NOT NULL FROM jobs_record r JOIN jobs_job j ON j.id = r.job_id "
        "WHERE r.job_id = %s AND r.n > j.cursor AND r.status = 0 ORDER BY r.n LIMIT %s",
        "SELECT n, output IS NOT NULL FROM jobs_record WHERE job_id = %s AND status = 0 "
        "ORDER BY n LIMIT %s",
    ):
        if state.pending and not found:
            cursor.execute(source, [state.id, EXPAND_CHUNK])
            found = cursor.fetchall()
    if found:
        dialect.update_rows(
            cursor,
            "jobs_record",
            [("job_id", "bigint"), ("n", "int")],
            [("status", "smallint"), ("message", "text")],
            [
                (int(RecordStatus.SUCCEEDED), _REPLAY_CANCELLED, state.id, n)
                if stands
                else (int(RecordStatus.CANCELLED), None, state.id, n)
                for n, stands in found
            ],
        )
        cursor.execute(
            "DELETE FROM jobs_due WHERE job_id = %s AND n BETWEEN %s AND %s",
            [state.id, found[0][0], found[-1][0]],
        )
    kept = sum(1 for _, stands in found if stands)
    return len(found) - kept, kept
