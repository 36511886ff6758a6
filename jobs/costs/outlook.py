"""What this month's spend leads to: its end, and the day on which each budget will be used up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Q

from jobs.costs.forecast import HISTORY, Forecast, forecast, month_days
from jobs.costs.grouping import Days, Scope, group_sums
from jobs.costs.selectors import cost_by_day
from jobs.models import Budget


@dataclass(frozen=True, slots=True)
class BudgetOutlook:
    """Money in pico-USD; `spent` with what is in doubt, which a budget counts too."""

    budget: Budget
    spent: int
    forecast: Forecast | None
    warned_on: date | None  # the day on which what is expected goes beyond `warn_at`
    stopped_on: date | None

    @property
    def used(self) -> float | None:
        return self.spent / self.budget.stop_at if self.budget.stop_at else None


def history_days(today: date) -> Days:
    return Days(today - timedelta(HISTORY), today)


def budgets_ahead(
    team_id: int, cost: Mapping[date, int], ahead: Forecast | None, today: date
) -> list[BudgetOutlook]:
    """Of the team's budgets of this month, the one over all connections first. `cost` and `ahead` are
    the whole team's."""
    first, _ = month_days(today)
    rows = Budget.objects.filter(Q(month=first) | Q(month=None), team_id=team_id)
    # The rule of all months holds where this one has no row of its own yet.
    chosen: dict[int | None, Budget] = {}
    for budget in rows.select_related("connection"):
        if budget.month or budget.connection_id not in chosen:
            chosen[budget.connection_id] = budget
    if not chosen:
        return []
    doubt = _in_doubt(team_id, Days(first, today))
    found = []
    for connection_id, budget in sorted(chosen.items(), key=lambda item: item[0] or 0):
        spent = sum(amount for day, amount in cost.items() if day >= first)
        own, unseen = ahead, sum(doubt.values())
        if connection_id is not None:
            narrow = Scope((team_id,), {"connection": connection_id})
            costs = cost_by_day(narrow, history_days(today))
            spent = sum(amount for day, amount in costs.items() if day >= first)
            own, unseen = forecast(costs, today), doubt.get(connection_id, 0)
        found.append(
            BudgetOutlook(
                budget,
                spent + unseen,
                own,
                _reached(own, budget.warn_at, spent, unseen, today),
                _reached(own, budget.stop_at, spent, unseen, today),
            )
        )
    return found


def _in_doubt(team_id: int, days: Days) -> dict[int, int]:
    rows, _ = group_sums(Scope((team_id,)), days, ["connection"], ["in_doubt_cost"])
    return {key: int(amount) for key, amount in rows}


def _reached(
    ahead: Forecast | None, limit: int | None, spent: int, unseen: int, today: date
) -> date | None:
    if limit is None:
        return None
    if spent + unseen >= limit:
        return today
    return ahead.day_of(limit - unseen) if ahead else None
