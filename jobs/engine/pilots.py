"""A pilot is the first stage of its job: some rows go first, and then the job pauses for a person.

Their records are there from the launch on, due at once, and claims do not walk ahead while the stage is
on. Nothing else is different: what they bring are results of the job, and what they cost is its cost.
"""

from datetime import datetime

from django.db import connection, transaction

from jobs.engine.dialect import dialect_of
from jobs.engine.expanding import expand_locked
from jobs.engine.writing import put_due
from jobs.models import DueReason, Job, RecordStatus

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
