"""Settling: results, attempts, counters, roll-ups and reservations of a batch of calls, all in one
transaction per job.

The fence: a record is written only while it still holds the lease token of the claim that made the
call. What comes in after the lease was lost is booked as a late duplicate, never as a result.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from jobs.engine.breakers import TROUBLE, Batch, Watch
from jobs.engine.counters import JobDelta, apply_delta, lock_job
from jobs.engine.dialect import Dialect
from jobs.engine.records import AttemptLine, Settlement
from jobs.failures import FailureClass
from jobs.models import AttemptOutcome, DueReason, JobStatus, RecordStatus

THROUGHPUT_S = 10

_RECORD_COLUMNS = [
    ("status", "smallint"),
    ("tries", "smallint"),
    ("failure_class", "text"),
    ("fingerprint", "text"),
    ("message", "text"),
    ("output", "text"),
    ("model", "text"),
    ("cost", "bigint"),
    ("finished_at", "timestamptz"),
]
_ATTEMPT_COLUMNS = [
    ("job_id", "bigint"),
    ("n", "int"),
    ("number", "int"),
    ("outcome", "text"),
    ("purpose", "text"),
    ("generation", "smallint"),
    ("replay_id", "bigint"),
    ("template_version_id", "bigint"),
    ("connection_id", "bigint"),
    ("model", "text"),
    ("model_returned", "text"),
    ("worker", "text"),
    ("started_at", "timestamptz"),
    ("waited_ms", "int"),
    ("took_ms", "int"),
    ("http_status", "smallint"),
    ("provider_request_id", "text"),
    ("failure_class", "text"),
    ("message", "text"),
    ("retry_after_ms", "int"),
    ("input_tokens", "int"),
    ("cached_input_tokens", "int"),
    ("cache_write_tokens", "int"),
    ("output_tokens", "int"),
    ("reasoning_tokens", "int"),
    ("usage_estimated", "boolean"),
    ("usage", "text"),
    ("price_id", "bigint"),
    ("cost", "bigint"),
    ("request", "text"),
    ("answer", "text"),
]
_ROLLUP_KEYS = (
    "job_id", "template_version_id", "connection_id", "model", "day", "team_id",
)  # fmt: skip
_ROLLUP_SUMS = (
    "calls", "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "cost",
    "wasted_cost", "in_doubt_cost", "in_doubt_calls", "unpriced_calls", "estimated_calls",
    "accepted",
)  # fmt: skip


def settle(
    dialect: Dialect,
    *,
    job_id: int,
    worker: str,
    settlements: Sequence[Settlement],
    leases_done: Sequence[str],
    now: datetime,
    detail: str = "",
) -> JobStatus | None:
    """Write a batch of one job; returns the job's status thereafter, None if the job is gone.

    Safe to repeat after a commit whose answer was lost: the records no longer hold the lease, their
    attempts are already there, and nothing is counted twice.
    """
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        state = lock_job(dialect, cursor, job_id)
        if state is None:
            return None
        held = _held(dialect, cursor, job_id, settlements)
        current = [s for s in settlements if held.get(s.n) == s.lease]
        late = [s for s in settlements if held.get(s.n) != s.lease and s.attempt is not None]
        delta = JobDelta()
        book = Book(job_id, now)
        batch = _batch(current)
        if batch.answered == 0 and state.watch.trouble_is_the_providers:
            for settlement in current:
                _excuse(settlement, state.watch, now)
        if current:
            _write_records(dialect, cursor, job_id, current, now)
            _write_due(dialect, cursor, job_id, current, now)
            write_attempts(dialect, cursor, worker, current)
            for settlement in current:
                _count(delta, settlement)
                book.add(settlement, settlement.attempt)
        for settlement in late:
            _settle_late(dialect, cursor, worker, settlement, delta, book)
        if leases_done:
            condition, parameters = dialect.in_list("token", list(leases_done))
            cursor.execute(f"DELETE FROM jobs_lease WHERE {condition}", parameters)
        book.write(dialect, cursor)
        pause = next((s.pause for s in current if s.pause is not None), None)
        if pause is not None and not detail:
            detail = next(s.message for s in current if s.pause is not None)
        return apply_delta(
            dialect, cursor, state, delta, now, pause=pause, detail=detail, batch=batch
        )


def _batch(settlements: Sequence[Settlement]) -> Batch:
    batch = Batch()
    for s in settlements:
        if s.attempt is not None:
            batch.add(FailureClass(s.failure_class) if s.failure_class else None)
    return batch


def _excuse(settlement: Settlement, watch: Watch, now: datetime) -> None:
    """A row that met a provider in trouble goes back to pending and loses no attempt."""
    if settlement.failure_class in TROUBLE:
        settlement.status, settlement.uses_try = RecordStatus.PENDING, False
        settlement.due = DueReason.RETRY
        seconds = watch.back_off(settlement.n, now.timestamp())
        settlement.not_before = now + timedelta(seconds=seconds)


def _held(
    dialect: Dialect, cursor: CursorWrapper, job_id: int, settlements: Sequence[Settlement]
) -> dict[int, str]:
    condition, parameters = dialect.in_list("n", [s.n for s in settlements])
    cursor.execute(
        f"SELECT n, lease FROM jobs_record WHERE job_id = %s AND {condition} "
        "AND status = 1" + dialect.lock(),
        [job_id, *parameters],
    )
    return dict(cursor.fetchall())


def _write_records(
    dialect: Dialect,
    cursor: CursorWrapper,
    job_id: int,
    settlements: Sequence[Settlement],
    now: datetime,
) -> None:
    moment = dialect.time(now)
    rows = []
    for s in settlements:
        failed = s.status is RecordStatus.FAILED
        final = failed or s.status is RecordStatus.SUCCEEDED
        rows.append(
            (
                int(s.status),
                1 if s.uses_try else 0,
                s.failure_class if failed else None,
                s.fingerprint if failed else None,
                s.message if failed else None,
                s.output if s.status is RecordStatus.SUCCEEDED else None,
                s.model or None,
                (s.attempt.cost or 0) if s.attempt and not in_doubt(s.attempt) else 0,
                moment if final else None,
                job_id,
                s.n,
            )
        )
    _update_records(dialect, cursor, rows)


def _update_records(dialect: Dialect, cursor: CursorWrapper, rows: list[tuple[Any, ...]]) -> None:
    """`tries` and `cost` are added to, the rest is set; the lease and the reservation go."""
    if dialect.postgresql:
        names = [name for name, _ in (*_RECORD_COLUMNS, ("job_id", ""), ("n", ""))]
        cursor.execute(
            "UPDATE jobs_record t SET status = v.status, tries = t.tries + v.tries, "
            "failure_class = v.failure_class, fingerprint = v.fingerprint, message = v.message, "
            "output = v.output, model = v.model, cost = t.cost + v.cost, "
            "finished_at = v.finished_at, lease = NULL, reserved = 0 "
            "FROM json_to_recordset(%s::json) AS v(status smallint, tries smallint, "
            "failure_class text, fingerprint text, message text, output text, model text, "
            "cost bigint, finished_at timestamptz, job_id bigint, n int) "
            "WHERE t.job_id = v.job_id AND t.n = v.n",
            [orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()],
        )
    else:
        cursor.executemany(
            "UPDATE jobs_record SET status = %s, tries = tries + %s, failure_class = %s, "
            "fingerprint = %s, message = %s, output = %s, model = %s, cost = cost + %s, "
            "finished_at = %s, lease = NULL, reserved = 0 WHERE job_id = %s AND n = %s",
            rows,
        )


def _write_due(
    dialect: Dialect,
    cursor: CursorWrapper,
    job_id: int,
    settlements: Sequence[Settlement],
    now: datetime,
) -> None:
    rows = [
        (job_id, s.n, dialect.time(s.not_before or now), (s.due or DueReason.RETURNED).value)
        for s in settlements
        if s.status is RecordStatus.PENDING
    ]
    if rows:
        put_due(dialect, cursor, rows)


def put_due(dialect: Dialect, cursor: CursorWrapper, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of (job_id, n, not_before, reason); what is there already is replaced."""
    dialect.insert_rows(
        cursor,
        "jobs_due",
        [("job_id", "bigint"), ("n", "int"), ("not_before", "timestamptz"), ("reason", "text")],
        rows,
        "ON CONFLICT (job_id, n) DO UPDATE SET not_before = excluded.not_before, "
        "reason = excluded.reason",
    )


