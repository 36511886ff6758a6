"""Whether the books are right: what the counters, the ledger and the leases say of each job, held
against the rows themselves.

Read-only, and in one snapshot: it is right while work goes on. Each check is a few grouped queries over
a chunk of jobs, so that neither the number of jobs nor that of their rows is held in memory.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from jobs.engine.dialect import Dialect, dialect_of
from jobs.models import JobStatus, RecordStatus

# Jobs looked at together; fewer where they are large.
CHUNK_JOBS = 200
CHUNK_ROWS = 1_000_000

_COUNTED = tuple(status.name.lower() for status in RecordStatus)
_JOB_COLUMNS = (
    "id", "team_id", "status", "total", "expanded", *_COUNTED, "reserved", "attempts",
    "input_tokens", "cached_input_tokens", "output_tokens", "cost", "wasted_cost", "in_doubt_cost",
    "in_doubt_attempts", "unpriced_attempts", "estimated_attempts", "cursor", "finished_at",
)  # fmt: skip
_CONFIRMED = "outcome <> 'in_doubt'"
# What a roll-up sums, as the ledger has it.
_SUMS = {
    "calls": "1",
    "input_tokens": f"CASE WHEN {_CONFIRMED} THEN input_tokens ELSE 0 END",
    "cached_input_tokens": f"CASE WHEN {_CONFIRMED} THEN cached_input_tokens ELSE 0 END",
    "cache_write_tokens": f"CASE WHEN {_CONFIRMED} THEN cache_write_tokens ELSE 0 END",
    "output_tokens": f"CASE WHEN {_CONFIRMED} THEN output_tokens ELSE 0 END",
    "cost": f"CASE WHEN {_CONFIRMED} THEN COALESCE(cost, 0) ELSE 0 END",
    "wasted_cost": f"CASE WHEN {_CONFIRMED} AND outcome <> 'accepted' THEN COALESCE(cost, 0) "
    "ELSE 0 END",
    "in_doubt_cost": f"CASE WHEN {_CONFIRMED} THEN 0 ELSE COALESCE(cost, 0) END",
    "in_doubt_calls": f"CASE WHEN {_CONFIRMED} THEN 0 ELSE 1 END",
    "unpriced_calls": "CASE WHEN cost IS NULL THEN 1 ELSE 0 END",
    "estimated_calls": f"CASE WHEN {_CONFIRMED} AND usage_estimated THEN 1 ELSE 0 END",
    "accepted": "CASE WHEN outcome = 'accepted' THEN 1 ELSE 0 END",
}
# The job's own name for a sum, where it keeps it.
_JOB_SUMS = {
    "calls": "attempts", "input_tokens": "input_tokens", "output_tokens": "output_tokens",
    "cached_input_tokens": "cached_input_tokens", "cost": "cost", "wasted_cost": "wasted_cost",
    "in_doubt_cost": "in_doubt_cost", "in_doubt_calls": "in_doubt_attempts",
    "unpriced_calls": "unpriced_attempts", "estimated_calls": "estimated_attempts",
}  # fmt: skip

Jobs = Mapping[int, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """`expected` is what the rows say, `found` what is written of them. Job 0 stands for the calls
    outside any job."""

    job_id: int
    what: str
    expected: int | str
    found: int | str

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.what}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Verified:
    """How much was looked at, up to the first difference if there is one."""

    jobs: int = 0
    records: int = 0
    attempts: int = 0
    difference: Difference | None = None


@contextmanager
def snapshot() -> Iterator[None]:
    """All that is read within is of one moment, and nothing can be written."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # Of tables just filled the planner knows nothing yet, and a loop within a loop over a
            # job's records would take hours.
            cursor.execute("SET LOCAL enable_nestloop = off")
            yield
        return
    with connection.cursor() as cursor:
        # Django's own transactions are IMMEDIATE here, and would hold up every writer.
        cursor.execute("PRAGMA query_only = ON")
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")
            cursor.execute("PRAGMA query_only = OFF")


