"""The results that were taken instead of calls, as records, jobs and roll-ups count them, and the hints
for those that may be taken yet."""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from jobs.engine.dialect import Dialect
from jobs.engine.difference import Difference, Jobs, compare, jobs_in

_COUNTS = ("shared", "reused")


def taken_results(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """Of a job that was replayed, fewer records have such a result still than had once."""
    where, parameters = jobs_in(dialect, jobs)

    def counted(query: str) -> dict[int, dict[str, int]]:
        cursor.execute(query.format(where), parameters)
        found = {job_id: map(int, counts) for job_id, *counts in cursor.fetchall()}
        return {
            job_id: dict(zip(_COUNTS, found.get(job_id, (0, 0)), strict=True)) for job_id in jobs
        }

    own = "CASE WHEN source_job_id = job_id THEN 1 ELSE 0 END"
    records = counted(
        f"SELECT job_id, SUM({own}), SUM(1 - {own}) FROM jobs_record "
        "WHERE {} AND source_job_id IS NOT NULL GROUP BY job_id"
    )
    booked = counted(
        "SELECT job_id, SUM(shared), SUM(reused) FROM jobs_costrollup WHERE {} GROUP BY job_id"
    )
    cursor.execute(f"SELECT DISTINCT job_id FROM jobs_replay WHERE {where}", parameters)
    replayed = {job_id for (job_id,) in cursor.fetchall()}
    cursor.execute(
        f"SELECT job_id, COUNT(*) FROM jobs_borrowed WHERE {where} GROUP BY job_id", parameters
    )
    hints = dict(cursor.fetchall())
    for job_id, job in jobs.items():
        found = records[job_id]
        if job_id in replayed:
            found = {name: max(count, job[name]) for name, count in found.items()}
        yield from compare(job_id, found, job)
        yield from compare(job_id, booked[job_id], job, "of all days, ")
        yield from compare(job_id, {"borrows": hints.get(job_id, 0)}, job)