def _attempt_row(dialect: Dialect, worker: str, s: Settlement) -> tuple[Any, ...]:
    a = s.attempt
    assert a is not None  # the callers filter
    u = a.usage
    return (
        s.job_id, s.n, s.number, a.outcome.value, a.purpose.value, a.generation, a.replay_id,
        a.template_version_id, a.connection_id, a.model, a.model_returned, worker,
        dialect.time(a.started_at), a.waited_ms, a.took_ms, a.http_status, a.provider_request_id,
        a.failure_class, a.message, a.retry_after_ms, u.input_tokens, u.cached_input_tokens,
        u.cache_write_tokens + u.cache_write_1h_tokens, u.output_tokens, u.reasoning_tokens,
        u.estimated, u.raw, a.price_id, a.cost, a.request, a.answer,
    )  # fmt: skip


def write_attempts(
    dialect: Dialect, cursor: CursorWrapper, worker: str, settlements: Sequence[Settlement]
) -> None:
    rows = [_attempt_row(dialect, worker, s) for s in settlements if s.attempt is not None]
    if rows:
        dialect.insert_rows(cursor, "jobs_attempt", _ATTEMPT_COLUMNS, rows)


def _settle_late(
    dialect: Dialect,
    cursor: CursorWrapper,
    worker: str,
    settlement: Settlement,
    delta: JobDelta,
    book: "Book",
) -> None:
    """Book an answer that came after its lease was lost.

    Whoever took the lease away wrote the attempt as in doubt; the truth now replaces the doubt. If
    the attempt is already settled, this is a repeated write and changes nothing.
    """
    line = settlement.attempt
    assert line is not None
    cursor.execute(
        "SELECT outcome, cost, started_at FROM jobs_attempt "
        "WHERE job_id = %s AND n = %s AND number = %s",
        [settlement.job_id, settlement.n, settlement.number],
    )
    row = cursor.fetchone()
    if row is None or row[0] != AttemptOutcome.IN_DOUBT.value or in_doubt(line):
        return
    line.outcome = AttemptOutcome.LATE
    cursor.execute(
        "DELETE FROM jobs_attempt WHERE job_id = %s AND n = %s AND number = %s",
        [settlement.job_id, settlement.n, settlement.number],
    )
    write_attempts(dialect, cursor, worker, [settlement])
    cursor.execute(
        "UPDATE jobs_record SET cost = cost + %s WHERE job_id = %s AND n = %s",
        [line.cost or 0, settlement.job_id, settlement.n],
    )
    delta.in_doubt_cost -= row[1] or 0
    delta.in_doubt_attempts -= 1
    delta.unpriced_attempts -= row[1] is None
    delta.attempts -= 1
    count_attempt(delta, line)
    book.take_back_doubt(line, row[1], day_of(row[2]))
    book.add(settlement, line)


