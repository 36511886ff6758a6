"""What the costs page tells beside its table: why it changed, what is out of line, what spends now, how
the month will end."""

from datetime import date
from typing import Any

from django.urls import reverse
from django.utils import timezone

from jobs.control.selectors import cost_at_end, team_jobs
from jobs.costs.change import Kind, Kinds, kinds_of
from jobs.costs.forecast import Forecast, forecast, month_days
from jobs.costs.grouping import Days
from jobs.costs.oddities import (
    JOBS,
    OddDay,
    OddJob,
    days_out_of_line,
    dearest_jobs,
    jobs_out_of_line,
)
from jobs.costs.outlook import BudgetOutlook, budgets_ahead, history_days
from jobs.costs.selectors import cost_by_day, group_names
from jobs.costs.sums import CostTable
from jobs.costs.usual import WEEKS, Odd
from jobs.models import Job, JobStatus
from jobs.templatetags.figures import money_text, signed_money_text
from jobs.web.cost_choice import NO_JOB, Choice, days_text
from jobs.web.job_frame import why_not
from jobs.web.pages import PageRequest

MOVERS = 4
SPENDING = 5
_RUNS = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING)


def story(request: PageRequest, chosen: Choice, table: CostTable) -> dict[str, Any]:
    today = timezone.now().date()
    ahead_of = history_days(today)
    since = chosen.days.first.toordinal() - 7 * WEEKS
    reach = Days(date.fromordinal(max(1, min(since, ahead_of.first.toordinal()))), today)
    cost = cost_by_day(chosen.scope, reach)
    ahead = forecast(cost, today)
    kinds = kinds_of(chosen.scope, chosen.before, chosen.days)
    return {
        "kinds": kinds,
        "change": kinds.change,
        "each_before": kinds.each_before,
        "movers": _movers(chosen, kinds),
        "before_words": days_text(chosen.before),
        "odd_days": [
            _day_words(chosen, one)
            for one in days_out_of_line(chosen.scope, cost, chosen.days, today)
        ],
        "odd_jobs": [
            _job_words(request, chosen, one)
            for one in (jobs_out_of_line(_dearest(chosen, table), chosen.days))
        ],
        "ahead": ahead,
        "month_end": month_days(today)[1],
        "budgets": _budgets(chosen, cost, ahead, today),
        "spending": _spending(request),
    }


def _dearest(chosen: Choice, table: CostTable) -> list[int]:
    """By job the table has them already."""
    if chosen.by != "job":
        return dearest_jobs(chosen.scope, chosen.days)
    return [row.id for row in table.rows[:JOBS] if row.id and row.cost > 0]


def _movers(chosen: Choice, kinds: Kinds) -> list[dict[str, Any]]:
    """The work behind the change; each opens the versions or jobs of it."""
    moved = kinds.movers(MOVERS)
    templates = group_names("template", [kind[0] for kind, _ in moved])
    return [
        {
            "amount": amount,
            "before": kinds.before[kind].cost if kind in kinds.before else None,
            "after": kinds.after[kind].cost if kind in kinds.after else None,
            "label": f"{templates[kind[0]][1]} · {kind[1]}",
            "href": _kind_url(chosen, kind, templates[kind[0]][0]),
        }
        for kind, amount in moved
    ]


def _kind_url(chosen: Choice, kind: Kind, template: str) -> str:
    return f"?{chosen.query(by='job', template=template or NO_JOB, model=kind[1])}"


def _day_words(chosen: Choice, one: OddDay) -> dict[str, Any]:
    day = one.day
    mostly = ""
    if one.grown is not None and one.odd.amount > one.odd.usual:
        name, more = one.grown
        mostly = f"More than a week before: “{name}”, {signed_money_text(more)}."
    return {
        "title": f"{day:%A, %-d %b}: {money_text(one.odd.amount)}",
        "text": f"{_times(one.odd)} a usual {day:%A}: {_usual(one.odd)} {mostly}",
        "href": f"?{chosen.query(**{'by': 'job', 'from': str(day), 'to': str(day)})}",
        "day": day,
    }


def _job_words(request: PageRequest, chosen: Choice, one: OddJob) -> dict[str, Any]:
    job = one.job
    own = job.team_id == request.actor.team.pk
    like = f"a usual {job.created_at:%A}’s" if one.weekday else "a usual run’s"
    behind = f"?{chosen.query(by='day', job=job.public_id)}"
    return {
        "title": f"{job.name}: {money_text(job.cost)}",
        "text": f"{_times(one.odd)} {like} cost of jobs of this name: {_usual(one.odd)}",
        "href": reverse("job", args=[job.public_id]) if own else behind,
        "day": job.created_at.date(),
    }


def _times(out: Odd) -> str:
    if out.times is None:
        return "Beyond"
    if not out.amount:
        return "Nothing, instead of"
    return f"{out.times:.1f} times" if out.times < 100 else f"{out.times:,.0f} times"


def _usual(out: Odd) -> str:
    return (
        f"{money_text(out.usual)}, and {money_text(out.low)} to {money_text(out.high)} in the "
        f"{out.seen} seen before."
    )


def _budgets(
    chosen: Choice, cost: dict[date, int], ahead: Forecast | None, today: date
) -> list[BudgetOutlook]:
    """Of one whole team; a part of its spend says nothing of its budgets."""
    if len(chosen.teams) != 1 or chosen.narrow:
        return []
    return budgets_ahead(chosen.teams[0].pk, cost, ahead, today)


def _spending(request: PageRequest) -> list[dict[str, Any]]:
    """The team's jobs that spend at this moment, the dearest first."""
    jobs = team_jobs(request.actor.team).filter(status__in=_RUNS).order_by("-cost")[:SPENDING]
    return [_running(request, job) for job in jobs]


def _running(request: PageRequest, job: Job) -> dict[str, Any]:
    return {
        "job": job,
        "url": reverse("job", args=[job.public_id]),
        "at_end": cost_at_end(job),
        "reason": why_not(request.actor, job, "pause"),
    }
