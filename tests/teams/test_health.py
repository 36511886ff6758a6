"""The routes for machines that watch."""

from datetime import timedelta

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from jobs.models import Worker

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


def test_its_metrics_are_prometheus_text(client: Client) -> None:
    seen(timedelta(seconds=5))
    text = client.get("/metrics").content.decode()
    assert 'batchllm_workers{kind="cluster"} 1\n' in text
    assert 'batchllm_jobs{status="running"} 0\n' in text
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(
        line.startswith("batchllm_") and float(line.rsplit(" ", 1)[1]) >= 0 for line in samples
    )


@override_settings(METRICS_TOKEN="m3trics")
def test_its_metrics_can_be_bound_to_a_token(client: Client) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer m3trics"}).status_code == 200