def day_of(started_at: datetime | str) -> str:
    """The day of the roll-up, in UTC; a plain cursor of SQLite returns the text that begins with it."""
    if isinstance(started_at, str):
        return started_at[:10]
    return started_at.astimezone(UTC).date().isoformat()


def in_doubt(line: AttemptLine) -> bool:
    return line.outcome is AttemptOutcome.IN_DOUBT


def _count(delta: JobDelta, s: Settlement) -> None:
    delta.running -= 1
    if s.status is RecordStatus.SUCCEEDED:
        delta.succeeded += 1
    elif s.status is RecordStatus.FAILED:
        delta.failed += 1
    else:
        delta.pending += 1
    delta.reserved -= s.reserved
    if s.attempt is not None:
        count_attempt(delta, s.attempt)


def count_attempt(delta: JobDelta, line: AttemptLine) -> None:
    delta.attempts += 1
    if in_doubt(line):
        delta.in_doubt_attempts += 1
        delta.in_doubt_cost += line.cost or 0
        delta.unpriced_attempts += line.cost is None
        return
    delta.input_tokens += line.usage.input_tokens
    delta.cached_input_tokens += line.usage.cached_input_tokens
    delta.output_tokens += line.usage.output_tokens
    delta.cost += line.cost or 0
    if line.outcome is not AttemptOutcome.ACCEPTED:
        delta.wasted_cost += line.cost or 0
    delta.estimated_attempts += line.usage.estimated
    delta.unpriced_attempts += line.charged and line.cost is None


