"""Making what was written just now something of some time ago, and more of it: a demo without a past
shows little."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from jobs.models import (
    Attempt,
    AuditEvent,
    Connection,
    CostRollup,
    Dataset,
    Job,
    Membership,
    Notice,
    Price,
    PromptTemplate,
    Record,
    Team,
    TemplateVersion,
    Throughput,
)
from jobs.models.fields import new_public_id

_SET_UP: Sequence[tuple[Any, tuple[str, ...]]] = (
    (Team, ("created_at",)),
    (Membership, ("created_at",)),
    (Dataset, ("created_at", "ready_at")),
    (PromptTemplate, ("created_at", "updated_at")),
    (TemplateVersion, ("created_at",)),
    (Connection, ("created_at", "updated_at")),
    (Price, ("created_at", "effective_from")),
    (AuditEvent, ("at",)),
)
_OF_A_JOB: Sequence[tuple[Any, str, tuple[str, ...]]] = (
    (Job, "pk", ("created_at", "started_at", "finished_at", "status_at")),
    (Record, "job_id", ("finished_at",)),
    (Attempt, "job_id", ("started_at",)),
    (Throughput, "job_id", ("at",)),
)


def move_set_up(ago: timedelta) -> None:
    """All that is there by now, before any job."""
    for model, columns in _SET_UP:
        _move(_all(model), columns, ago)


def move_job(job: Job, ago: timedelta) -> None:
    """A job that has ended, with its records, its costs and who launched it."""
    for model, key, columns in _OF_A_JOB:
        _move(_all(model).filter(**{key: job.pk}), columns, ago)
    day = (timezone.now() - ago).date()
    for booked in (CostRollup, Attempt):
        _all(booked).filter(job_id=job.pk).update(day=day)
    _move(_all(AuditEvent).filter(object_id=job.public_id), ("at",), ago)
    _move(_all(Notice).filter(key__startswith=f"job:{job.pk}:"), ("created_at",), ago)


@transaction.atomic
def copy_job(job: Job, ago: timedelta, name: str) -> Job:
    """The same job once more, some time ago: its records, its ledger and its roll-ups line by line, so
    that the copy's books are as right as the job's. What was sent and answered is not kept with it."""
    copy = Job.objects.get(pk=job.pk)
    copy.pk, copy.public_id, copy.launch_key, copy.name = None, new_public_id(), "", name
    copy.estimate = {}  # one that was right (or wrong) once does not count for each copy
    copy.save(force_insert=True)
    # `created_at` is set by the saving.
    Job.objects.filter(pk=copy.pk).update(created_at=job.created_at)
    for model, forgotten in ((Record, ()), (Attempt, ("request", "answer")), (CostRollup, ())):
        _copy_rows(model, job.pk, copy.pk, forgotten)
    own = _all(Record).filter(job_id=copy.pk, source_job_id=job.pk)
    own.update(source_job_id=copy.pk)
    move_job(copy, ago)
    return copy


def _copy_rows(model: Any, job_id: int, copy_id: int, forgotten: Sequence[str]) -> None:
    names = [
        field.column
        for field in model._meta.concrete_fields
        if field.column not in (None, "id", "job_id", *forgotten)
    ]
    columns, table = ", ".join(names), model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (job_id, {columns}) SELECT %s, {columns} FROM {table} "
            "WHERE job_id = %s",
            [copy_id, job_id],
        )


def _all(model: Any) -> QuerySet[Any]:
    """Every row, past the guards: prices and audit events change in no other place."""
    return QuerySet(model)


def _move(rows: QuerySet[Any], columns: tuple[str, ...], ago: timedelta) -> None:
    rows.update(**{column: F(column) - ago for column in columns})
