"""Days and jobs that cost what they do not usually cost: the figures for `jobs.costs.usual`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from jobs.costs.grouping import Days, Scope, group_sums
from jobs.costs.selectors import OUTSIDE
from jobs.costs.usual import LEAST, LEAST_TIMES, WEEKS, Odd, odd, odd_days
from jobs.models import Job

# The dearest jobs are looked at: an odd one that is not among them costs little.
JOBS = 20
# Of the jobs of those names, the newest.
HISTORY = 2_000
SHOWN = 4


@dataclass(frozen=True, slots=True)
class OddDay:
    day: date
    odd: Odd
    grown: tuple[str, int] | None  # the jobs (by name) that cost most more than a week before


@dataclass(frozen=True, slots=True)
class OddJob:
    job: Job
    odd: Odd
    weekday: bool  # held against jobs of the same weekday alone


def days_out_of_line(
    scope: Scope, cost: Mapping[date, int], days: Days, today: date
) -> list[OddDay]:
    """The newest first; `cost` by day, from the weeks before these days on."""
    found = sorted(odd_days(cost, days.first, days.last, today).items(), reverse=True)[:SHOWN]
    return [OddDay(day, one, _grown(scope, day)) for day, one in found]


def _grown(scope: Scope, day: date) -> tuple[str, int] | None:
    """The name, and how much more its jobs cost than on the same weekday before."""
    then, now = (
        dict(group_sums(scope, Days(one, one), ["name"], ["cost"], limit=JOBS)[0])
        for one in (day - timedelta(weeks=1), day)
    )
    more = {name: int(cost) - int(then.get(name, 0)) for name, cost in now.items()}
    name = max(more, key=more.__getitem__, default=None)
    return None if name is None or more[name] <= 0 else (name or OUTSIDE, more[name])


def dearest_jobs(scope: Scope, days: Days) -> list[int]:
    """The jobs that most of these days' money went to."""
    found, _ = group_sums(scope, days, ["job"], ["cost"], limit=JOBS)
    return [key for key, cost in found if key and cost > 0]


def jobs_out_of_line(job_ids: Sequence[int], days: Days) -> list[OddJob]:
    """Of these jobs those that cost far more than the ones of their name did before, the dearest
    first. A job of a name of its own is never odd."""
    jobs = list(
        Job.objects.filter(pk__in=job_ids, cost__gt=0)
        .order_by("-cost")
        .only("public_id", "team_id", "name", "created_at", "cost")
    )
    if not jobs:
        return []
    history: dict[tuple[int, str], list[tuple[int, date, int]]] = defaultdict(list)
    since = days.first - timedelta(weeks=WEEKS)
    earlier = (
        Job.objects.filter(
            team_id__in={job.team_id for job in jobs},
            name__in={job.name for job in jobs},
            created_at__gte=datetime.combine(since, time.min, tzinfo=UTC),
        )
        .order_by("-pk")
        .values_list("team_id", "name", "pk", "created_at", "cost")[:HISTORY]
    )
    for team_id, name, pk, created_at, cost in earlier:
        history[team_id, name].append((pk, created_at.date(), cost))
    found = []
    for job in jobs:
        past = [(day, cost) for pk, day, cost in history[job.team_id, job.name] if pk < job.pk]
        one = _odd_job(job, past)
        if one is not None:
            found.append(one)
    return found[:SHOWN]


def _odd_job(job: Job, past: Sequence[tuple[date, int]]) -> OddJob | None:
    """Against its weekday where that has a history, else against all days, and then only beyond the
    dearest of them, one of which was of its weekday."""
    weekday = job.created_at.weekday()
    same = [cost for day, cost in past if day.weekday() == weekday]
    one = odd(job.cost, same)
    if one is not None:
        return OddJob(job, one, weekday=True) if one.amount > one.usual else None
    every = [cost for _, cost in past]
    if not same or len(same) >= LEAST or job.cost <= LEAST_TIMES * max(every):
        return None
    one = odd(job.cost, every)
    return OddJob(job, one, weekday=False) if one is not None else None