class Book:
    """The sums of one settle for the roll-up and the throughput of one job."""

    def __init__(self, job_id: int, now: datetime):
        self.job_id = job_id
        self.now = now
        self.rollups: dict[tuple[Any, ...], dict[str, int]] = defaultdict(
            lambda: dict.fromkeys(_ROLLUP_SUMS, 0)
        )
        self.succeeded = self.failed = self.calls = self.rate_limited = 0

    def _sums(self, line: AttemptLine, day: str = "") -> dict[str, int]:
        day = day or day_of(line.started_at)
        return self.rollups[(line.template_version_id, line.connection_id, line.model, day)]

    def add(self, settlement: Settlement, line: AttemptLine | None) -> None:
        late = line is not None and line.outcome is AttemptOutcome.LATE
        if not late:
            self.succeeded += settlement.status is RecordStatus.SUCCEEDED
            self.failed += settlement.status is RecordStatus.FAILED
        if line is None:
            return
        self.calls += not late
        self.rate_limited += settlement.due is DueReason.RATE_LIMIT
        sums = self._sums(line)
        sums["calls"] += 1
        if in_doubt(line):
            sums["in_doubt_calls"] += 1
            sums["in_doubt_cost"] += line.cost or 0
            sums["unpriced_calls"] += line.cost is None
            return
        usage = line.usage
        sums["input_tokens"] += usage.input_tokens
        sums["cached_input_tokens"] += usage.cached_input_tokens
        sums["cache_write_tokens"] += usage.cache_write_tokens + usage.cache_write_1h_tokens
        sums["output_tokens"] += usage.output_tokens
        sums["cost"] += line.cost or 0
        if line.outcome is AttemptOutcome.ACCEPTED:
            sums["accepted"] += 1
        else:
            sums["wasted_cost"] += line.cost or 0
        sums["unpriced_calls"] += line.charged and line.cost is None
        sums["estimated_calls"] += usage.estimated

    def take_back_doubt(self, line: AttemptLine, cost: int | None, day: str) -> None:
        """On the day it was booked, which need not be the one on which the call left."""
        sums = self._sums(line, day)
        sums["calls"] -= 1
        sums["in_doubt_calls"] -= 1
        sums["in_doubt_cost"] -= cost or 0
        sums["unpriced_calls"] -= cost is None

    def write(self, dialect: Dialect, cursor: CursorWrapper) -> None:
        cursor.execute("SELECT team_id FROM jobs_job WHERE id = %s", [self.job_id])
        (team_id,) = cursor.fetchone()
        rows = [
            (self.job_id, *key, team_id, *(sums[name] for name in _ROLLUP_SUMS))
            for key, sums in self.rollups.items()
        ]
        if rows:
            added = ", ".join(f"{n} = jobs_costrollup.{n} + excluded.{n}" for n in _ROLLUP_SUMS)
            kinds = {"model": "text", "day": "date"}
            dialect.insert_rows(
                cursor,
                "jobs_costrollup",
                [(name, kinds.get(name, "bigint")) for name in (*_ROLLUP_KEYS, *_ROLLUP_SUMS)],
                rows,
                f"ON CONFLICT ({', '.join(_ROLLUP_KEYS)}) DO UPDATE SET {added}",
            )
        if self.succeeded or self.failed or self.calls:
            start = self.now.replace(
                second=self.now.second - self.now.second % THROUGHPUT_S, microsecond=0
            )
            cursor.execute(
                "INSERT INTO jobs_throughput (job_id, at, team_id, succeeded, failed, calls, "
                "rate_limited) VALUES (%s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (job_id, at) DO UPDATE SET "
                "succeeded = jobs_throughput.succeeded + excluded.succeeded, "
                "failed = jobs_throughput.failed + excluded.failed, "
                "calls = jobs_throughput.calls + excluded.calls, "
                "rate_limited = jobs_throughput.rate_limited + excluded.rate_limited",
                [
                    self.job_id,
                    dialect.time(start),
                    team_id,
                    self.succeeded,
                    self.failed,
                    self.calls,
                    self.rate_limited,
                ],
            )
