"""Claims: pending records of one job become running, under a lease, with their highest possible cost
reserved — in one transaction, committed before any call leaves."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from jobs.engine.book import Book, day_of
from jobs.engine.borrowing import offer_results, take_results
from jobs.engine.breakers import Batch
from jobs.engine.counters import JobDelta, JobState, apply_delta, lock_job
from jobs.engine.decide import DEATHS_UNTIL_SUSPECT
from jobs.engine.dialect import Dialect, Writer
from jobs.engine.expanding import expand_locked
from jobs.engine.records import Claimed
from jobs.engine.reserving import reserve
from jobs.engine.telling import tell_started
from jobs.models import JobStatus, RecordStatus
from jobs.written import read_row

# A claim that finds but records which need no call looks for others so many times.
ROUNDS = 16
LEASE = timedelta(seconds=settings.LEASE_SECONDS)

# Fills in `system`, `user`, `input_tokens`, `reserved`, or `fault`.
Prepare = Callable[[Claimed], None]

_COLUMNS = "r.n, r.calls, r.tries, r.generation, r.replay_id, r.deaths"


def claim(
    dialect: Dialect,
    *,
    job_id: int,
    worker: str,
    limit: int,
    allow_suspect: bool,
    prepare: Prepare,
    now: datetime,
    monotonic: float,
    token: str = "",
) -> list[Claimed]:
    """Up to `limit` records of the job, due ones first, then the next by key.

    Empty when nothing may be claimed now: none pending, none due yet, the job no longer runnable, or
    the budgets hold no more (then the job pauses as soon as nothing in flight could free some).
    A record that has lost two workers is a suspect: at most one is claimed, and only if
    `allow_suspect`, so that when it kills again nobody else is blamed. `token` names the lease; it
    must be new for each claim, and is made here where none is given.
    """
    for _ in range(ROUNDS):
        held, others = _claim(
            *(dialect, job_id, worker, limit, allow_suspect, prepare, now, monotonic),
            token or secrets.token_hex(16),
        )
        if held or not others:
            return held
    return []


def _claim(
    dialect: Dialect,
    job_id: int,
    worker: str,
    limit: int,
    allow_suspect: bool,
    prepare: Prepare,
    now: datetime,
    monotonic: float,
    token: str,
) -> tuple[list[Claimed], int]:
    """The records to be called for, and how many others needed no call (see jobs.engine.borrowing)."""
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        state = lock_job(dialect, cursor, job_id)
        if state is None or not state.status.is_runnable or state.pending <= 0:
            return [], 0
        if state.scan_until is not None and state.scan_until > now:
            return [], 0
        if state.watch.probing:
            # One call asks whether the provider is back; nothing else leaves meanwhile.
            limit = 0 if state.running else 1
        due = _due(dialect, cursor, job_id, limit, allow_suspect, now)
        if state.pilot_rows and not due:
            # Nothing else goes before the pilot is looked at; if all of it has ended, it pauses now.
            apply_delta(dialect, cursor, state, JobDelta(), now)
            return [], 0
        ahead = 0 if state.pilot_rows else limit - len(due)
        rows = due + _ahead(dialect, cursor, state, ahead)
        if not rows:
            return [], 0
        claimed = _load(dialect, cursor, state, rows, token, now, monotonic)
        offer_results(dialect, cursor, state, claimed)
        for record in claimed:
            record.probe = state.watch.probing
            prepare(record)
        budgets = reserve(dialect, cursor, state, claimed, now)
        budgets.write(dialect, cursor)
        kept = budgets.kept
        if not kept:
            if budgets.pause is not None:
                apply_delta(
                    dialect,
                    cursor,
                    state,
                    JobDelta(),
                    now,
                    pause=budgets.pause,
                    detail=budgets.detail,
                    refusal=budgets.refusal,
                )
            return [], 0
        called = [record for record in kept if record.offer is None and not record.waits]
        reserved = sum(record.reserved for record in called)
        delta = JobDelta(pending=-len(called), running=len(called), reserved=reserved)
        came, book = {row[0] for row in due}, Book(job_id, state.team_id, now)
        with dialect.together(cursor) as writer:
            _move_on(dialect, writer, job_id, kept, came)
            if called:
                _hold(dialect, writer, job_id, called, token, worker, now)
            take_results(dialect, writer, state, kept, came, delta, book, now)
            if delta.succeeded:
                book.write(dialect, writer)
            apply_delta(
                dialect, writer, state, delta, now, batch=Batch() if delta.succeeded else None
            )
            if state.status is JobStatus.QUEUED:
                tell_started(job_id, worker)
            # A job that was paused before its first claim is running, but starts only now.
            writer.execute(
                "UPDATE jobs_job SET status = CASE WHEN status = 'queued' THEN 'running' "
                "ELSE status END, started_at = COALESCE(started_at, %s), "
                "status_at = CASE WHEN status = 'queued' THEN %s ELSE status_at END "
                "WHERE id = %s AND (status = 'queued' OR started_at IS NULL)",
                [dialect.time(now), dialect.time(now), job_id],
            )
        return called, len(kept) - len(called)


def _due(
    dialect: Dialect,
    cursor: CursorWrapper,
    job_id: int,
    limit: int,
    allow_suspect: bool,
    now: datetime,
) -> list[tuple[Any, ...]]:
    query = (
        f"SELECT * FROM (SELECT {_COLUMNS} FROM jobs_due d "
        "JOIN jobs_record r ON r.job_id = d.job_id AND r.n = d.n "
        "WHERE d.job_id = %s AND d.not_before <= %s AND r.status = 0 AND r.deaths {} %s "
        "ORDER BY d.not_before LIMIT %s) AS {}"
    )
    moment = dialect.time(now)
    of_all = [job_id, moment, DEATHS_UNTIL_SUSPECT]
    cursor.execute(
        query.format("<", "sound") + " UNION ALL " + query.format(">=", "suspect"),
        [*of_all, limit, *of_all, int(allow_suspect)],
    )
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows[:limit]


def _ahead(
    dialect: Dialect, cursor: CursorWrapper, state: JobState, limit: int
) -> list[tuple[Any, ...]]:
    """The next pending records past the job's cursor; makes a chunk of them if none is there."""
    if limit <= 0:
        return []
    query = (
        f"SELECT {_COLUMNS} FROM jobs_record r WHERE r.job_id = %s AND r.status = 0 "
        f"AND r.n > %s {_not_due(cursor, state)} {{}} ORDER BY r.n LIMIT %s"
    )
    # Mostly they are simply the next numbers, and of a sample they are not far. Asked without an end,
    # a server that has not yet counted the rows of a new job takes them for a handful, and reads and
    # sorts all of them each time.
    for wide in (1, 32, 1024):
        upto = state.cursor + wide * limit
        cursor.execute(query.format("AND r.n <= %s"), [state.id, state.cursor, upto, limit])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        if len(rows) == limit:
            return rows
    query = query.format("")
    cursor.execute(query, [state.id, state.cursor, limit])
    rows = cursor.fetchall()
    if not rows:
        made = expand_locked(dialect, cursor, state.id, RecordStatus.PENDING)
        if made:
            cursor.execute(
                "UPDATE jobs_job SET expanded = expanded + %s WHERE id = %s", [made, state.id]
            )
            cursor.execute(query, [state.id, state.cursor, limit])
            rows = cursor.fetchall()
    return rows


