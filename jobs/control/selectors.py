"""Reading jobs: lists, the live view, records, failure groups. Fast at a million records: counters
come from the job's row, pages walk the key, groups use the index over failed records."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Max, Min, OuterRef, QuerySet, Sum
from django.utils import timezone

from jobs.control.filters import (
    REPLAYED,
    SEARCH_ROWS,
    TABS,
    WITH_FAILURES,
    JobFilter,
    RecordFilter,
)
from jobs.control.lineage import edited_rows
from jobs.control.waits import Waits, end_of_waiting, waits_of
from jobs.costs.told import forecast_of
from jobs.datasets.selectors import original_values, row_values
from jobs.engine.claiming import LEASE
from jobs.engine.plan import CannotRun, make_plan
from jobs.engine.records import Claimed
from jobs.failures import POLICIES, FailureClass, suggestion_for
from jobs.models import (
    Attempt,
    Correction,
    DatasetRow,
    Due,
    DueReason,
    Job,
    JobStatus,
    LimitState,
    Record,
    Replay,
    Team,
    Throughput,
    Worker,
)
from jobs.providers.dialogue import request_body
from jobs.written import read_row

PAGE = 50
RATE_WINDOW = timedelta(seconds=60)
# Three heartbeats: what one tells that was silent for longer is over.
SLICE_SEEN = LEASE * 3 / 7
EXAMPLES = 5


# --- jobs ---------------------------------------------------------------------------------------
def team_jobs(team: Team) -> QuerySet[Job]:
    return Job.objects.filter(team=team).select_related(
        "dataset", "template_version__template", "connection", "created_by"
    )


def job_page(
    team: Team, chosen: JobFilter, before: int | None = None, limit: int = PAGE
) -> list[Job]:
    """Jobs newest first, each with `replayed`; `before` is the id of the last one seen."""
    jobs = chosen.apply(team_jobs(team)).annotate(
        replayed=Exists(Replay.objects.filter(job=OuterRef("pk")))
    )
    if before is not None:
        jobs = jobs.filter(pk__lt=before)
    return list(jobs.order_by("-pk")[:limit])


def tab_counts(team: Team, chosen: JobFilter) -> dict[str, int]:
    """How many jobs each tab holds under the same filters."""
    by_status, with_failures = {}, 0
    counted = (
        chosen.apply(Job.objects.filter(team=team), with_tab=False)
        .values_list("status")
        .annotate(n=Count("id"), failing=Count("id", filter=WITH_FAILURES))
    )
    for status, n, failing in counted:
        by_status[status] = n
        with_failures += failing
    counts = {tab: sum(by_status.get(s.value, 0) for s in states) for tab, states in TABS.items()}
    return {**counts, "failures": with_failures}


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with what is computed for its page. Rates are rows a second, times seconds."""

    job: Job
    counts: dict[str, int]
    retrying: int
    waiting: int
    waiting_until: datetime | None
    returned: int
    rate: float
    eta: tuple[float, float] | None
    in_flight: int
    level: int
    why: str
    waits: Waits | None
    elapsed: float | None
    open_replay: Replay | None
    replayed: bool  # then its time holds the idle time before the replay


def job_counts(job: Job) -> dict[str, int]:
    return {
        "pending": job.pending,
        "running": job.running,
        "succeeded": job.succeeded,
        "failed": job.failed,
        "cancelled": job.cancelled,
        "total": job.total,
    }


def cost_at_end(job: Job) -> int | None:
    """What the job is expected to have cost in the end; None where that cannot be told."""
    found = forecast_of(job)
    return found.expected if found is not None else None


def job_view(job: Job) -> JobView:
    now = timezone.now()
    due = dict(
        Due.objects.filter(job_id=job.pk).values_list("reason").annotate(n=Count("n"))
        if not job.state.is_terminal
        else ()
    )
    waiting = due.get(DueReason.RATE_LIMIT.value, 0)
    ended_twice = job.state.is_terminal and Replay.objects.filter(job=job).exists()
    still = ended_twice or job.state == JobStatus.PAUSED
    rate, spread = (0.0, 0.0) if still else _rate(job, now)
    details = [] if job.state.is_terminal else _slices(now)
    in_flight, level, why = _concurrency(job, details)
    waits = waits_of(job, details)
    cooldown = (
        LimitState.objects.filter(
            connection_id=job.connection_id, model=job.model, cooldown_until__gt=now
        )
        .values_list("cooldown_until", flat=True)
        .first()
    )
    end = job.finished_at or now
    return JobView(
        job=job,
        counts=job_counts(job),
        retrying=due.get(DueReason.RETRY.value, 0),
        waiting=waiting,
        waiting_until=cooldown,
        returned=due.get(DueReason.RETURNED.value, 0) + due.get(DueReason.REPLAY.value, 0),
        rate=rate,
        eta=end_of_waiting(job, waits, _eta(job, rate, spread), now),
        in_flight=in_flight,
        level=level,
        why=why,
        waits=waits,
        elapsed=(end - job.started_at).total_seconds()
        if job.started_at and not ended_twice
        else None,
        open_replay=Replay.objects.filter(job=job, applied_at__isnull=True).first(),
        replayed=ended_twice,
    )


