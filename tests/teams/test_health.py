"""The routes for machines that watch."""

import re
from datetime import timedelta

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from jobs import queue
from jobs.models import CostRollup, Job, Worker
from tests.engine.build import make_job

pytestmark = pytest.mark.django_db


def seen(ago: timedelta) -> Worker:
    now = timezone.now()
    return Worker.objects.create(
        id="w1",
        kind="cluster",
        host="h",
        pid=1,
        version="0",
        started_at=now,
        seen_at=now - ago,
        detail={"workers": 2},
    )


def test_it_is_up_without_a_log_in(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


def test_it_is_not_ready_until_a_queue_cluster_was_seen(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"database": True, "migrations": True, "queue": False}


def test_it_is_ready_with_a_fresh_cluster_and_not_with_a_stale_one(client: Client) -> None:
    worker = seen(timedelta(seconds=5))
    assert client.get("/readyz").status_code == 200
    worker.seen_at = timezone.now() - timedelta(seconds=31)
    worker.save()
    assert client.get("/readyz").status_code == 503


SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)"
    r'(?P<labels>{\w+="[^"\\\n]*"(,\w+="[^"\\\n]*")*})? (?P<value>\S+)'
)


def metrics(client: Client, token: str = "") -> dict[str, float]:
    """The samples, read as strictly as Prometheus does."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = client.get("/metrics", headers=headers)
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer.text.endswith("\n")
    described: dict[str, set[str]] = {"HELP": set(), "TYPE": set()}
    found: dict[str, float] = {}
    for line in answer.text.splitlines():
        if line.startswith("#"):
            _, what, name, rest = line.split(" ", 3)
            assert name not in described[what]
            described[what].add(name)
            assert what == "HELP" or rest in ("gauge", "counter")
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert all(sample["name"] in names for names in described.values()), line
        key = sample["name"] + (sample["labels"] or "")
        assert key not in found
        found[key] = float(sample["value"])
    return found


def test_its_metrics_say_how_it_is_doing(client: Client) -> None:
    seen(timedelta(seconds=5))
    work, done = make_job(20, status="running"), make_job(9, status="completed")
    Job.objects.filter(pk=work.pk).update(pending=12, running=3, succeeded=4, failed=1)
    Job.objects.filter(pk=done.pk).update(pending=0, succeeded=9)
    CostRollup.objects.create(
        job_id=work.pk, template_version_id=1, connection_id=1, model="m", team_id=1,
        day=timezone.now().date(), calls=6, input_tokens=600, output_tokens=60,
        cost=2_500_000_000_001, wasted_cost=10**12, unpriced_calls=2,
    )  # fmt: skip
    queue.ring()
    found = metrics(client)
    assert {
        'batchllm_workers{kind="cluster"}': 1,
        'batchllm_workers{kind="slice"}': 0,
        'batchllm_jobs{status="running"}': 1,
        'batchllm_jobs{status="completed"}': 1,
        'batchllm_jobs{status="paused"}': 0,
        'batchllm_records{status="pending"}': 12,
        'batchllm_records{status="succeeded"}': 4,
        'batchllm_queue_messages{queue="batchllm",state="unread"}': 1,
        'batchllm_queue_messages{queue="short",state="unread"}': 0,
        "batchllm_provider_calls_total": 6,
        'batchllm_tokens_total{kind="input"}': 600,
    }.items() <= found.items()
    assert 5 <= found["batchllm_cluster_heartbeat_age_seconds"] < 60
    # What was spent is nobody's business who has no token.
    assert not [name for name in found if "usd" in name]
    with override_settings(METRICS_TOKEN="m3trics"):
        found = metrics(client, "m3trics")
    assert {
        'batchllm_spend_usd_total{kind="all"}': 2.500000000001,
        'batchllm_spend_usd_total{kind="wasted"}': 1.0,
        "batchllm_unpriced_calls_total": 2,
    }.items() <= found.items()


def test_its_metrics_are_there_before_anything_else_is(client: Client) -> None:
    assert metrics(client)['batchllm_jobs{status="running"}'] == 0


@override_settings(METRICS_TOKEN="m3trics")
def test_its_metrics_can_be_bound_to_a_token(client: Client) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer m3trics"}).status_code == 200
