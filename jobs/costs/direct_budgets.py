"""Calls outside jobs, a template's try or a connection's test, in the budgets: reserved before they
leave at the most that they can cost, and refused where a job's call would be."""

from datetime import date

from django.db import connection as database
from django.db import transaction
from django.db.models import Q

from jobs.costs.budgets import begin_months, hand_out, month_of, refusal_of
from jobs.errors import BudgetRefused
from jobs.models import Budget, Team


def reserve_direct(team: Team, connection_id: int, day: date, amount: int | None) -> None:
    """Hand out `amount` of the month's budgets, within the caller's transaction; None: the price is
    unknown. Raises BudgetRefused."""
    if database.vendor == "postgresql":
        # Whoever makes a budget waits for this, and counts it; see jobs.control.budgets.
        with database.cursor() as cursor:
            cursor.execute("SELECT 1 FROM jobs_team WHERE id = %s FOR KEY SHARE", [team.pk])
    month = month_of(day)
    for budget in _budgets(team, connection_id, month):
        if amount is None:
            if budget.stop_at is not None:
                raise BudgetRefused(
                    "The price of this model is unknown, so that the team's budget could not be held. "
                    "Set a price first."
                )
        elif amount and not hand_out(budget.pk, amount):
            budget.refresh_from_db()
            refusal = refusal_of(budget, month=month, wanted=amount, connection_id=connection_id)
            raise BudgetRefused(str(refusal))
        else:
            with database.cursor() as cursor:
                cursor.execute(
                    "UPDATE jobs_budget SET direct = direct + %s WHERE id = %s",
                    [amount, budget.pk],
                )


def move_direct(team: Team, connection_id: int, day: date, change: int) -> None:
    """A call came to more or less than was reserved."""
    if not change:
        return
    for budget in _budgets(team, connection_id, month_of(day)):
        with database.cursor() as cursor:
            cursor.execute(
                "UPDATE jobs_budget SET granted = granted + %s, direct = direct + %s, "
                "short = short OR (%s > 0 AND granted + %s > stop_at) WHERE id = %s",
                [change, change, change, change, budget.pk],
            )


def ask_for_idle(team: Team, day: date) -> None:
    """Jobs are to give back what they hold in hand: a call of a person found no room."""
    Budget.objects.filter(team=team, month=month_of(day)).update(short=True)


def room_for(team: Team, connection_id: int, day: date) -> None:
    """Raises BudgetRefused where a budget is used up: a job would pause before its first call."""
    month = month_of(day)
    with transaction.atomic():
        for budget in _budgets(team, connection_id, month):
            if budget.stop_at is not None and budget.granted >= budget.stop_at:
                refusal = refusal_of(budget, month=month, wanted=0, connection_id=connection_id)
                if refusal.spent >= refusal.limit:
                    raise BudgetRefused(str(refusal))


def has_stop(team: Team, connection_id: int, day: date) -> bool:
    """Whether money spent there now has to be held."""
    with transaction.atomic():
        found = _budgets(team, connection_id, month_of(day))
        return any(budget.stop_at is not None for budget in found)


def _budgets(team: Team, connection_id: int, month: date) -> list[Budget]:
    """By id, which is the order in which all lock them."""
    found = Budget.objects.filter(
        Q(connection_id=connection_id) | Q(connection__isnull=True), team=team
    ).select_related("team", "connection")
    rules = found.filter(month__isnull=True)
    begun = found.filter(month=month).order_by("pk")
    missing = {r.connection_id: r.pk for r in rules}.keys() - {b.connection_id for b in begun}
    if missing:
        begin_months([r.pk for r in rules if r.connection_id in missing], month)
    return list(begun.all())
