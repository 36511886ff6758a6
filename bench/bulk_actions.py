"""The steps of the benchmarks over a million rows; see `bench.inside`."""

import csv
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from bench.measuring import measured
from jobs.control.export import results_stream
from jobs.control.launch import LaunchSpec, job_launch
from jobs.datasets.ingest import ingest as ingest_task
from jobs.engine.tasks import expand
from jobs.models import Attempt, Dataset, Job, JobStatus, Role, Team
from jobs.teams.access import Actor

CHUNK = 5_000


def ingest(*, path: str, rows: int) -> dict[str, Any]:
    upload = Path(settings.UPLOAD_DIR) / "bench.csv"
    shutil.copy(path, upload)
    dataset = Dataset.objects.create(
        team=Team.objects.create(name=f"ingest {Team.objects.count()}"),
        name="bench", filename="bench.csv", path=upload.name, bytes=upload.stat().st_size,
    )  # fmt: skip
    with measured() as used:
        ingest_task(dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.rows) == ("ready", rows), (dataset.status, dataset.errors)
    return used


def ingest_bare(*, path: str) -> dict[str, Any]:
    """csv, a fast JSON library, and the database's quickest way in; nothing is checked."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare")
        cursor.execute("CREATE TABLE bare (n integer PRIMARY KEY, data text)")
        with measured() as used, open(path, newline="") as file:
            reader = csv.reader(file)
            names = next(reader)
            lines = (
                (n, orjson.dumps(dict(zip(names, row, strict=True))).decode())
                for n, row in enumerate(reader, 1)
            )
            if connection.vendor == "postgresql":
                with cursor.cursor.copy("COPY bare (n, data) FROM STDIN") as copy:  # type: ignore[attr-defined]
                    for line in lines:
                        copy.write_row(line)
            else:
                with transaction.atomic():
                    cursor.executemany("INSERT INTO bare VALUES (%s, %s)", lines)
    return used


def finish(*, job: int) -> None:
    """Take a job out of the way of the slices."""
    Job.objects.filter(pk=job).update(status=JobStatus.CANCELLED, pending=0, cancelled=1)


def launch(*, like: int, user: int) -> dict[str, Any]:
    """Launch another job over the same rows and make its records, as the queue's task does."""
    model = Job.objects.select_related("team").get(pk=like)
    person = User.objects.get(pk=user)
    actor = Actor(
        user=person, team=model.team, role=Role.ADMIN, is_installation_admin=False,
        via="session", address="127.0.0.1",
    )  # fmt: skip
    began = time.monotonic()
    job = job_launch(
        actor=actor,
        spec=LaunchSpec(
            dataset=model.dataset, template_version=model.template_version,
            connection=model.connection, model=model.model,
        ),
    )  # fmt: skip
    request = time.monotonic() - began
    expand(job.pk)
    there = time.monotonic() - began
    Job.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED)
    return {"job": job.pk, "request_ms": request * 1000, "expanded_s": there}


def first_call(*, job: int) -> dict[str, Any]:
    first = Attempt.objects.filter(job_id=job).order_by("started_at").first()
    assert first is not None
    created = Job.objects.values_list("created_at", flat=True).get(pk=job)
    return {"first_call_s": (first.started_at - created).total_seconds()}


