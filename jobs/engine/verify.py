"""Whether the books are right: what the counters, the ledger and the leases say of each job, held
against the rows themselves.

Read-only, and in one snapshot: it is right while work goes on. Each check is a few grouped queries over
a chunk of jobs, so that neither the number of jobs nor that of their rows is held in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from jobs.engine.budget_checks import budgets_of_teams, grants_of_jobs
from jobs.engine.closed_checks import closed_months
from jobs.engine.dialect import Dialect, dialect_of
from jobs.engine.difference import Difference, Jobs, compare, jobs_in
from jobs.engine.ledger_checks import (
    ledger_of_direct_calls,
    ledger_of_jobs,
    ledger_of_records,
)
from jobs.engine.taken_checks import taken_results
from jobs.models import JobStatus, RecordStatus

# Jobs looked at together; fewer where they are large.
CHUNK_JOBS = 200
CHUNK_ROWS = 1_000_000

_COUNTED = tuple(status.name.lower() for status in RecordStatus)
_JOB_COLUMNS = (
    "id", "team_id", "status", "total", "expanded", *_COUNTED, "reserved", "attempts",
    "input_tokens", "cached_input_tokens", "output_tokens", "cost", "wasted_cost", "in_doubt_cost",
    "in_doubt_attempts", "unpriced_attempts", "estimated_attempts", "estimated_cost", "cursor",
    "finished_at", "shared", "reused", "borrows",
)  # fmt: skip


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
            for check in (
                *(_records, _ends, _leases, _due, ledger_of_jobs, ledger_of_records, taken_results),
                grants_of_jobs,
            ):
                seen.difference = next(check(dialect, cursor, jobs), None)
                if seen.difference is not None:
                    return seen
        if job_ids is None:
            last_checks = chain(
                ledger_of_direct_calls(dialect, cursor),
                budgets_of_teams(dialect, cursor),
                closed_months(),
            )
            seen.difference = next(last_checks, None)
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
        "sources of results that are not there": "source_job_id IS NOT NULL AND output IS NULL",
    }
    sums = [
        "COUNT(*)",
        *(_count(f"status = {status.value}") for status in RecordStatus),
        *("SUM(reserved)", "SUM(cost)"),
        *(_count(condition) for condition in odd.values()),
    ]
    names = ("expanded", *_COUNTED, "reserved", "cost", *odd)
    where, parameters = jobs_in(dialect, jobs)
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
        yield from compare(job_id, {n: rows[n] for n in ("expanded", *_COUNTED, "reserved")}, job)
        yield from compare(job_id, {"cost": rows["cost"]}, job, "of all records, ")
        total = sum(rows[name] for name in _COUNTED)
        if total != job["total"]:
            yield Difference(job_id, "total", total, job["total"])


def _ends(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """A job that has ended holds nothing; one that has not says no end."""
    for job_id, job in jobs.items():
        ended = JobStatus(job["status"]).is_terminal
        if ended:
            nothing = dict.fromkeys(("pending", "running", "reserved"), 0)
            yield from compare(job_id, nothing, job, "at its end, ")
        if ended != (job["finished_at"] is not None):
            has, states = ("an end", job["status"]) if ended else ("no end", job["finished_at"])
            yield Difference(job_id, "finished_at", has, f"{states}")


def _leases(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """Each running record stands on the lease it carries."""
    busy = [job_id for job_id, job in jobs.items() if job["running"]]
    if not busy:
        return
    where, parameters = jobs_in(dialect, busy)
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
    where, parameters = jobs_in(dialect, jobs, "r.job_id")
    cursor.execute(
        "SELECT r.job_id, MIN(r.n) FROM jobs_record r JOIN jobs_job j ON j.id = r.job_id "
        f"WHERE {where} AND r.status = 0 AND r.n <= j.cursor AND NOT EXISTS "
        "(SELECT 1 FROM jobs_due d WHERE d.job_id = r.job_id AND d.n = r.n) "
        "GROUP BY r.job_id ORDER BY r.job_id",
        parameters,
    )
    for job_id, n in cursor.fetchall():
        yield Difference(job_id, f"due time of pending record {n}", "one", "none")
    where, parameters = jobs_in(dialect, jobs, "d.job_id")
    cursor.execute(
        f"SELECT d.job_id, MIN(d.n) FROM jobs_due d WHERE {where} AND NOT EXISTS "
        "(SELECT 1 FROM jobs_record r WHERE r.job_id = d.job_id AND r.n = d.n AND r.status = 0) "
        "GROUP BY d.job_id ORDER BY d.job_id",
        parameters,
    )
    for job_id, n in cursor.fetchall():
        yield Difference(job_id, f"due time of record {n}, which is not pending", "none", "one")
