"""For machines that watch: is the process up, can it work, and how is it doing.

These answer without a log-in and name no team, job or person; money only to the bearer of the metrics'
own token.
"""

import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone

from jobs import queue
from jobs.failures import FailureClass
from jobs.models import CostRollup, Job, JobStatus, LimitState, Record, Worker
from jobs.money import to_usd
from jobs.web.context import CLUSTER_SEEN
from jobs.web.pages import page

# A label has so many values at most: a series for each value is what a watching machine pays for.
MOST_LABELS = 100
_COUNTS = ("pending", "running", "succeeded", "failed", "cancelled")


@page("public")
def healthz(request: HttpRequest) -> HttpResponseBase:
    """The process answers. Says nothing about the database."""
    return HttpResponse("ok\n", content_type="text/plain")


@page("public")
def readyz(request: HttpRequest) -> HttpResponseBase:
    """200 when the database answers, all migrations are applied and a queue cluster lives."""
    found = {"database": False, "migrations": False, "queue": False}
    try:
        executor = MigrationExecutor(connection)
        found["database"] = True
        found["migrations"] = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        found["queue"] = Worker.objects.filter(
            kind="cluster", detail__workers__gt=0, seen_at__gt=timezone.now() - CLUSTER_SEEN
        ).exists()
    except DatabaseError:
        pass  # the answer says which of them failed; the words of the error stay inside
    return JsonResponse(found, status=200 if all(found.values()) else 503)