def verify(job_ids: Sequence[int] | None = None) -> Verified:
    """Look for the first difference, in these jobs or in all. Reads what its caller's transaction
    sees: see `snapshot`."""
    dialect, seen = dialect_of(connection), Verified()
    with connection.cursor() as cursor:
        for jobs in _chunks(cursor, dialect, job_ids):
            seen.jobs += len(jobs)
            seen.records += sum(job["expanded"] for job in jobs.values())
            seen.attempts += sum(job["attempts"] for job in jobs.values())
            for check in (_records, _ends, _leases, _due, _ledger, _each_record):
                seen.difference = next(check(dialect, cursor, jobs), None)
                if seen.difference is not None:
                    return seen
        if job_ids is None:
            seen.difference = next(_direct_calls(dialect, cursor), None)
    return seen


def _chunks(
    cursor: CursorWrapper, dialect: Dialect, job_ids: Sequence[int] | None
) -> Iterator[Jobs]:
    last, only = 0, ""
    parameters: list[Any] = []
    if job_ids is not None:
        condition, parameters = dialect.in_list("id", list(job_ids))
        only = f" AND {condition}"
    while True:
        cursor.execute(
            f"SELECT {', '.join(_JOB_COLUMNS)} FROM jobs_job WHERE id > %s{only} "
            "ORDER BY id LIMIT %s",
            [last, *parameters, CHUNK_JOBS],
        )
        found = cursor.fetchall()
        if not found:
            return
        jobs: dict[int, Mapping[str, Any]] = {}
        rows = 0
        for row in found:
            job = dict(zip(_JOB_COLUMNS, row, strict=True))
            rows += job["total"] + job["attempts"]
            if jobs and rows > CHUNK_ROWS:
                break
            jobs[job["id"]] = job
        last = max(jobs)
        yield jobs


def _of(dialect: Dialect, jobs: Collection[int], column: str = "job_id") -> tuple[str, list[Any]]:
    return dialect.in_list(column, list(jobs))


def _compare(
    job_id: int, expected: Mapping[str, int], found: Mapping[str, Any], where: str = ""
) -> Iterator[Difference]:
    for name, value in expected.items():
        if value != found[name]:
            yield Difference(job_id, f"{where}{name}", value, found[name])


def _count(condition: str) -> str:
    return f"SUM(CASE WHEN {condition} THEN 1 ELSE 0 END)"


