"""What the engine's tests are made of: a team, its data, a job; and the checks that always hold."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from jobs.engine.verify import verify
from jobs.models import (
    Connection,
    Dataset,
    DatasetRow,
    Job,
    Price,
    PromptTemplate,
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
    prices: tuple[int, int] = (INPUT_PRICE, OUTPUT_PRICE),
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
            model=fields.get("model", MODEL),
            input=prices[0],
            cached_input=CACHED_PRICE,
            cache_write=prices[0],
            cache_write_1h=prices[0],
            output=prices[1],
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
    verified = verify([job_id])
    assert verified.difference is None, str(verified.difference)
    job = Job.objects.get(pk=job_id)
    if job.budget is not None:
        assert job.cost + job.in_doubt_cost + job.reserved <= job.budget
    return job
