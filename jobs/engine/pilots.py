"""A pilot is the first stage of its job: some rows go first, and then the job pauses for a person.

Their records are there from the launch on, due at once, and claims do not walk ahead while the stage is
on. Nothing else is different: what they bring are results of the job, and what they cost is its cost.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from jobs.costs.estimates import estimate_pilot
from jobs.engine.counters import nothing_due
from jobs.engine.dialect import dialect_of
from jobs.engine.expanding import expand_locked
from jobs.engine.store import Store
from jobs.engine.writing import put_due
from jobs.models import DueReason, Job, JobStatus, RecordStatus, StatusReason
from jobs.money import money_text

SIZES = (10, 50, 100)


def begin_pilot(job: Job, now: datetime) -> None:
    """Make the records of the pilot of a job that is launched, in the transaction that saves it."""
    dialect, numbers = dialect_of(connection), job.selection["pilot"]
    with transaction.atomic(), connection.cursor() as cursor:
        made = expand_locked(dialect, cursor, job.pk, RecordStatus.PENDING, at_most=len(numbers))
        put_due(
            dialect,
            cursor,
            [(job.pk, n, dialect.time(now), DueReason.PILOT.value) for n in numbers],
        )
    Job.objects.filter(pk=job.pk).update(expanded=made)


def conclude_pilots(store: Store) -> None:
    """Say of each job that has paused after its pilot what all its rows will cost. Safe to do twice."""
    paused = Job.objects.filter(status=JobStatus.PAUSED, pilot_rows__gt=0, running=0)
    for job in paused.select_related("dataset", "template_version", "connection"):
        since = job.status_at or job.created_at
        told = job.estimate.get("pilot")
        if not nothing_due(job.pk) or (told and datetime.fromisoformat(told["at"]) >= since):
            continue
        pilot = estimate_pilot(job, store.clock.now())
        changes: dict[str, Any] = {"estimate": {**job.estimate, "pilot": pilot}}
        if job.status_reason == StatusReason.PILOT:
            changes["status_detail"] = words_of_pilot(job, pilot)
        # Of a person who resumes and this, who is first.
        Job.objects.filter(pk=job.pk, status=job.status, status_at=job.status_at).update(**changes)


def words_of_pilot(job: Job, pilot: Mapping[str, Any]) -> str:
    """The new estimate as a sentence."""
    done = job.succeeded + job.failed
    failed = f", {job.failed:,} of them failed" if job.failed else ""
    begin = f"{done:,} of {job.total:,} rows are done{failed}"
    then = "Look at the answers, then run the remaining rows or cancel."
    cost = pilot.get("cost")
    if cost is None:
        return f"{begin}. What all of them will cost cannot be told. {then}"
    low, expected, high = (money_text(cost[name]) for name in ("low", "expected", "high"))
    return (
        f"{begin} and cost {money_text(job.cost)}. All rows together are expected to cost {expected}: "
        f"from {low} to {high}, nine times in ten. {then}"
    )
