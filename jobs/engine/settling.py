"""Settling: results, attempts, counters, roll-ups and reservations of a batch of calls, all in one
transaction per job.

The fence: a record is written only while it still holds the lease token of the claim that made the
call. What comes in after the lease was lost is booked as a late duplicate, never as a result.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.backends.utils import CursorWrapper

from jobs.engine.book import Book, as_day, count_attempt, in_doubt
from jobs.engine.borrowing import wake
from jobs.engine.breakers import TROUBLE, Batch, Watch
from jobs.engine.correcting import book_corrections, late_correction, superseded_corrections
from jobs.engine.counters import JobDelta, apply_delta, lock_job
from jobs.engine.dialect import Dialect
from jobs.engine.grants import Moves
from jobs.engine.records import Settlement
from jobs.engine.telling import tell_failures
from jobs.engine.writing import write_attempts, write_due, write_records
from jobs.failures import FailureClass
from jobs.models import AttemptOutcome, Correction, DueReason, JobStatus, RecordStatus, Waste

_NOBODY: tuple[None, bool] = (None, False)


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
        current = [s for s in settlements if held.get(s.n, _NOBODY)[0] == s.lease]
        late = [
            s for s in settlements if held.get(s.n, _NOBODY)[0] != s.lease and s.attempt is not None
        ]
        for settlement in current:
            settlement.stands = bool(held[settlement.n][1])
        delta = JobDelta()
        book = Book(job_id, state.team_id, now)
        batch = _batch(current)
        if batch.answered == 0 and state.watch.trouble_is_the_providers:
            for settlement in current:
                _excuse(settlement, state.watch, now)
        freed = _freed(current)
        for settlement in current:
            if settlement.attempt is not None:
                settlement.attempt.day = book.open_day(settlement.attempt.day)
            _count(delta, settlement, batch)
            book.add(settlement, settlement.attempt)
        for settlement in late:
            _settle_late(dialect, cursor, worker, settlement, delta, book)
        if delta.failed or batch.kept or delta.in_doubt_attempts:
            tell_failures(worker, current)
        replaced = [s.n for s in current if s.stands and s.status is RecordStatus.SUCCEEDED]
        if replaced:
            _supersede(dialect, cursor, job_id, replaced, delta, book)
        pause = next((s.pause for s in current if s.pause is not None), None)
        if pause is not None and not detail:
            detail = next(s.message for s in current if s.pause is not None)
        with dialect.together(cursor) as writer:
            if current:
                write_records(dialect, writer, job_id, current, now)
                write_due(dialect, writer, job_id, current, now)
                write_attempts(dialect, writer, worker, current)
            if leases_done:
                condition, parameters = dialect.in_list("token", list(leases_done))
                writer.execute(f"DELETE FROM jobs_lease WHERE {condition}", parameters)
            if state.borrows:
                ended = (RecordStatus.SUCCEEDED, RecordStatus.FAILED)
                wake(dialect, writer, job_id, [s.n for s in current if s.status in ended], now)
            book.write(dialect, writer)
            return apply_delta(
                dialect, writer, state, delta, now, pause=pause, detail=detail, batch=batch,
                moves=book.moves(freed),
            )  # fmt: skip


def _freed(current: Sequence[Settlement]) -> Moves:
    """What these calls had reserved, in the month of their claim."""
    moves = Moves()
    for s in current:
        if s.attempt is not None:
            moves.free(s.attempt.day, s.attempt.connection_id, s.reserved)
    return moves


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
        if settlement.attempt is not None and settlement.attempt.waste is not None:
            settlement.attempt.waste = Waste.RETRIED
        seconds = watch.back_off(settlement.n, now.timestamp())
        settlement.not_before = now + timedelta(seconds=seconds)


def _held(
    dialect: Dialect, cursor: CursorWrapper, job_id: int, settlements: Sequence[Settlement]
) -> dict[int, tuple[str | None, bool]]:
    """Of the records that run: the lease, and whether there is a result that stands meanwhile."""
    condition, parameters = dialect.in_list("n", [s.n for s in settlements])
    cursor.execute(
        "SELECT n, lease, output IS NOT NULL FROM jobs_record "
        f"WHERE job_id = %s AND {condition} AND status = 1" + dialect.lock(),
        [job_id, *parameters],
    )
    return {n: (lease, stands) for n, lease, stands in cursor.fetchall()}


def _supersede(
    dialect: Dialect,
    cursor: CursorWrapper,
    job_id: int,
    numbers: Sequence[int],
    delta: JobDelta,
    book: Book,
) -> None:
    """A replay's answer takes the place of the accepted one, whose cost is waste from now on: in the
    roll-up of the day on which it was made, or of today where that month was closed."""
    condition, parameters = dialect.in_list("n", numbers)
    accepted = f"WHERE job_id = %s AND {condition} AND outcome = %s"
    values = [job_id, *parameters, AttemptOutcome.ACCEPTED.value]
    cursor.execute(
        "SELECT n, number, template_version_id, connection_id, model, day, cost FROM jobs_attempt "
        f"{accepted}",
        values,
    )
    found = cursor.fetchall()
    amended: dict[str, list[int]] = defaultdict(list)
    for n, _, version_id, connection_id, model, day, cost in found:
        booked = as_day(day)
        changed = book.open_day(booked)
        if changed != booked:
            amended[changed.isoformat()].append(n)
        delta.wasted_cost += cost or 0
        book.supersede((version_id, connection_id, model, changed.isoformat()), cost or 0)
    for on, closed in amended.items():
        condition, parameters = dialect.in_list("n", closed)
        cursor.execute(
            "UPDATE jobs_attempt SET amended_on = %s "
            f"WHERE job_id = %s AND {condition} AND outcome = %s",
            [on, job_id, *parameters, AttemptOutcome.ACCEPTED.value],
        )
    cursor.execute(
        f"UPDATE jobs_attempt SET outcome = %s, waste = %s {accepted}",
        [AttemptOutcome.SUPERSEDED.value, Waste.SUPERSEDED.value, *values],
    )
    lines = superseded_corrections(dialect, cursor, [row[:5] for row in found], book)
    book_corrections(dialect, cursor, lines, delta, book)


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
        "SELECT outcome, cost, day FROM jobs_attempt WHERE job_id = %s AND n = %s AND number = %s",
        [settlement.job_id, settlement.n, settlement.number],
    )
    row = cursor.fetchone()
    if row is None or row[0] != AttemptOutcome.IN_DOUBT.value or in_doubt(line):
        return
    attempt = {"job_id": settlement.job_id, "n": settlement.n, "number": settlement.number}
    if Correction.objects.filter(**attempt, in_doubt_calls__lt=0).exists():
        return  # settled already by what the provider counted
    line.outcome = AttemptOutcome.LATE
    line.waste = Waste.LATE if line.charged else None
    line.day = as_day(row[2])
    if book.open_day(line.day) != line.day:
        truth = late_correction(book.team_id, **attempt, line=line, doubt=row[1], book=book)
        book_corrections(dialect, cursor, [truth], delta, book)
        return
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
    book.take_back_doubt(line, row[1])
    book.add(settlement, line)


def _count(delta: JobDelta, s: Settlement, batch: Batch) -> None:
    delta.running -= 1
    if s.status is RecordStatus.SUCCEEDED:
        delta.succeeded += 1
    elif s.status is RecordStatus.FAILED and s.stands:
        delta.succeeded += 1
        batch.kept += 1
    elif s.status is RecordStatus.FAILED:
        delta.failed += 1
    else:
        delta.pending += 1
    delta.reserved -= s.reserved
    if s.attempt is not None:
        count_attempt(delta, s.attempt)