def pretend(*, job: int, attempts_each: int) -> None:
    """Give every record a result, one in twenty a failure, and `attempts_each` lines of ledger."""
    found = Job.objects.get(pk=job)
    now = timezone.now()
    total = found.total
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_record (job_id, n, status, calls, tries, deaths, reserved, "
            "generation, failure_class, fingerprint, message, output, model, cost, finished_at) "
            "SELECT %s, n, CASE WHEN n %% 20 = 0 THEN 3 ELSE 2 END, %s, 1, 0, 0, 0, "
            "CASE WHEN n %% 20 = 0 THEN 'refusal' END, CASE WHEN n %% 20 = 0 THEN "
            "'abc' || (n %% 7) END, CASE WHEN n %% 20 = 0 THEN 'The model refused' END, "
            'CASE WHEN n %% 20 <> 0 THEN \'{"label":"late","score":\' || n %% 5 || \'}\' END, '
            "'sim-small', 3000000, %s FROM generate_series(1, %s) n",
            [job, attempts_each, now, total],
        )
        cursor.execute(
            "INSERT INTO jobs_attempt (job_id, n, number, outcome, purpose, generation, "
            "template_version_id, connection_id, model, model_returned, worker, day, started_at, "
            "waited_ms, took_ms, http_status, provider_request_id, failure_class, message, "
            "input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, "
            "reasoning_tokens, usage_estimated, usage, cost) "
            "SELECT %s, n, k, CASE WHEN k = %s AND n %% 20 <> 0 THEN 'accepted' ELSE 'failed' END, "
            "'first', 0, %s, %s, 'sim-small', 'sim-small', 'w', %s, %s, 1, 200, 200, '', "
            "CASE WHEN k = %s AND n %% 20 <> 0 THEN '' ELSE 'refusal' END, '', 20, 0, 0, 5, 0, "
            "false, '', 300000 FROM generate_series(1, %s) n, generate_series(1, %s) k",
            [job, attempts_each, found.template_version_id, found.connection_id, now.date(), now,
             attempts_each, total, attempts_each],
        )  # fmt: skip
        cursor.execute(
            "INSERT INTO jobs_costrollup (job_id, template_version_id, connection_id, model, day, "
            "team_id, calls, input_tokens, cached_input_tokens, cache_write_tokens, "
            "output_tokens, cost, wasted_cost, in_doubt_cost, in_doubt_calls, unpriced_calls, "
            "estimated_calls, accepted) SELECT %s, %s, %s, 'sim-small', d::date, %s, 1000, 1, 0, "
            "0, 1, 1000, 10, 0, 0, 0, 0, 900 FROM generate_series(now() - interval '60 days', "
            "now(), '1 day') d",
            [job, found.template_version_id, found.connection_id, found.team_id],
        )
    failed = total // 20
    Job.objects.filter(pk=job).update(
        status=JobStatus.PAUSED, status_reason="person", started_at=now, expanded=total,
        cursor=total, pending=0, succeeded=total - failed, failed=failed,
        attempts=total * attempts_each, cost=total * attempts_each * 300_000,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def export(*, job: int, format: str) -> dict[str, Any]:  # noqa: A002
    found = Job.objects.get(pk=job)
    size = 0
    with measured() as used:
        for piece in results_stream(found, format, "all"):  # type: ignore[arg-type]
            size += len(piece)
    return used | {"bytes": size}


def export_bare(*, job: int) -> dict[str, Any]:
    query = (
        "COPY (SELECT row_to_json(t) FROM (SELECT r.n, d.data, r.output, r.status, r.cost "
        "FROM jobs_record r JOIN jobs_job j ON j.id = r.job_id JOIN jobs_datasetrow d "
        f"ON d.dataset_id = j.dataset_id AND d.n = r.n WHERE r.job_id = {job} ORDER BY r.n) t) "
        "TO STDOUT"
    )
    size = 0
    with connection.cursor() as cursor, measured() as used, cursor.cursor.copy(query) as copy:  # type: ignore[attr-defined]
        for piece in copy:
            size += len(piece)
    return used | {"bytes": size}


def pages(*, job: int, user: int, times: int) -> dict[str, Any]:
    """p95 of the server time, in ms, by address."""
    found = Job.objects.get(pk=job)
    client = Client(SERVER_NAME="localhost")
    client.force_login(
        User.objects.get(pk=user), backend="django.contrib.auth.backends.ModelBackend"
    )
    one = f"/jobs/{found.public_id}/"
    middle = found.total // 2
    addresses = [
        "/", "/jobs/", "/datasets/", "/templates/", "/costs/", "/costs/?by=job", one,
        f"{one}?status=failed", f"{one}?status=succeeded", f"{one}?status=failed&class=refusal",
        f"{one}?q=late", f"{one}?tab=activity", f"{one}?tab=config", f"{one}failures/",
        f"{one}records/{middle}/", f"{one}replay/", "/settings/workers/",
    ]  # fmt: skip
    timed = {address: _p95(client, address, times) for address in addresses}
    part = {"headers": {"HX-Request": "true", "HX-Target": "section#live"}}
    assert b"<html" not in client.get(one, **part).content  # type: ignore[arg-type]
    fragment = _p95(client, one, times, **part)
    return {"pages": timed, "fragment": fragment}


def _p95(client: Client, address: str, times: int, **options: Any) -> float:
    took = []
    for at in range(times + 3):
        began = time.monotonic()
        response = client.get(address, **options)
        assert response.status_code in (200, 304), (address, response.status_code)
        if at >= 3:  # the first ones compile templates
            took.append((time.monotonic() - began) * 1000)
    return statistics.quantiles(took, n=20)[-1]