def _rate(job: Job, now: datetime) -> tuple[float, float]:
    """Rows settled a second over the last minute, and its standard deviation over ten-second steps."""
    if job.state.is_terminal:
        seconds = (
            (job.finished_at - job.started_at).total_seconds()
            if job.finished_at and job.started_at
            else 0
        )
        done = job.succeeded + job.failed
        return (done / seconds if seconds > 0 else 0.0), 0.0
    since = now - RATE_WINDOW
    steps = list(
        Throughput.objects.filter(job_id=job.pk, at__gte=since).values_list(
            "at", "succeeded", "failed"
        )
    )
    if not steps:
        return 0.0, 0.0
    begin = max(since, min(at for at, *_ in steps), job.started_at or since)
    seconds = max(1.0, (now - begin).total_seconds())
    whole = [(s + f) / 10.0 for at, s, f in steps if at + timedelta(seconds=10) <= now]
    spread = statistics.pstdev(whole) if len(whole) > 1 else 0.0
    return sum(s + f for _, s, f in steps) / seconds, spread


def _eta(job: Job, rate: float, spread: float) -> tuple[float, float] | None:
    """Seconds to the end as a range; None when there is no rate to go by."""
    left = job.running + (0 if job.state is JobStatus.CANCELLING else job.pending)
    if job.state.is_terminal or left == 0 or rate <= 0:
        return None
    margin = max(0.1 * rate, min(spread, 0.6 * rate))
    return left / (rate + margin), left / (rate - margin)


def _slices(now: datetime) -> list[dict[str, Any]]:
    """What the live slices told last."""
    slices = Worker.objects.filter(kind="slice", seen_at__gt=now - SLICE_SEEN)
    return list(slices.values_list("detail", flat=True))


def _concurrency(job: Job, slices: Sequence[dict[str, Any]]) -> tuple[int, int, str]:
    """Calls of this job in flight, the level its slices hold, and what holds them there: like with like,
    the slices that have calls of it, on the lanes where these are."""
    if job.state.is_terminal:
        return 0, 0, "the job has ended"
    number = str(job.pk)
    usual = [f"{job.connection_id}:{job.model}"]
    in_flight = level = 0
    why = ""
    for detail in slices:
        in_flight += detail.get("jobs", {}).get(number, 0)
        # A replay may use another lane than the job.
        keys = detail.get("calls", {}).get(number, {}).get("lanes", usual)
        for lane in (detail["limits"][key] for key in keys if key in detail.get("limits", {})):
            # What left before a level came down cannot be called back, and holds its place until then.
            level += max(lane["level"], lane["in_flight"])
            why = why or lane["why"]
    if job.state is JobStatus.PAUSED:
        return in_flight, 0, "the job is paused"
    if job.state is JobStatus.CANCELLING:
        return in_flight, 0, "the job is being cancelled"
    if not why:
        if job.running and slices:
            why = "not told yet"
        else:
            why = "worker processes busy" if slices else "no worker is at it yet"
    return in_flight, level, why


# --- records ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class RecordPage:
    records: list[Record]
    next: int | None  # the n to go on after
    searched: int | None  # how many records the text search looked at, if it is bounded


def record_page(job: Job, chosen: RecordFilter, after: int = 0, limit: int = PAGE) -> RecordPage:
    """Records in row order past `after`. A text search looks at SEARCH_ROWS records a page."""
    records = chosen.apply(Record.objects.filter(job_id=job.pk, n__gt=after)).order_by("n")
    if not chosen.text:
        found = list(records[: limit + 1])
        more = found[limit - 1].n if len(found) > limit else None
        return RecordPage(found[:limit], more, None)
    found, last, looked = [], after, 0
    needle = chosen.text.lower()
    while len(found) <= limit and looked < SEARCH_ROWS:
        batch = list(records.filter(n__gt=last)[:2_000])
        if not batch:
            return RecordPage(found, None, looked)
        inputs = _inputs(job, batch)
        for record in batch:
            last, looked = record.n, looked + 1
            haystack = f"{record.output or ''} {record.message or ''} {inputs.get(record.n, '')}"
            if needle in haystack.lower() or chosen.text == str(record.n):
                found.append(record)
                if len(found) == limit:
                    return RecordPage(found, last, looked)
    return RecordPage(found, last, looked)


def _inputs(job: Job, records: Sequence[Record]) -> dict[int, str]:
    numbers = [record.n for record in records]
    rows = DatasetRow.objects.filter(dataset_id=job.dataset_id, n__in=numbers)
    replays = {record.n: record.result_replay_id for record in records}
    return {**dict(rows.values_list("n", "data")), **edited_rows(job, replays, {"n__in": numbers})}


def inputs_of(job: Job, records: Sequence[Record]) -> dict[int, dict[str, Any]]:
    """The rows of a page of records as they were last sent, by n; beside a result that is kept from
    before, as it was made of them."""
    return {n: read_row(data) for n, data in _inputs(job, records).items()}


