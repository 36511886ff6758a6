"""Replays are applied in the background: failed records go back to pending, chunk by chunk."""

from datetime import datetime
from typing import Any

from django.db import transaction

from jobs.engine.counters import JobDelta, apply_delta, lock_job
from jobs.engine.dialect import Dialect
from jobs.engine.writing import put_due
from jobs.models import DueReason, JobStatus, Replay

REPLAY_CHUNK = 2_000


def replay_chunk(dialect: Dialect, replay_id: int, now: datetime) -> bool:
    """Send the next failed records of a replay back to pending; returns whether there may be more.

    A record is sent once by a replay, also if it fails again while later chunks are applied. Each
    chunk is one transaction under the job's lock: doubled or lost messages change nothing.
    """
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        replay = Replay.objects.get(pk=replay_id)
        state = lock_job(dialect, cursor, replay.job_id)
        replay.refresh_from_db()
        if replay.applied_at is not None or state is None:
            return False
        numbers: list[int] = []
        if state.status is not JobStatus.CANCELLING:
            conditions, parameters = _filter(dialect, replay)
            cursor.execute(
                "SELECT n FROM jobs_record WHERE job_id = %s AND n > %s AND status = 3 "
                "AND failure_class IS NOT NULL "
                f"AND (replay_id IS NULL OR replay_id <> %s) {conditions} ORDER BY n LIMIT %s",
                [replay.job_id, replay.applied_to, replay.id, *parameters, REPLAY_CHUNK],
            )
            numbers = [n for (n,) in cursor.fetchall()]
        if numbers:
            dialect.update_rows(
                cursor,
                "jobs_record",
                [("job_id", "bigint"), ("n", "int")],
                [("replay_id", "bigint")],
                [(replay.id, replay.job_id, n) for n in numbers],
                assignments=(
                    "status = 0", "failure_class = NULL", "fingerprint = NULL", "message = NULL",
                    "finished_at = NULL", "tries = 0", "deaths = 0", "generation = generation + 1",
                ),
            )  # fmt: skip
            put_due(
                dialect,
                cursor,
                [(replay.job_id, n, dialect.time(now), DueReason.REPLAY.value) for n in numbers],
            )
            replay.applied_to = numbers[-1]
            replay.sent += len(numbers)
        done = len(numbers) < REPLAY_CHUNK
        if done:
            replay.applied_at = now
        replay.save(update_fields=["applied_to", "sent", "applied_at"])
        # What failed before and is sent again counts no longer as excused.
        cursor.execute(
            "UPDATE jobs_job SET excused_failed = CASE WHEN excused_failed > %s "
            "THEN excused_failed - %s ELSE 0 END WHERE id = %s",
            [len(numbers), len(numbers), replay.job_id],
        )
        apply_delta(
            dialect, cursor, state, JobDelta(pending=len(numbers), failed=-len(numbers)), now
        )
        return not done


def _filter(dialect: Dialect, replay: Replay) -> tuple[str, list[Any]]:
    """The replay's filter as conditions; its keys are an allow-list."""
    conditions = ""
    parameters: list[Any] = []
    chosen = replay.filter
    if chosen.get("failure_class"):
        conditions += " AND failure_class = %s"
        parameters.append(chosen["failure_class"])
    if chosen.get("fingerprint"):
        conditions += " AND fingerprint = %s"
        parameters.append(chosen["fingerprint"])
    if chosen.get("rows") is not None:
        condition, values = dialect.in_list("n", chosen["rows"] or [0])
        conditions += f" AND {condition}"
        parameters += values
    return conditions, parameters
