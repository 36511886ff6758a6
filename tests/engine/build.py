"""What the engine's tests are made of: a team, its data, a job; and the checks that always hold."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db.models import Count, Sum

from jobs.models import (
    Attempt,
    Connection,
    CostRollup,
    Dataset,
    DatasetRow,
    Due,
    Job,
    Lease,
    Price,
    PromptTemplate,
    Record,
    RecordStatus,
    Team,
    TemplateVersion,
)

MODEL = "sim-small"
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["label", "score"],
    "additionalProperties": False,
}
# Pico-USD per token.
INPUT_PRICE, CACHED_PRICE, OUTPUT_PRICE = 150_000, 75_000, 600_000


def make_dataset(team: Team, rows: Sequence[Mapping[str, Any]]) -> Dataset:
    columns = sorted({name for row in rows for name in row})
    dataset = Dataset.objects.create(
        team=team,
        name="data",
        status="ready",
        rows=len(rows),
        filename="data.jsonl",
        columns=[{"name": name, "type": "text", "nulls": 0, "examples": []} for name in columns],
    )
    DatasetRow.objects.bulk_create(
        [
            DatasetRow(dataset_id=dataset.pk, n=n, line=n, data=orjson.dumps(row).decode())
            for n, row in enumerate(rows, 1)
        ],
        batch_size=1000,
    )
    return dataset


def texts(count: int) -> list[dict[str, str]]:
    return [{"text": f"Ticket number {n}: the parcel is late"} for n in range(1, count + 1)]


def make_job(
    rows: int | Sequence[Mapping[str, Any]] = 10,
    *,
    url: str = "http://127.0.0.1:9",
    schema: Mapping[str, Any] | None = SCHEMA,
    user: str = "{{ text }}",
    priced: bool = True,
    team: Team | None = None,
    limits: Mapping[str, int] | None = None,
    **fields: Any,
) -> Job:
    """A job as a launch leaves it: queued, with no records yet."""
    team = team or Team.objects.create(name=f"team {Team.objects.count() + 1}")
    data = texts(rows) if isinstance(rows, int) else rows
    dataset = make_dataset(team, data)
    template = PromptTemplate.objects.create(
        team=team, name=f"template {PromptTemplate.objects.count() + 1}", latest_version=1
    )
    version = TemplateVersion.objects.create(
        template=template, version=1, system="Sort.", user=user, output_schema=schema
    )
    connection = Connection.objects.create(
        team=team,
        name=f"connection {Connection.objects.count() + 1}",
        kind="simulator",
        base_url=url,
        **(limits or {}),
    )
    if priced:
        Price.objects.create(
            team=team,
            connection=connection,
            model=MODEL,
            input=INPUT_PRICE,
            cached_input=CACHED_PRICE,
            cache_write=INPUT_PRICE,
            cache_write_1h=INPUT_PRICE,
            output=OUTPUT_PRICE,
            effective_from=datetime(2020, 1, 1, tzinfo=UTC),
            source="test",
        )
    total = fields.pop("total", len(data))
    fields.setdefault("parameters", {"max_tokens": 200, "timeout": 2})
    return Job.objects.create(
        team=team,
        name="job",
        dataset=dataset,
        template_version=version,
        connection=connection,
        model=fields.pop("model", MODEL),
        total=total,
        pending=total,
        **fields,
    )


def check_invariants(job_id: int) -> Job:
    """What must hold in every committed state of a job; returns it fresh."""
    job = Job.objects.get(pk=job_id)
    by_status = dict(
        Record.objects.filter(job_id=job_id).values_list("status").annotate(n=Count("n"))
    )
    there = sum(by_status.values())
    assert there == job.expanded <= job.total
    counted = {
        status: by_status.get(status.value, 0)
        + (job.total - job.expanded if status is RecordStatus.PENDING else 0)
        for status in RecordStatus
    }
    assert counted == {
        RecordStatus.PENDING: job.pending,
        RecordStatus.RUNNING: job.running,
        RecordStatus.SUCCEEDED: job.succeeded,
        RecordStatus.FAILED: job.failed,
        RecordStatus.CANCELLED: job.cancelled,
    }
    assert sum(counted.values()) == job.total
    _check_ledger(job)
    _check_records(job)
    return job


def _check_ledger(job: Job) -> None:
    attempts = Attempt.objects.filter(job_id=job.pk)
    confirmed = attempts.exclude(outcome="in_doubt")
    in_doubt = attempts.filter(outcome="in_doubt")

    def total(found: Any, column: str) -> int:
        return found.aggregate(n=Sum(column))["n"] or 0

    assert job.attempts == attempts.count()
    assert job.cost == total(confirmed, "cost")
    assert job.wasted_cost == total(confirmed.exclude(outcome="accepted"), "cost")
    assert job.input_tokens == total(confirmed, "input_tokens")
    assert job.output_tokens == total(confirmed, "output_tokens")
    assert job.in_doubt_attempts == in_doubt.count()
    assert job.in_doubt_cost == total(in_doubt, "cost")
    assert total(Record.objects.filter(job_id=job.pk), "cost") == job.cost
    rollups = CostRollup.objects.filter(job_id=job.pk)
    assert total(rollups, "calls") == job.attempts
    assert total(rollups, "cost") == job.cost
    assert total(rollups, "wasted_cost") == job.wasted_cost
    assert total(rollups, "in_doubt_calls") == job.in_doubt_attempts
    assert total(rollups, "in_doubt_cost") == job.in_doubt_cost
    assert total(rollups, "input_tokens") == job.input_tokens
    assert total(rollups, "output_tokens") == job.output_tokens
    assert total(rollups, "accepted") == attempts.filter(outcome="accepted").count()


def _check_records(job: Job) -> None:
    records = Record.objects.filter(job_id=job.pk)
    assert job.reserved == (records.aggregate(n=Sum("reserved"))["n"] or 0)
    if job.budget is not None:
        assert job.cost + job.in_doubt_cost + job.reserved <= job.budget
    # One accepted answer at most, and exactly one for a record that succeeded.
    accepted = dict(
        Attempt.objects.filter(job_id=job.pk, outcome="accepted")
        .values_list("n")
        .annotate(c=Count("number"))
    )
    assert set(accepted.values()) <= {1}
    succeeded = records.filter(status=RecordStatus.SUCCEEDED)
    assert set(accepted) == set(succeeded.values_list("n", flat=True))
    assert not succeeded.filter(output__isnull=True).exists()
    assert not records.filter(status=RecordStatus.FAILED, failure_class__isnull=True).exists()
    assert (
        not records.exclude(status=RecordStatus.FAILED).filter(failure_class__isnull=False).exists()
    )
    running = records.filter(status=RecordStatus.RUNNING)
    assert not running.filter(lease__isnull=True).exists()
    assert not records.exclude(status=RecordStatus.RUNNING).filter(lease__isnull=False).exists()
    # Every running record is under a lease that knows it.
    leased = {
        (lease.token, n) for lease in Lease.objects.filter(job_id=job.pk) for n in lease.records
    }
    assert set(running.values_list("lease", "n")) <= leased
    # Every pending record can be found again: ahead of the cursor, or due at some time.
    behind = set(
        records.filter(status=RecordStatus.PENDING, n__lte=job.cursor).values_list("n", flat=True)
    )
    due = set(Due.objects.filter(job_id=job.pk).values_list("n", flat=True))
    assert behind <= due
    if job.state.is_terminal:
        assert job.pending == job.running == job.reserved == 0
        assert job.finished_at is not None
