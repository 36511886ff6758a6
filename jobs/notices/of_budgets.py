"""What is told of a team's budgets of this month: the warning reached, the stop reached, and a forecast
that the month will exceed the stop. Each once for a month and limit: a limit that was raised warns anew.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from jobs.costs.forecast import Forecast, forecast, month_days
from jobs.costs.grouping import Days, Scope
from jobs.costs.outlook import BudgetOutlook, budgets_ahead, history_days
from jobs.costs.selectors import cost_by_day
from jobs.models import Budget, Job, JobStatus, NoticeKind, Role, StatusReason
from jobs.money import money_text, usd_string
from jobs.notices.write import notice_write

# The last calls that fit leave a little of a budget over: it is used up all the same.
USED_UP_PERCENT = 99


def note_budgets(now: datetime, *, looking_ahead: bool) -> None:
    """Of all teams that have a budget. Looking ahead reads months of history: not each minute."""
    today = now.date()
    limited = Budget.objects.exclude(warn_at=None, stop_at=None)
    for team_id in sorted(set(limited.values_list("team_id", flat=True))):
        scope, (first, _) = Scope((team_id,)), month_days(today)
        days = history_days(today) if looking_ahead else Days(first, today)
        cost: Mapping[date, int] = cost_by_day(scope, days)
        ahead = forecast(cost, today) if looking_ahead else None
        for outlook in budgets_ahead(team_id, cost, ahead, today):
            _note(outlook, now, looking_ahead=looking_ahead)


def _note(outlook: BudgetOutlook, now: datetime, *, looking_ahead: bool) -> None:
    budget, spent, ahead = outlook.budget, outlook.spent, outlook.forecast
    if _stops(outlook):
        used_up = spent * 100 >= (budget.stop_at or 0) * USED_UP_PERCENT
        words = "is used up" if used_up else "has no room for the next call of a job"
        body = "Jobs that it holds pause until it is raised or the next month begins."
        _write(outlook, NoticeKind.BUDGET_STOP, budget.stop_at, words, body, now)
        return
    if budget.warn_at is not None and spent >= budget.warn_at:
        words = "has reached its warning"
        _write(outlook, NoticeKind.BUDGET_WARNING, budget.warn_at, words, "", now)
    if looking_ahead and ahead and budget.stop_at is not None and outlook.stopped_on:
        words = f"will be used up by {outlook.stopped_on:%-d %B}"
        body = (
            f"By the {ahead.days} days before, the month ends between {money_text(ahead.low)} and "
            f"{money_text(ahead.high)}; {money_text(ahead.expected)} is expected."
        )
        _write(outlook, NoticeKind.BUDGET_FORECAST, budget.stop_at, words, body, now, ahead)


def _stops(outlook: BudgetOutlook) -> bool:
    """Whether all of it is spent, or a job waits for it."""
    budget = outlook.budget
    if budget.stop_at is None:
        return False
    waiting = Job.objects.filter(
        team_id=budget.team_id,
        status=JobStatus.PAUSED,
        status_reason=StatusReason.BUDGET,
        refusal__limit=budget.stop_at,
        refusal__scope="connection" if budget.connection_id else "team",
    )
    if budget.connection_id:
        waiting = waiting.filter(refusal__connection=budget.connection_id)
    return outlook.spent >= budget.stop_at or waiting.exists()


def _write(
    outlook: BudgetOutlook,
    kind: NoticeKind,
    limit: int | None,
    words: str,
    body: str,
    now: datetime,
    ahead: Forecast | None = None,
) -> None:
    budget, (first, last) = outlook.budget, month_days(now.date())
    # By what it is for, not by its row: a month gets a row of its own while it runs.
    key = f"budget:{budget.team_id}:{budget.connection_id or 0}:{first:%Y-%m}:{kind.value}:{limit}"
    of = f" on {budget.connection.name}" if budget.connection else ""
    facts = [("Spent", money_text(outlook.spent))]
    facts += [("Warn at", money_text(budget.warn_at))] if budget.warn_at is not None else []
    facts += [("Stop at", money_text(budget.stop_at))] if budget.stop_at is not None else []
    facts += [("Expected at the end", money_text(ahead.expected))] if ahead else []
    facts.append(("Begins anew", f"{last + timedelta(1):%Y-%m-%d}"))
    notice_write(
        team_id=budget.team_id,
        kind=kind,
        key=key,
        title=f"The budget of {first:%B}{of} {words}",
        body=body,
        link="/settings/budgets/",
        facts=facts,
        data={
            "month": f"{first:%Y-%m}",
            "connection": budget.connection.public_id if budget.connection else None,
            "spent": usd_string(outlook.spent),
            "warn_at": usd_string(budget.warn_at),
            "stop_at": usd_string(budget.stop_at),
            "expected": usd_string(ahead.expected) if ahead else None,
            "exceeded_on": outlook.stopped_on.isoformat() if outlook.stopped_on else None,
        },
        role=Role.LEAD,
        at=now,
    )
