"""What a worker held and will not finish: expired leases of the dead, and what the living give back.

Leases are searched, not workers: a worker's row may be gone, its leases are not. The conditional
DELETE of the lease is what decides: whoever deletes it moves its records, once.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from jobs.costs.pricing import Tariff, resolve_price
from jobs.engine.book import Book, count_attempt, day_of
from jobs.engine.borrowing import wake
from jobs.engine.breakers import Batch
from jobs.engine.claiming import LEASE
from jobs.engine.counters import JobDelta, apply_delta, job_of, lock_job, unlocked_jobs
from jobs.engine.decide import DEATHS_UNTIL_PARKED, DEATHS_UNTIL_SUSPECT
from jobs.engine.dialect import Dialect
from jobs.engine.grants import Moves
from jobs.engine.plan import request_id
from jobs.engine.records import AttemptLine, Settlement
from jobs.engine.telling import tell_failures, tell_parked
from jobs.engine.writing import put_due, write_attempts
from jobs.failures import FailureClass
from jobs.models import AttemptOutcome, DueReason, Job, Lease, Purpose, RecordStatus, Replay
from jobs.providers.formats import fingerprint
from jobs.providers.types import Usage

_LOST = "The worker that held this row died; whether the provider answered is unknown."
_PARKED = f"The worker died {DEATHS_UNTIL_PARKED} times while it had this row in flight."
# Leases looked at in one sweep; the rest are for the next, seconds later.
SWEEP_LEASES = 200


@dataclass(frozen=True, slots=True)
class _Holding:
    n: int
    calls: int
    tries: int
    generation: int
    replay_id: int | None
    deaths: int
    reserved: int
    stands: bool  # a result, which stays whatever becomes of this call


def expired_leases(dialect: Dialect, now: datetime) -> dict[str, list[tuple[str, int, list[int]]]]:
    """Leases past their time as {worker: [(token, job id, record numbers)]}, oldest first."""
    with dialect.connection.cursor() as cursor:
        cursor.execute(
            "SELECT token, job_id, worker, records FROM jobs_lease WHERE until < %s "
            "ORDER BY until LIMIT %s",
            [dialect.time(now), SWEEP_LEASES],
        )
        found = defaultdict(list)
        for token, job_id, worker, records in cursor.fetchall():
            numbers = orjson.loads(records) if isinstance(records, str) else records
            found[worker].append((token, job_id, numbers))
    return found


def reclaim_expired(dialect: Dialect, now: datetime) -> int:
    """Take back what dead workers held; returns the number of records moved.

    Each record counts a death, and the call it may have made is booked as in doubt. With a suspect
    among them the suspect alone is blamed, and at the third death it is parked as `worker_lost`.
    """
    moved = 0
    found = expired_leases(dialect, now)
    free = set(unlocked_jobs(dialect, {lease[1] for leases in found.values() for lease in leases}))
    for leases in found.values():
        suspects = _suspects(dialect, leases)
        for token, job_id, numbers in leases:
            if job_id not in free:
                continue
            moved += _take_back(
                dialect,
                token,
                job_id,
                numbers,
                now,
                only_if_expired=True,
                blame=suspects.get(job_id, frozenset()) if suspects else None,
                sent=numbers,
            )
    return moved


def begin_leases_anew(dialect: Dialect, last: datetime, now: datetime) -> None:
    """Time that nobody can have used does not count: each lease gets its whole length from now on, and
    each worker that was alive at `last` is."""
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_lease SET until = %s", [dialect.time(now + LEASE)])
        cursor.execute(
            "UPDATE jobs_worker SET seen_at = %s WHERE seen_at > %s",
            [dialect.time(now), dialect.time(min(last, now) - LEASE)],
        )


def give_back(
    dialect: Dialect,
    token: str,
    job_id: int,
    numbers: Sequence[int],
    sent: Collection[int],
    now: datetime,
) -> int:
    """Return records that this worker holds and will not finish. Those in `sent` are in doubt; the
    others never left. No death is counted."""
    return _take_back(
        dialect, token, job_id, numbers, now, only_if_expired=False, blame=frozenset(), sent=sent
    )


def abandon(dialect: Dialect, token: str, job_id: int, now: datetime) -> int:
    """Give back unsent all that the claim of this lease holds, if that claim was committed at all."""
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        # The claim held the job's row: with that in hand it is committed, or never will be.
        lock_job(dialect, cursor, job_id)
        cursor.execute("SELECT job_id, records FROM jobs_lease WHERE token = %s", [token])
        row = cursor.fetchone()
    if row is None:
        return 0
    numbers = orjson.loads(row[1]) if isinstance(row[1], str) else row[1]
    moved = give_back(dialect, token, row[0], numbers, (), now)
    with dialect.connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_lease WHERE token = %s", [token])
    return moved


def _suspects(
    dialect: Dialect, leases: Sequence[tuple[str, int, list[int]]]
) -> dict[int, frozenset[int]]:
    found: dict[int, set[int]] = defaultdict(set)
    with dialect.connection.cursor() as cursor:
        for token, job_id, numbers in leases:
            for record in _holdings(dialect, cursor, job_id, token, numbers):
                if record.deaths >= DEATHS_UNTIL_SUSPECT:
                    found[job_id].add(record.n)
    return {job_id: frozenset(numbers) for job_id, numbers in found.items()}


def _holdings(
    dialect: Dialect, cursor: CursorWrapper, job_id: int, token: str, numbers: Sequence[int]
) -> list[_Holding]:
    condition, parameters = dialect.in_list("n", list(numbers))
    cursor.execute(
        "SELECT n, calls, tries, generation, replay_id, deaths, reserved, "
        "output IS NOT NULL FROM jobs_record "
        f"WHERE job_id = %s AND {condition} AND lease = %s AND status = 1 ORDER BY n"
        + dialect.lock(),
        [job_id, *parameters, token],
    )
    return [_Holding(*row) for row in cursor.fetchall()]


def _take_back(
    dialect: Dialect,
    token: str,
    job_id: int,
    numbers: Sequence[int],
    now: datetime,
    *,
    only_if_expired: bool,
    blame: frozenset[int] | None,
    sent: Collection[int],
) -> int:
    """`blame` names the records whose deaths grow; None blames all of them."""
    job = job_of(job_id)
    if job is None:
        # The job is gone with its records; a lease that is left would be looked at for ever.
        with dialect.connection.cursor() as cursor:
            cursor.execute("DELETE FROM jobs_lease WHERE token = %s", [token])
        return 0
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        state = lock_job(dialect, cursor, job_id)
        if state is None:
            return 0
        worker, heard_at, day = _owner(token, now)
        if only_if_expired:
            cursor.execute(
                "DELETE FROM jobs_lease WHERE token = %s AND until < %s",
                [token, dialect.time(now)],
            )
            if cursor.rowcount != 1:
                return 0  # its owner renewed it, or somebody else was first
        held = _holdings(dialect, cursor, job_id, token, numbers)
        delta, book = JobDelta(), Book(job_id, state.team_id, now)
        batch = Batch()
        connections = _connections(job, held)
        rows, due, settlements = [], [], []
        doubts = _Doubts(job, token, heard_at, book.open_day(day), now)
        for record in held:
            blamed = only_if_expired and (blame is None or record.n in blame)
            deaths = record.deaths + (1 if blamed else 0)
            parked = deaths >= DEATHS_UNTIL_PARKED
            if record.stands:
                _keep_result(cursor, job_id, record, deaths, parked)
            else:
                rows.append(_moved_row(job_id, record, deaths, parked, dialect.time(now)))
            if parked:
                delta.succeeded += record.stands
                delta.failed += not record.stands
                batch.kept += record.stands
                tell_parked(job_id, record.n, deaths)
            else:
                delta.pending += 1
                due.append((job_id, record.n, dialect.time(now), DueReason.RETURNED.value))
            delta.running -= 1
            delta.reserved -= record.reserved
            if record.n in sent:
                settlements.append(doubts.of(record))
        if rows:
            dialect.update_rows(
                cursor,
                "jobs_record",
                [("job_id", "bigint"), ("n", "int")],
                [
                    ("status", "smallint"),
                    ("deaths", "smallint"),
                    ("failure_class", "text"),
                    ("fingerprint", "text"),
                    ("message", "text"),
                    ("finished_at", "timestamptz"),
                ],
                rows,
                assignments=("lease = NULL", "reserved = 0"),
            )
        if due:
            put_due(dialect, cursor, due)
        if settlements:
            tell_failures(worker, settlements)
            write_attempts(dialect, cursor, worker, settlements)
            for settlement in settlements:
                assert settlement.attempt is not None
                count_attempt(delta, settlement.attempt)
                book.add(settlement, settlement.attempt)
            book.write(dialect, cursor)
        if state.borrows:
            left = {n for _, n, *_ in due}
            wake(dialect, cursor, job_id, [one.n for one in held if one.n not in left], now)
        batch.calls = len(settlements)
        moves = Moves()
        for record in held:
            moves.free(day, connections[record.replay_id], record.reserved)
        apply_delta(dialect, cursor, state, delta, now, batch=batch, moves=book.moves(moves))
        return len(held)


def _owner(token: str, now: datetime) -> tuple[str, datetime, date]:
    """The worker that holds a lease, when it was last heard of (by its claim, or by renewing it), and
    the day on which its calls are booked."""
    found = Lease.objects.filter(token=token).values_list("worker", "until", "day").first()
    if found is None:
        return "", now, day_of(now)
    worker, until, day = found
    return worker, min(now, until - LEASE), day


def _connections(job: Job, held: Sequence[_Holding]) -> dict[int | None, int]:
    """By the replay of a record: the connection that its call goes to."""
    replays = Replay.objects.in_bulk({record.replay_id for record in held if record.replay_id})
    found: dict[int | None, int] = {None: job.connection_id}
    for record in held:
        replay = replays.get(record.replay_id or 0)
        found[record.replay_id] = (replay and replay.connection_id) or job.connection_id
    return found


def _moved_row(
    job_id: int, record: _Holding, deaths: int, parked: bool, now: Any
) -> tuple[Any, ...]:
    if not parked:
        return (int(RecordStatus.PENDING), deaths, None, None, None, None, job_id, record.n)
    lost = FailureClass.WORKER_LOST
    return (
        int(RecordStatus.FAILED), deaths, lost.value, fingerprint(lost, _PARKED), _PARKED, now,
        job_id, record.n,
    )  # fmt: skip


def _keep_result(
    cursor: CursorWrapper, job_id: int, record: _Holding, deaths: int, parked: bool
) -> None:
    cursor.execute(
        "UPDATE jobs_record SET status = %s, deaths = %s, message = %s, lease = NULL, reserved = 0 "
        "WHERE job_id = %s AND n = %s",
        [
            int(RecordStatus.SUCCEEDED if parked else RecordStatus.PENDING),
            deaths,
            _PARKED if parked else None,
            job_id,
            record.n,
        ],
    )


class _Doubts:
    """The in-doubt lines of calls of one lease that may have been made, each at its highest possible
    cost. When they left nobody knows: the lines say when their worker was last heard of."""

    def __init__(self, job: Job, token: str, heard_at: datetime, day: date, now: datetime) -> None:
        self.job = job
        self.token = token
        self.heard_at = heard_at
        self.day = day
        self.now = now
        self._sources: dict[int | None, tuple[Replay | None, Tariff | None]] = {}

    def _source(self, replay_id: int | None) -> tuple[Replay | None, Tariff | None]:
        if replay_id not in self._sources:
            replay = None
            if replay_id is not None:
                replay = Replay.objects.select_related("connection").filter(pk=replay_id).first()
            connection = (replay and replay.connection) or self.job.connection
            model = (replay and replay.model) or self.job.model
            price = resolve_price(connection=connection, model=model, at=self.now)
            self._sources[replay_id] = replay, Tariff(price) if price is not None else None
        return self._sources[replay_id]

    def of(self, record: _Holding) -> Settlement:
        job = self.job
        replay, tariff = self._source(record.replay_id)
        # Nothing was reserved: the price is 0, or nobody knew it when the call was claimed.
        known = record.reserved > 0 or (tariff is not None and tariff.free)
        line = AttemptLine(
            outcome=AttemptOutcome.IN_DOUBT,
            purpose=self._purpose(record),
            generation=record.generation,
            replay_id=record.replay_id,
            template_version_id=(replay and replay.template_version_id) or job.template_version_id,
            connection_id=(replay and replay.connection_id) or job.connection_id,
            model=(replay and replay.model) or job.model,
            model_returned="",
            day=self.day,
            started_at=self.heard_at,
            waited_ms=0,
            took_ms=0,
            http_status=None,
            provider_request_id=request_id(self.token, record.n, record.calls),
            failure_class=FailureClass.WORKER_LOST.value,
            message=_LOST,
            retry_after_ms=None,
            usage=Usage(),
            price_id=tariff.price_id if tariff is not None and known else None,
            cost=record.reserved if known else None,
            charged=True,
        )
        return Settlement(
            job_id=job.id,
            n=record.n,
            lease=self.token,
            number=record.calls,
            status=RecordStatus.PENDING,
            reserved=record.reserved,
            uses_try=False,
            due=DueReason.RETURNED,
            attempt=line,
        )

    def _purpose(self, record: _Holding) -> Purpose:
        if record.tries:
            return Purpose.RETRY
        if record.generation:
            return Purpose.REPLAY
        first = record.n in self.job.selection.get("pilot", ())
        return Purpose.PILOT if first else Purpose.FIRST