def being_replayed(job: Job, record: Record) -> bool:
    """Whether a replay that is still being applied will put this record back to pending."""
    coming = Replay.objects.filter(job=job, applied_at__isnull=True, applied_to__lt=record.n)
    for found in coming.values_list("filter", flat=True):
        names = ("failure_class", "fingerprint")
        same = all(found.get(name) in (None, getattr(record, name)) for name in names)
        same = same and record.status in REPLAYED[found.get("status", "failed")]
        if same and record.n in found.get("rows", (record.n,)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Calls:
    made: int
    unpriced: int  # charged, or in doubt, at a price nobody knows


NO_CALLS = Calls(0, 0)


def calls_of(job: Job, records: Sequence[Record]) -> dict[int, Calls]:
    """The calls of a page of records, by n; a record without any is left out."""
    sums = (
        Attempt.objects.filter(job_id=job.pk, n__in=[record.n for record in records])
        .values_list("n")
        .annotate(made=Count("number"), priced=Count("cost"))
    )
    found = {n: Calls(made, made - priced) for n, made, priced in sums}
    unpriced = [n for n, calls in found.items() if calls.unpriced]
    if unpriced:
        corrected = Correction.objects.filter(job_id=job.pk, n__in=unpriced).values_list("n")
        for n, priced in corrected.annotate(priced=Sum("unpriced_calls")):
            found[n] = Calls(found[n].made, found[n].unpriced + priced)
    return found


def neighbours(job: Job, chosen: RecordFilter, n: int) -> tuple[int | None, int | None]:
    """The row before and after `n` within a filter (its text search left aside)."""
    records = chosen.apply(Record.objects.filter(job_id=job.pk))
    before = records.filter(n__lt=n).order_by("-n").values_list("n", flat=True).first()
    after = records.filter(n__gt=n).order_by("n").values_list("n", flat=True).first()
    return before, after


@dataclass(frozen=True, slots=True)
class RecordView:
    record: Record
    values: dict[str, Any]  # as last sent
    original: dict[str, Any] | None  # where an edit changed it
    system: str
    user: str
    prompt_fault: str
    request: str  # the body as it would be sent now, rebuilt; without any key
    attempts: list[Attempt]  # newest first


def record_view(job: Job, n: int) -> RecordView | None:
    """A record with its input, prompt and attempts; None where the job has no such row (yet)."""
    record = Record.objects.filter(job_id=job.pk, n=n).first()
    values = row_values(job, n)
    if record is None or values is None:
        return None
    original = original_values(job, n)
    claimed = Claimed(
        job_id=job.pk, n=n, lease="", number=record.calls, tries=0, generation=record.generation,
        replay_id=record.replay_id, deaths=0, reserved=0, claimed_at=0.0, day=timezone.now().date(),
        values=values,
    )  # fmt: skip
    request, fault = "", ""
    try:
        plan = make_plan(job.pk, record.replay_id, now=timezone.now(), monotonic=0.0)
        plan.prepare(claimed)
        fault = claimed.fault or ""
        if not fault:
            request = request_body(plan.endpoint, plan.call_of(claimed))
    except CannotRun as error:
        fault = str(error)
    attempts = list(Attempt.objects.filter(job_id=job.pk, n=n).order_by("-number"))
    return RecordView(
        record=record,
        values=values,
        original=original if original != values else None,
        system=claimed.system,
        user=claimed.user,
        prompt_fault=fault,
        request=request,
        attempts=attempts,
    )


# --- failures -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class FailureGroup:
    failure_class: FailureClass
    label: str
    fingerprint: str
    count: int
    share: float  # of all failed records of the job
    message: str
    example_rows: list[int]
    suggestion: str
    first_seen: datetime | None
    last_seen: datetime | None


def failure_groups(job: Job) -> list[FailureGroup]:
    """Failed records by class and normalised message, the largest first."""
    failed = Record.objects.filter(job_id=job.pk, failure_class__isnull=False)
    groups = (
        failed.values("failure_class", "fingerprint")
        .annotate(count=Count("n"), first_seen=Min("finished_at"), last_seen=Max("finished_at"))
        .order_by("-count", "failure_class", "fingerprint")
    )
    total = sum(group["count"] for group in groups) or 1
    found = []
    for group in groups:
        members = failed.filter(
            failure_class=group["failure_class"], fingerprint=group["fingerprint"]
        ).order_by("n")
        examples = list(members.values_list("n", "message")[:EXAMPLES])
        failure = FailureClass(group["failure_class"] or FailureClass.UNKNOWN)
        message = (examples[0][1] or "") if examples else ""
        found.append(
            FailureGroup(
                failure_class=failure,
                label=POLICIES[failure].label,
                fingerprint=group["fingerprint"] or "",
                count=group["count"],
                share=group["count"] / total,
                message=message,
                example_rows=[n for n, _ in examples],
                suggestion=suggestion_for(failure, message),
                first_seen=group["first_seen"],
                last_seen=group["last_seen"],
            )
        )
    return found
