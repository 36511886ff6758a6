"""Replays are applied in the background: their records go back to pending, chunk by chunk.

A record that succeeded keeps its result meanwhile (`Record.kept_from`), and for good if the replay
brings none; it is sent where the replay's filter says so, never otherwise.
"""

from datetime import datetime
from typing import Any

from django.db import transaction

from jobs.engine.counters import JobDelta, apply_delta, lock_job
from jobs.engine.dialect import Dialect
from jobs.engine.writing import put_due
from jobs.models import DueReason, JobStatus, RecordStatus, Replay

REPLAY_CHUNK = 2_000
_FAILED = "status = 3 AND failure_class IS NOT NULL"  # names the partial index
# What a replay's filter may say of the records it sends; an allow-list.
_STATUSES = {"failed": _FAILED, "succeeded": "status = 2", "all": "status IN (2, 3)"}
# With its first call ahead, as far as tries and deaths go; what it was before stays in the ledger.
_ANEW = (
    "status = 0", "message = NULL", "tries = 0", "deaths = 0", "generation = generation + 1",
)  # fmt: skip


def replay_chunk(dialect: Dialect, replay_id: int, now: datetime) -> bool:
    """Send the next records of a replay back to pending; returns whether there may be more.

    A record is sent once by a replay, also if it fails again while later chunks are applied; and of
    those that succeeded no more than were counted when it was asked for: others are none of it. Each
    chunk is one transaction under the job's lock: doubled or lost messages change nothing.
    """
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        replay = Replay.objects.get(pk=replay_id)
        state = lock_job(dialect, cursor, replay.job_id)
        replay.refresh_from_db()
        if replay.applied_at is not None or state is None:
            return False
        found: list[tuple[int, int]] = []
        wanted, limit = _STATUSES[replay.filter.get("status", "failed")], REPLAY_CHUNK
        if wanted is not _FAILED:
            limit = max(0, min(limit, replay.asked - replay.sent))
        if state.status is not JobStatus.CANCELLING:
            conditions, parameters = _filter(dialect, replay)
            cursor.execute(
                "SELECT n, status FROM jobs_record WHERE job_id = %s AND n > %s "
                f"AND {wanted} AND (replay_id IS NULL OR replay_id <> %s) {conditions} "
                "ORDER BY n LIMIT %s",
                [replay.job_id, replay.applied_to, replay.id, *parameters, limit],
            )
            found = cursor.fetchall()
        succeeded = [n for n, status in found if status == RecordStatus.SUCCEEDED]
        failed = [n for n, status in found if status == RecordStatus.FAILED]
        if succeeded:
            condition, values = dialect.in_list("n", succeeded)
            cursor.execute(
                "UPDATE jobs_record SET kept_from = COALESCE(kept_from, replay_id, 0), "
                f"replay_id = %s, {', '.join(_ANEW)} WHERE job_id = %s AND {condition}",
                [replay.id, replay.job_id, *values],
            )
        if failed:
            dialect.update_rows(
                cursor,
                "jobs_record",
                [("job_id", "bigint"), ("n", "int")],
                [("replay_id", "bigint")],
                [(replay.id, replay.job_id, n) for n in failed],
                assignments=(
                    "failure_class = NULL",
                    "fingerprint = NULL",
                    "finished_at = NULL",
                    *_ANEW,
                ),
            )
        if found:
            put_due(
                dialect,
                cursor,
                [(replay.job_id, n, dialect.time(now), DueReason.REPLAY.value) for n, _ in found],
            )
            replay.applied_to = found[-1][0]
            replay.sent += len(found)
        done = len(found) < REPLAY_CHUNK
        if done:
            replay.applied_at = now
        replay.save(update_fields=["applied_to", "sent", "applied_at"])
        # What ended before and is sent again counts no longer as excused.
        cursor.execute(
            "UPDATE jobs_job SET excused_failed = CASE WHEN excused_failed > %s "
            "THEN excused_failed - %s ELSE 0 END, excused_succeeded = CASE WHEN "
            "excused_succeeded > %s THEN excused_succeeded - %s ELSE 0 END WHERE id = %s",
            [*[len(failed)] * 2, *[len(succeeded)] * 2, replay.job_id],
        )
        delta = JobDelta(pending=len(found), failed=-len(failed), succeeded=-len(succeeded))
        apply_delta(dialect, cursor, state, delta, now)
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