@page("public")
def metrics(request: HttpRequest) -> HttpResponseBase:
    """Prometheus text. With METRICS_TOKEN set, only for its bearer."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode()):
            return HttpResponse(
                "A bearer token is needed.\n", status=401, content_type="text/plain"
            )
    return HttpResponse("".join(_lines()), content_type="text/plain; version=0.0.4; charset=utf-8")


def _lines() -> Iterable[str]:
    now = timezone.now()
    live = Worker.objects.filter(seen_at__gt=now - CLUSTER_SEEN)
    newest = Worker.objects.filter(kind="cluster").order_by("-seen_at").first()
    jobs = dict(Job.objects.values_list("status").annotate(n=Count("pk")))
    # Of jobs under way alone: the sums over all that ever ran would grow without end.
    under_way = Job.objects.exclude(status__in=[s for s in JobStatus if s.is_terminal])
    records = under_way.aggregate(**{name: Sum(name) for name in _COUNTS})
    sums = CostRollup.objects.aggregate(
        calls=Sum("calls"),
        input=Sum("input_tokens"),
        output=Sum("output_tokens"),
        spent=Sum("cost"),
        wasted=Sum("wasted_cost"),
        unpriced=Sum("unpriced_calls"),
    )
    yield from _metric(
        "workers",
        "gauge",
        "Processes with a fresh heartbeat.",
        {f'kind="{kind}"': live.filter(kind=kind).count() for kind in ("cluster", "slice")},
    )
    if newest is not None:
        age = (now - newest.seen_at).total_seconds()
        yield from _metric(
            "cluster_heartbeat_age_seconds",
            "gauge",
            "Since any queue cluster was seen.",
            {"": round(age, 1)},
        )
    depths = queue.depth()
    yield from _metric(
        "queue_messages",
        "gauge",
        "Messages of the queues.",
        {
            f'queue="{name}",state="{state}"': count
            for name, depth in depths.items()
            for state, count in (("unread", depth.unread), ("taken", depth.taken))
        },
    )
    yield from _metric(
        "queue_oldest_unread_seconds",
        "gauge",
        "For how long the oldest message has waited to be taken.",
        {f'queue="{name}"': depth.age for name, depth in depths.items()},
    )
    yield from _metric(
        "jobs",
        "gauge",
        "Jobs by status.",
        {f'status="{status.value}"': jobs.get(status.value, 0) for status in JobStatus},
    )
    yield from _metric(
        "records",
        "gauge",
        "Records of the jobs under way, by status.",
        {f'status="{name}"': records[name] or 0 for name in _COUNTS},
    )
    yield from _of_jobs(under_way)
    yield from _of_connections(live)
    yield from _metric(
        "provider_calls_total", "counter", "Calls to providers.", {"": sums["calls"] or 0}
    )
    yield from _metric(
        "tokens_total",
        "counter",
        "Tokens of all calls.",
        {f'kind="{kind}"': sums[kind] or 0 for kind in ("input", "output")},
    )
    if settings.METRICS_TOKEN:
        yield from _metric(
            "spend_usd_total",
            "counter",
            "Cost of all calls at a known price, and of it what brought no result.",
            {
                f'kind="{kind}"': float(to_usd(sums[name] or 0))
                for kind, name in (("all", "spent"), ("wasted", "wasted"))
            },
        )
        yield from _metric(
            "unpriced_calls_total",
            "counter",
            "Calls that were charged at a price nobody knows.",
            {"": sums["unpriced"] or 0},
        )


def _of_jobs(under_way: QuerySet[Job]) -> Iterable[str]:
    """Of each job under way: at most so many of them, the newest, whatever there is."""
    newest = list(under_way.order_by("-pk").values("pk", "attempts", *_COUNTS)[:MOST_LABELS])
    yield from _metric(
        "job_records",
        "gauge",
        f"Records of each job under way, by status; of the newest {MOST_LABELS} jobs.",
        {f'job="{job["pk"]}",status="{name}"': job[name] for job in newest for name in _COUNTS},
    )
    yield from _metric(
        "job_calls_total",
        "counter",
        f"Calls for each job under way; of the newest {MOST_LABELS} jobs.",
        {f'job="{job["pk"]}"': job["attempts"] for job in newest},
    )
    failed = Record.objects.filter(
        job_id__in=[job["pk"] for job in newest if job["failed"]], failure_class__isnull=False
    )
    by_class = dict(failed.values_list("failure_class").annotate(n=Count("n")))
    yield from _metric(
        "failed_records",
        "gauge",
        f"Failed records of the newest {MOST_LABELS} jobs under way, by class.",
        {f'failure_class="{failure}"': by_class.get(failure.value, 0) for failure in FailureClass},
    )


def _of_connections(live: QuerySet[Worker]) -> Iterable[str]:
    """Of each connection that is in use, as its slices tell; they hold only so many."""
    flying: dict[str, int] = defaultdict(int)
    levels: dict[str, int] = defaultdict(int)
    for detail in live.filter(kind="slice").values_list("detail", flat=True):
        for lane, told in detail.get("limits", {}).items():
            number = lane.partition(":")[0]
            flying[number] += told.get("in_flight", 0)
            levels[number] += told.get("level", 0)
    chosen = sorted(flying, key=int)[-MOST_LABELS:]
    for name, words, found in (
        ("connection_calls_in_flight", "Calls on their way on each connection in use.", flying),
        ("connection_level", "How many calls at a time the slices hold to be right.", levels),
    ):
        yield from _metric(name, "gauge", words, {f'connection="{n}"': found[n] for n in chosen})
    now = timezone.now()
    cooling = LimitState.objects.filter(connection_id__in=chosen, cooldown_until__gt=now)
    until = dict(cooling.values_list("connection_id").annotate(until=Max("cooldown_until")))
    yield from _metric(
        "connection_cooldown_seconds",
        "gauge",
        "For how long nothing more is sent on each connection in use.",
        {
            f'connection="{n}"': round((until[int(n)] - now).total_seconds(), 1)
            if int(n) in until
            else 0
            for n in chosen
        },
    )


def _metric(name: str, kind: str, words: str, samples: Mapping[str, float]) -> Iterable[str]:
    yield f"# HELP batchllm_{name} {words}\n# TYPE batchllm_{name} {kind}\n"
    for labels, value in samples.items():
        yield f"batchllm_{name}{{{labels}}} {value}\n" if labels else f"batchllm_{name} {value}\n"
