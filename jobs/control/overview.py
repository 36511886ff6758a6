"""What needs a person, what is running, what it made and cost lately: a bounded number of queries,
whatever the number of jobs."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from jobs.control.selectors import RATE_WINDOW, team_jobs
from jobs.costs.sums import CostSums
from jobs.engine.stalls import stalled_since
from jobs.models import CostRollup, Job, JobStatus, Record, Team, Throughput

# A list on the overview is a summary; the rest is one click away.
SHOWN = 10
# Failures of older jobs are history; the job list keeps them.
RECENT = timedelta(days=7)
HOURS = 24

_MOVING = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING)
_FAILED = (JobStatus.COMPLETED_WITH_FAILURES, JobStatus.FAILED)


@dataclass(frozen=True, slots=True)
class RunningJob:
    """Rates are rows a second, times seconds. `silent`: how long it stands still, if it stalled."""

    job: Job
    rate: float
    eta: tuple[float, float] | None
    silent: timedelta | None


@dataclass(frozen=True, slots=True)
class FailedJob:
    job: Job
    causes: list[tuple[str, int]]  # failure class and records, the largest first


def running_jobs(team: Team) -> list[RunningJob]:
    """Jobs that are at work or about to be, the newest first."""
    now = timezone.now()
    jobs = list(team_jobs(team).filter(status__in=_MOVING).order_by("-pk")[:SHOWN])
    ids = [job.pk for job in jobs]
    settled = {
        job_id: succeeded + failed
        for job_id, succeeded, failed in Throughput.objects.filter(
            job_id__in=ids, at__gte=now - RATE_WINDOW
        )
        .values_list("job_id")
        .annotate(s=Sum("succeeded"), f=Sum("failed"))
    }
    found = []
    for job in jobs:
        begun = max(now - RATE_WINDOW, job.started_at or now)
        seconds = max(10.0, (now - begun).total_seconds())
        rate = settled.get(job.pk, 0) / seconds
        left = job.pending + job.running
        eta = (left / (1.2 * rate), left / (0.8 * rate)) if rate and left else None
        since = stalled_since(job)
        found.append(RunningJob(job, rate, eta, None if since is None else now - since))
    return found


def paused_jobs(team: Team) -> tuple[list[Job], int]:
    """Paused jobs, the newest first, and how many there are."""
    return _some(team_jobs(team).filter(status=JobStatus.PAUSED))


def failed_jobs(team: Team) -> tuple[list[FailedJob], int]:
    """Jobs that ended lately with failed records or could not go on, and how many there are."""
    jobs, number = _some(
        team_jobs(team).filter(status__in=_FAILED, finished_at__gt=timezone.now() - RECENT)
    )
    causes: dict[int, list[tuple[str, int]]] = {job.pk: [] for job in jobs}
    groups = (
        Record.objects.filter(job_id__in=list(causes), failure_class__isnull=False)
        .values_list("job_id", "failure_class")
        .annotate(n=Count("n"))
        .order_by("-n")
    )
    for job_id, failure_class, n in groups:
        causes[job_id].append((failure_class or "", n))
    return [FailedJob(job, causes[job.pk]) for job in jobs], number


def _some(jobs: QuerySet[Job]) -> tuple[list[Job], int]:
    return list(jobs.order_by("-pk")[:SHOWN]), jobs.count()


@dataclass(frozen=True, slots=True)
class Hours:
    """Rows settled in each of the last hours, the oldest first; the last one is not over."""

    starts: list[datetime]
    succeeded: list[int]
    failed: list[int]


def last_hours(team: Team) -> Hours:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    starts = [now - timedelta(hours=HOURS - 1 - n) for n in range(HOURS)]
    sums = {
        hour: (succeeded, failed)
        for hour, succeeded, failed in Throughput.objects.filter(team_id=team.pk, at__gte=starts[0])
        .annotate(hour=TruncHour("at"))
        .values_list("hour")
        .annotate(s=Sum("succeeded"), f=Sum("failed"))
    }
    both = [sums.get(start, (0, 0)) for start in starts]
    return Hours(starts, [s for s, _ in both], [f for _, f in both])


def spend(team: Team, since: date) -> CostSums:
    """What the team spent from a day on (UTC)."""
    names = ("calls", "accepted", "cost", "wasted_cost", "in_doubt_calls", "unpriced_calls")
    sums = CostRollup.objects.filter(team_id=team.pk, day__gte=since).aggregate(
        **{name: Sum(name) for name in names}
    )
    return CostSums(**{name: total or 0 for name, total in sums.items()})
