"""The routes for machines that watch."""

import re
from datetime import timedelta

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from django_q.models import OrmQ

from jobs import queue
from jobs.models import CostRollup, Job, LimitState, Record, RecordStatus, Worker
from jobs.models.fields import new_public_id
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
    Record.objects.bulk_create(
        Record(job_id=job.pk, n=n, status=RecordStatus.FAILED, failure_class=failure)
        for job in (work, done)
        for n, failure in enumerate(("refusal", "refusal", "timeout"), 1)
    )
    lane, other = f"{work.connection_id}:sim-small", f"{work.connection_id}:sim-large"
    for age, told in (
        (1, {lane: (5, 8), other: (2, 4)}),
        (2, {lane: (7, 9)}),
        (90, {lane: (1, 1)}),
    ):
        limits = {key: {"in_flight": n, "level": level} for key, (n, level) in told.items()}
        Worker.objects.create(
            id=f"slice{age}", kind="slice", host="h", pid=age, version="0", detail={"limits": limits},
            started_at=timezone.now(), seen_at=timezone.now() - timedelta(seconds=age),
        )  # fmt: skip
    LimitState.objects.create(
        connection_id=work.connection_id, model="sim-small",
        cooldown_until=timezone.now() + timedelta(seconds=50),
    )  # fmt: skip
    queue.ring()
    OrmQ.objects.update(lock=timezone.now() - timedelta(seconds=70))
    found = metrics(client)
    assert {
        'batchllm_workers{kind="cluster"}': 1,
        'batchllm_workers{kind="slice"}': 2,
        'batchllm_jobs{status="running"}': 1,
        'batchllm_jobs{status="completed"}': 1,
        'batchllm_jobs{status="paused"}': 0,
        'batchllm_records{status="pending"}': 12,
        'batchllm_records{status="succeeded"}': 4,
        'batchllm_queue_messages{queue="batchllm",state="unread"}': 1,
        'batchllm_queue_messages{queue="short",state="unread"}': 0,
        f'batchllm_job_records{{job="{work.pk}",status="pending"}}': 12,
        f'batchllm_job_records{{job="{work.pk}",status="failed"}}': 1,
        'batchllm_failed_records{failure_class="refusal"}': 2,
        'batchllm_failed_records{failure_class="timeout"}': 1,
        'batchllm_failed_records{failure_class="truncated"}': 0,
        f'batchllm_connection_calls_in_flight{{connection="{work.connection_id}"}}': 14,
        f'batchllm_connection_level{{connection="{work.connection_id}"}}': 21,
        "batchllm_provider_calls_total": 6,
        'batchllm_tokens_total{kind="input"}': 600,
    }.items() <= found.items()
    # Of what is over nothing is said any more.
    assert not [name for name in found if f'job="{done.pk}"' in name]
    cooling = f'batchllm_connection_cooldown_seconds{{connection="{work.connection_id}"}}'
    assert 0 < found[cooling] <= 50
    assert 70 <= found['batchllm_queue_oldest_unread_seconds{queue="batchllm"}'] < 130
    assert found['batchllm_queue_oldest_unread_seconds{queue="short"}'] == 0
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


def test_its_metrics_have_so_many_labels_at_most(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.web.health.MOST_LABELS", 3)
    work = make_job(20, status="running")
    for _ in range(5):
        work.pk, work.public_id, work._state.adding = None, new_public_id(), True
        work.save()
    limits = {f"{n}:m": {"in_flight": n, "level": n} for n in range(1, 6)}
    Worker.objects.create(
        id="s", kind="slice", host="h", pid=1, version="0", detail={"limits": limits},
        started_at=timezone.now(), seen_at=timezone.now(),
    )  # fmt: skip
    found = metrics(client)
    newest = set(Job.objects.order_by("-pk").values_list("pk", flat=True)[:3])
    labels = re.findall(r'(job|connection)="(\d+)"', " ".join(found))
    assert {int(number) for name, number in labels if name == "job"} == newest
    assert {int(number) for name, number in labels if name == "connection"} == {3, 4, 5}
    # The sums are of all.
    assert found['batchllm_records{status="pending"}'] == 120


def test_its_metrics_are_there_before_anything_else_is(client: Client) -> None:
    assert metrics(client)['batchllm_jobs{status="running"}'] == 0


@override_settings(METRICS_TOKEN="m3trics")
def test_its_metrics_can_be_bound_to_a_token(client: Client) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer m3trics"}).status_code == 200
