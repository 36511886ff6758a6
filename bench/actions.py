"""The steps of the benchmarks, each in a process of its own; see `bench.inside`."""

import statistics
import time
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from bench.data import MODEL, SCHEMA, SYSTEM, text_of
from bench.measuring import measured
from jobs.engine import tasks
from jobs.engine.records import AttemptLine, Claimed, Settlement
from jobs.engine.store import Store
from jobs.models import (
    Attempt,
    AttemptOutcome,
    Connection,
    Dataset,
    Job,
    Lease,
    Membership,
    Price,
    PromptTemplate,
    Purpose,
    Record,
    RecordStatus,
    Role,
    Team,
    TemplateVersion,
)
from jobs.providers.types import Usage


def migrate() -> None:
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


def prepare(
    *, rows: int, url: str, max_in_flight: int | None = None, name: str = "bench"
) -> dict[str, Any]:
    """A team with a dataset of `rows` rows, a template, a priced connection, and a queued job."""
    team = Team.objects.create(name=f"{name} {Team.objects.count()}")
    user = User.objects.create(username=f"bench-{team.pk}")
    Membership.objects.create(user=user, team=team, role=Role.ADMIN)
    dataset = Dataset.objects.create(
        team=team, name=name, status="ready", rows=rows, filename="bench.jsonl",
        columns=[{"name": "text", "type": "text", "nulls": 0, "examples": []}],
    )  # fmt: skip
    _fill(dataset.pk, rows)
    template = PromptTemplate.objects.create(team=team, name=name, latest_version=1)
    version = TemplateVersion.objects.create(
        template=template, version=1, system=SYSTEM, user="{{ text }}", output_schema=SCHEMA
    )
    made = Connection.objects.create(
        team=team, name=name, kind="simulator", base_url=url, max_in_flight=max_in_flight
    )
    Price.objects.create(
        team=team, connection=made, model=MODEL, source="bench", effective_from="2020-01-01T00:00Z",
        input=150_000, cached_input=75_000, cache_write=150_000, output=600_000,
    )  # fmt: skip
    job = Job.objects.create(
        team=team, name=name, dataset=dataset, template_version=version, connection=made,
        model=MODEL, total=rows, pending=rows, parameters={"max_tokens": 200},
    )  # fmt: skip
    return {"job": job.pk, "team": team.pk, "user": user.pk}


def _fill(dataset_id: int, rows: int) -> None:
    """Rows by the database itself, with the text of `bench.data.text_of`."""
    before, _, after = text_of(0).partition("0")
    text = f"'{{\"text\":\"{before}' || n || '{after}\"}}'"
    source = (
        f"generate_series(1, {rows}) n"
        if connection.vendor == "postgresql"
        else f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows}) "
        "SELECT n FROM c)"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_datasetrow (dataset_id, n, line, data) "
            f"SELECT {dataset_id}, n, n, {text} FROM {source}"
        )


def work(*, idle: float = 0.5) -> dict[str, Any]:
    """One slice in this process, until there is no work."""
    with measured() as used:
        tasks.run_slice(idle=idle)
    return used


def expand(*, job: int) -> None:
    """All records of a job, as its launch makes them."""
    tasks.expand(job)


def claim(*, job: int) -> None:
    """All records of a job, in batches as a slice takes them; nothing is sent."""
    store = Store()
    store.sync_clock()
    while store.claim(job, "bench", 256, lambda record: None, allow_suspect=False):
        pass


def held(*, job: int, sizes: list[int], times: int = 40) -> dict[str, dict[str, float]]:
    """Seconds (median) for which a job's row is locked to claim and to settle so many records."""
    store = Store()
    store.sync_clock()
    connection_id = Job.objects.values_list("connection_id", flat=True).get(pk=job)
    version_id = Job.objects.values_list("template_version_id", flat=True).get(pk=job)
    found: dict[str, dict[str, float]] = {"claim": {}, "settle": {}}
    for size in sizes:
        took: dict[str, list[float]] = {"claim": [], "settle": []}
        for _ in range(times):
            began = time.perf_counter()
            records = store.claim(job, "bench", size, lambda record: None, allow_suspect=False)
            claimed = time.perf_counter()
            settled = [_answered(record, connection_id, version_id) for record in records]
            ready = time.perf_counter()
            store.settle(job, "bench", settled, [records[0].lease])
            took["claim"].append(claimed - began)
            took["settle"].append(time.perf_counter() - ready)
        for name, seconds in took.items():
            found[name][str(size)] = statistics.median(seconds)
    return found


def _answered(record: Claimed, connection_id: int, version_id: int) -> Settlement:
    usage = '{"prompt_tokens":60,"completion_tokens":12,"total_tokens":72}'
    line = AttemptLine(
        outcome=AttemptOutcome.ACCEPTED, purpose=Purpose.FIRST, generation=0, replay_id=None,
        template_version_id=version_id, connection_id=connection_id, model=MODEL,
        model_returned=MODEL, day=record.day, started_at=timezone.now(), waited_ms=1, took_ms=1,
        http_status=200,
        provider_request_id="req_0123456789abcdef", failure_class="", message="",
        retry_after_ms=None, usage=Usage(input_tokens=60, output_tokens=12, raw=usage),
        price_id=1, cost=16_200_000, charged=True,
    )  # fmt: skip
    return Settlement(
        job_id=record.job_id, n=record.n, lease=record.lease, number=record.number,
        status=RecordStatus.SUCCEEDED, reserved=0, uses_try=True, model=MODEL,
        output='{"label":"late","score":3}', attempt=line,
    )  # fmt: skip


def forget(*, job: int) -> None:
    """Take a job out of every slice's sight."""
    Lease.objects.filter(job_id=job).delete()
    Job.objects.filter(pk=job).update(status="cancelled")


def outcome(*, job: int) -> dict[str, Any]:
    """How a job went, by its own times and by the ledger's."""
    found = Job.objects.get(pk=job)
    assert found.started_at is not None
    assert found.finished_at is not None, found.status
    attempts = Attempt.objects.filter(job_id=job)
    last = attempts.order_by("-started_at").values_list("started_at", flat=True)[0]
    longest = attempts.order_by("-took_ms").values_list("took_ms", flat=True)[0]
    return {
        "status": found.status,
        "succeeded": found.succeeded,
        "attempts": found.attempts,
        "seconds": (found.finished_at - found.started_at).total_seconds(),
        "tail": (found.finished_at - last).total_seconds(),
        "longest": longest / 1000,
        "records": Record.objects.filter(job_id=job).count(),
    }