def _records(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """Counters and sums of the records, and what each status goes with."""
    odd = {
        "running records without a lease": "status = 1 AND lease IS NULL",
        "leases on records that do not run": "status <> 1 AND lease IS NOT NULL",
        "reservations of records that do not run": "status <> 1 AND reserved <> 0",
        "succeeded records without a result": "status = 2 AND output IS NULL",
        "failed records without a failure class": "status = 3 AND failure_class IS NULL",
        "failure classes of records that have not failed": "status <> 3 "
        "AND failure_class IS NOT NULL",
        "results of records that have none": "status IN (3, 4) AND output IS NOT NULL",
        "results of open records that no replay keeps": "status IN (0, 1) "
        "AND output IS NOT NULL AND kept_from IS NULL",
        "former results that are gone": "kept_from IS NOT NULL AND output IS NULL",
    }
    sums = [
        "COUNT(*)",
        *(_count(f"status = {status.value}") for status in RecordStatus),
        *("SUM(reserved)", "SUM(cost)"),
        *(_count(condition) for condition in odd.values()),
    ]
    names = ("expanded", *_COUNTED, "reserved", "cost", *odd)
    where, parameters = _of(dialect, jobs)
    cursor.execute(
        f"SELECT job_id, {', '.join(sums)} FROM jobs_record WHERE {where} GROUP BY job_id",
        parameters,
    )
    counted = {
        job_id: dict(zip(names, map(int, row), strict=True)) for job_id, *row in cursor.fetchall()
    }
    for job_id, job in jobs.items():
        rows = counted.get(job_id) or dict.fromkeys(names, 0)
        for name in odd:
            if rows[name]:
                yield Difference(job_id, name, 0, rows[name])
        rows["pending"] += job["total"] - rows["expanded"]  # those that are not made yet
        yield from _compare(job_id, {n: rows[n] for n in ("expanded", *_COUNTED, "reserved")}, job)
        yield from _compare(job_id, {"cost": rows["cost"]}, job, "of all records, ")
        total = sum(rows[name] for name in _COUNTED)
        if total != job["total"]:
            yield Difference(job_id, "total", total, job["total"])


def _ends(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """A job that has ended holds nothing; one that has not says no end."""
    for job_id, job in jobs.items():
        ended = JobStatus(job["status"]).is_terminal
        if ended:
            nothing = dict.fromkeys(("pending", "running", "reserved"), 0)
            yield from _compare(job_id, nothing, job, "at its end, ")
        if ended != (job["finished_at"] is not None):
            has, states = ("an end", job["status"]) if ended else ("no end", job["finished_at"])
            yield Difference(job_id, "finished_at", has, f"{states}")


def _leases(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """Each running record stands on the lease it carries."""
    busy = [job_id for job_id, job in jobs.items() if job["running"]]
    if not busy:
        return
    where, parameters = _of(dialect, busy)
    cursor.execute(f"SELECT job_id, token, records FROM jobs_lease WHERE {where}", parameters)
    leased = {
        (job_id, token, n)
        for job_id, token, records in cursor.fetchall()
        for n in (orjson.loads(records) if isinstance(records, str) else records)
    }
    cursor.execute(
        f"SELECT job_id, n, lease FROM jobs_record WHERE {where} AND status = 1 ORDER BY job_id, n",
        parameters,
    )
    for job_id, n, token in cursor.fetchall():
        if (job_id, token, n) not in leased:
            yield Difference(job_id, f"lease of record {n}", "a lease that names it", f"{token}")


def _due(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """Each pending record can be found by a claim, and nothing else waits to be."""
    where, parameters = _of(dialect, jobs, "r.job_id")
    cursor.execute(
        "SELECT r.job_id, MIN(r.n) FROM jobs_record r JOIN jobs_job j ON j.id = r.job_id "
        f"WHERE {where} AND r.status = 0 AND r.n <= j.cursor AND NOT EXISTS "
        "(SELECT 1 FROM jobs_due d WHERE d.job_id = r.job_id AND d.n = r.n) "
        "GROUP BY r.job_id ORDER BY r.job_id",
        parameters,
    )
    for job_id, n in cursor.fetchall():
        yield Difference(job_id, f"due time of pending record {n}", "one", "none")
    where, parameters = _of(dialect, jobs, "d.job_id")
    cursor.execute(
        f"SELECT d.job_id, MIN(d.n) FROM jobs_due d WHERE {where} AND NOT EXISTS "
        "(SELECT 1 FROM jobs_record r WHERE r.job_id = d.job_id AND r.n = d.n AND r.status = 0) "
        "GROUP BY d.job_id ORDER BY d.job_id",
        parameters,
    )
    for job_id, n in cursor.fetchall():
        yield Difference(job_id, f"due time of record {n}, which is not pending", "none", "one")


Sums = dict[tuple[Any, ...], dict[str, int]]


def _read_sums(cursor: CursorWrapper, keys: int) -> Sums:
    """Of a query for key columns followed by sums in the order of `_SUMS`."""
    return {
        (*row[: keys - 1], str(row[keys - 1])): dict(
            zip(_SUMS, (int(value or 0) for value in row[keys:]), strict=True)
        )
        for row in cursor.fetchall()
    }


def _ledger(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """The ledger's lines against the job's sums and against the roll-ups, line by line."""
    where, parameters = _of(dialect, jobs)
    keys = "job_id, template_version_id, connection_id, model"
    cursor.execute(
        f"SELECT {keys}, day, {', '.join(f'SUM({s})' for s in _SUMS.values())} "
        f"FROM jobs_attempt WHERE {where} GROUP BY {keys}, day",
        parameters,
    )
    ledger = _read_sums(cursor, 5)
    totals: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SUMS, 0))
    for (job_id, *_), sums in ledger.items():
        for name, value in sums.items():
            totals[job_id][name] += value
    for job_id, job in jobs.items():
        yield from _compare(
            job_id, {own: totals[job_id][name] for name, own in _JOB_SUMS.items()}, job
        )
    cursor.execute(
        f"SELECT team_id, {keys}, day, {', '.join(_SUMS)} FROM jobs_costrollup WHERE {where}",
        parameters,
    )
    booked = {(jobs[job_id]["team_id"], job_id, *key): s for (job_id, *key), s in ledger.items()}
    yield from _same_sums(booked, _read_sums(cursor, 6), job_at=1)


def _same_sums(ledger: Sums, rollups: Sums, job_at: int | None) -> Iterator[Difference]:
    nothing = dict.fromkeys(_SUMS, 0)
    for key in sorted({*ledger, *rollups}, key=str):
        where = f"roll-up of {key[-2]} on {key[-1]}, "
        yield from _compare(
            0 if job_at is None else key[job_at],
            ledger.get(key, nothing),
            rollups.get(key, nothing),
            where,
        )


def _each_record(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """Of each record: one accepted attempt if it has a result and none else, of the replay that the
    result is said to come from, its cost, its calls."""
    where, parameters = _of(dialect, jobs)
    has_result = "CASE WHEN r.output IS NULL THEN 0 ELSE 1 END"
    came_from = f"{has_result} * COALESCE(r.kept_from, r.replay_id, 0)"
    cursor.execute(
        f"SELECT r.job_id, r.n, {has_result}, COALESCE(a.accepted, 0), "
        f"{came_from}, COALESCE(a.came_from, 0), COALESCE(a.cost, 0), r.cost, COALESCE(a.last, 0), "
        "r.calls FROM jobs_record r LEFT JOIN "
        f"(SELECT job_id, n, SUM({_SUMS['accepted']}) AS accepted, SUM({_SUMS['cost']}) AS cost, "
        "MAX(CASE WHEN outcome = 'accepted' THEN replay_id END) AS came_from, "
        f"MAX(number) AS last FROM jobs_attempt WHERE {where} GROUP BY job_id, n) a "
        f"ON a.job_id = r.job_id AND a.n = r.n WHERE r.{where} AND "
        f"(COALESCE(a.accepted, 0) <> {has_result} "
        f"OR COALESCE(a.came_from, 0) <> {came_from} "
        "OR COALESCE(a.cost, 0) <> r.cost OR COALESCE(a.last, 0) > r.calls) "
        "ORDER BY r.job_id, r.n LIMIT 1",
        [*parameters, *parameters],
    )
    for job_id, n, results, accepted, origin, found, ledger_cost, cost, *last in cursor.fetchall():
        if accepted != results:
            yield Difference(job_id, f"accepted attempts of record {n}", results, int(accepted))
        if ledger_cost != cost:
            yield Difference(job_id, f"cost of record {n}", int(ledger_cost), cost)
        if found != origin:
            yield Difference(job_id, f"replay behind the result of record {n}", found, origin)
        yield Difference(job_id, f"calls of record {n}", *last)


def _direct_calls(dialect: Dialect, cursor: CursorWrapper) -> Iterator[Difference]:
    """Template tries and connection tests against their roll-ups."""
    keys = "team_id, connection_id, model"
    cursor.execute(
        f"SELECT {keys}, day, {', '.join(f'SUM({s})' for s in _SUMS.values())} "
        f"FROM jobs_directcall GROUP BY {keys}, day"
    )
    ledger = _read_sums(cursor, 4)
    cursor.execute(f"SELECT {keys}, day, {', '.join(_SUMS)} FROM jobs_costrollup WHERE job_id = 0")
    yield from _same_sums(ledger, _read_sums(cursor, 4), job_at=None)