def _not_due(cursor: CursorWrapper, state: JobState) -> str:
    """Keeps what went first and waits again from being met twice, where there is such a thing."""
    cursor.execute(
        "SELECT 1 FROM jobs_due WHERE job_id = %s AND n > %s LIMIT 1", [state.id, state.cursor]
    )
    if cursor.fetchone() is None:
        return ""
    return "AND NOT EXISTS (SELECT 1 FROM jobs_due d WHERE d.job_id = r.job_id AND d.n = r.n)"


def _load(
    dialect: Dialect,
    cursor: CursorWrapper,
    state: JobState,
    rows: list[tuple[Any, ...]],
    token: str,
    now: datetime,
    monotonic: float,
) -> list[Claimed]:
    day = day_of(now)
    numbers = [row[0] for row in rows]
    condition, parameters = dialect.in_list("r.n", numbers)
    cursor.execute(
        f"SELECT r.n, r.data FROM jobs_datasetrow r WHERE r.dataset_id = %s AND {condition}",
        [state.dataset_id, *parameters],
    )
    data = dict(cursor.fetchall())
    if any(row[4] is not None for row in rows):
        # A replay may have brought an edited row; the newest edit counts, also for later replays.
        cursor.execute(
            f"SELECT r.n, r.data FROM jobs_rowedit r WHERE r.job_id = %s AND {condition} "
            "ORDER BY r.id",
            [state.id, *parameters],
        )
        data.update(cursor.fetchall())
    return [
        Claimed(
            job_id=state.id,
            n=n,
            lease=token,
            number=calls + 1,
            tries=tries,
            generation=generation,
            replay_id=replay_id,
            deaths=deaths,
            reserved=0,
            claimed_at=monotonic,
            day=day,
            values=read_row(data[n]),
        )
        for n, calls, tries, generation, replay_id, deaths in rows
    ]


def _move_on(
    dialect: Dialect, cursor: Writer, job_id: int, kept: list[Claimed], due: set[int]
) -> None:
    """No claim meets these again, by their due time or by the cursor."""
    taken = [record.n for record in kept if record.n in due]
    if taken:
        condition, parameters = dialect.in_list("n", taken)
        cursor.execute(
            f"DELETE FROM jobs_due WHERE job_id = %s AND {condition}",
            [job_id, *parameters],
        )
    ahead = [record.n for record in kept if record.n not in due]
    if ahead:
        cursor.execute("UPDATE jobs_job SET cursor = %s WHERE id = %s", [max(ahead), job_id])


def _hold(
    dialect: Dialect,
    cursor: Writer,
    job_id: int,
    called: list[Claimed],
    token: str,
    worker: str,
    now: datetime,
) -> None:
    dialect.update_rows(
        cursor,
        "jobs_record",
        [("job_id", "bigint"), ("n", "int")],
        [("reserved", "bigint"), ("lease", "text")],
        [(record.reserved, token, job_id, record.n) for record in called],
        assignments=("status = 1", "calls = calls + 1"),
    )
    cursor.execute(
        "INSERT INTO jobs_lease (token, job_id, worker, until, day, records) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        [
            token,
            job_id,
            worker,
            dialect.time(now + LEASE),
            day_of(now).isoformat(),
            orjson.dumps([record.n for record in called]).decode(),
        ],
    )
