"""Records that take another one's result instead of a call, within the claim that would have sent them.

What `jobs.engine.twins` found out is a hint. Here, under the job's lock, it is held against what is
there now: a result stands and answers the same request; or it will soon be there, and the record waits
for it; or the record is called for like any other. Either way the hint is used up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.backends.utils import CursorWrapper

from jobs.engine.book import Book
from jobs.engine.counters import JobDelta, JobState
from jobs.engine.dialect import Dialect, Writer
from jobs.engine.records import Claimed, Offer
from jobs.engine.writing import put_due
from jobs.models import AttemptOutcome, DueReason, RecordStatus

# A record that waits is woken by the end of the one it waits for; this is for what nobody foresaw.
WAITS_AT_MOST = timedelta(minutes=5)
# Woken in one transaction; the next are woken by the claim of these.
WAKE_AT_ONCE = 2_000


def offer_results(
    dialect: Dialect, cursor: CursorWrapper, state: JobState, claimed: Sequence[Claimed]
) -> None:
    """Mark the records that may take a result, or wait for one. A replay's records ask for an answer of
    their own."""
    if not state.borrows or not claimed:
        return
    by_number = {record.n: record for record in claimed}
    condition, parameters = dialect.in_list("b.n", list(by_number))
    cursor.execute(
        "SELECT b.n, b.from_job_id, b.from_n, b.from_number, s.status, s.output, s.model, "
        "s.replay_id, s.kept_from, s.source_job_id, a.number, a.cost "
        "FROM jobs_borrowed b "
        "LEFT JOIN jobs_record s ON s.job_id = b.from_job_id AND s.n = b.from_n "
        "LEFT JOIN jobs_attempt a ON a.job_id = COALESCE(s.source_job_id, b.from_job_id) "
        "AND a.n = COALESCE(s.source_n, b.from_n) AND a.outcome = %s "
        f"WHERE b.job_id = %s AND {condition}",
        [AttemptOutcome.ACCEPTED.value, state.id, *parameters],
    )
    for n, *found in cursor.fetchall():
        record, source = by_number[n], _Source(*found)
        record.hinted = source.n if source.job_id == state.id else 0
        if record.replay_id is not None:
            continue
        if source.has_the_answer:
            record.offer = Offer(
                source.job_id, source.n, source.output or "", source.model or "", source.cost or 0
            )
        elif source.is_open and not record.tries:
            record.waits = True


@dataclass(frozen=True, slots=True)
class _Source:
    """A record whose result another one may take, as it is now."""

    job_id: int
    n: int
    number: int | None  # of the attempt that was found to ask the same; None: a row of the same job
    status: int | None  # None: it is gone, or not there yet
    output: str | None
    model: str | None
    replay_id: int | None
    kept_from: int | None
    source_job_id: int | None
    accepted: int | None  # the attempt whose answer its result is now
    cost: int | None

    @property
    def has_the_answer(self) -> bool:
        if self.output is None:
            return False
        if self.number is None:  # a replay's answer may be one to another question
            return self.replay_id is None or self.kept_from == 0
        return self.source_job_id is None and self.accepted == self.number

    @property
    def is_open(self) -> bool:
        """It belongs to the same job, and its first answer is still to come."""
        is_open = self.status in (RecordStatus.PENDING, RecordStatus.RUNNING)
        return self.number is None and self.replay_id is None and is_open


def take_results(
    dialect: Dialect,
    writer: Writer,
    state: JobState,
    kept: Sequence[Claimed],
    due: set[int],
    delta: JobDelta,
    book: Book,
    now: datetime,
) -> None:
    """Settle the records that were offered a result, park those that wait for one, and strike off what
    was looked up; what is left to be called for is the caller's."""
    taken = [record for record in kept if record.offer is not None]
    waiting = [record for record in kept if record.waits]
    if taken:
        _write(dialect, writer, state.id, taken, now)
        delta.pending -= len(taken)
        delta.succeeded += len(taken)
        for record in taken:
            assert record.offer is not None
            own = record.offer.job_id == state.id
            delta.shared += own
            delta.reused += not own
            key = (state.template_version_id, state.connection_id, state.model)
            book.take(key, record.offer, own=own)
    if waiting:
        later = dialect.time(now + WAITS_AT_MOST)
        rows = [(state.id, record.n, later, DueReason.TWIN.value) for record in waiting]
        put_due(dialect, writer, rows)
    used_up = [r for r in kept if r.hinted is not None and not r.waits]
    if used_up:
        condition, parameters = dialect.in_list("n", [record.n for record in used_up])
        writer.execute(
            f"DELETE FROM jobs_borrowed WHERE job_id = %s AND {condition}", [state.id, *parameters]
        )
        delta.borrows -= len(used_up)
        # Those behind whom others may wait still; and those that have just ended, as others lead.
        leaders = {record.hinted for record in used_up if record.hinted and record.n in due}
        leaders |= {r.n for r in taken if r.offer is not None and r.offer.job_id != state.id}
        wake(dialect, writer, state.id, sorted(leaders), now)


def _write(
    dialect: Dialect, writer: Writer, job_id: int, taken: Sequence[Claimed], now: datetime
) -> None:
    rows: list[tuple[Any, ...]] = [
        (o.output, o.model or None, dialect.time(now), o.job_id, o.n, job_id, record.n)
        for record in taken
        if (o := record.offer) is not None
    ]
    dialect.update_rows(
        writer,
        "jobs_record",
        [("job_id", "bigint"), ("n", "int")],
        [
            ("output", "text"), ("model", "text"), ("finished_at", "timestamptz"),
            ("source_job_id", "bigint"), ("source_n", "int"),
        ],
        rows,
        assignments=(f"status = {int(RecordStatus.SUCCEEDED)}", "message = NULL"),
    )  # fmt: skip


def wake(
    dialect: Dialect, writer: Writer, job_id: int, leaders: Sequence[int], now: datetime
) -> None:
    """These records have ended: who waits for one of them waits no longer."""
    if not leaders:
        return
    condition, parameters = dialect.in_list("b.from_n", leaders)
    moment = dialect.time(now)
    writer.execute(
        "UPDATE jobs_due SET not_before = %s WHERE job_id = %s AND n IN (SELECT d.n "
        "FROM jobs_borrowed b JOIN jobs_due d ON d.job_id = b.job_id AND d.n = b.n "
        f"WHERE b.job_id = %s AND b.from_job_id = %s AND {condition} AND d.reason = %s "
        "AND d.not_before > %s LIMIT %s)",
        [moment, job_id, job_id, job_id, *parameters, DueReason.TWIN.value, moment, WAKE_AT_ONCE],
    )
