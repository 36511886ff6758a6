"""What a team set as its budgets: the rules of all months, the months there are, who changed them."""

from dataclasses import dataclass
from datetime import date, datetime

from jobs.costs.budgets import budget_key, month_of
from jobs.models import AuditEvent, Budget, Connection
from jobs.teams.access import Actor
from jobs.teams.policy import Action

# The newest; the audit log has them all.
LISTED = 50


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """Amounts are USD as text, as the audit log has them; None: none."""

    at: datetime
    who: str
    month: str  # "2026-11" or "each month"
    connection: str  # its name then, or "all"
    before: dict[str, str | None]
    after: dict[str, str | None]


def budget_changes(actor: Actor) -> list[BudgetChange]:
    """Newest first."""
    actor.require(Action.BUDGET_READ)
    events = AuditEvent.objects.filter(team=actor.team, action="budget.set").order_by("-id")
    return [
        BudgetChange(
            event.at,
            event.actor_name,
            event.detail["month"],
            event.detail["connection"],
            event.detail["before"] or {},
            event.detail["after"],
        )
        for event in events[:LISTED]
    ]


def budget_rules(actor: Actor) -> list[Budget]:
    """What holds for each month that has no budget of its own."""
    actor.require(Action.BUDGET_READ)
    rules = Budget.objects.filter(team=actor.team, month=None).select_related("connection")
    return sorted(rules, key=lambda b: b.connection.name if b.connection else "")


def budget_months(actor: Actor, today: date) -> list[date]:
    """Those with a budget of their own, and this one; newest first."""
    actor.require(Action.BUDGET_READ)
    months = Budget.objects.filter(team=actor.team).exclude(month=None).values_list("month")
    return sorted({month_of(today), *(month for (month,) in months if month)}, reverse=True)


def budget_now(actor: Actor, connection: Connection | None, month: date | None) -> Budget | None:
    """What is set for the month: for it alone, or by the rule of all months."""
    actor.require(Action.BUDGET_READ)
    scope = (actor.team.pk, connection.pk if connection else None)
    keys = [budget_key(*scope, month), budget_key(*scope, None)]
    found = {budget.key: budget for budget in Budget.objects.filter(key__in=keys)}
    return found.get(keys[0]) or found.get(keys[1])
