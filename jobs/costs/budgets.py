"""Budgets of teams and months: which there are, how much of one is taken at a time, and the words with
which one refuses."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from django.db import connection as database
from django.db.models import Sum

from jobs.models import Budget, Grant
from jobs.money import usd_string

# A job takes enough for so many claims like this one, while that is a small part of what is left.
AHEAD_CLAIMS = 32
AHEAD_SHARE = 16


def month_of(day: date) -> date:
    return day.replace(day=1)


def next_month(month: date) -> date:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def budget_key(team_id: int, connection_id: int | None, month: date | None) -> str:
    """What is one budget and no other, as text."""
    return f"{team_id}/{connection_id or 'all'}/{month.isoformat() if month else 'each'}"


def block(need: int, room: int | None, *, short: bool = False) -> int:
    """How much to take of a budget that has `room` left (None: no limit), to cover `need` of it, which
    lies within it.

    More than is needed saves the next claims the way to the budget's row, which all jobs of the team
    share. But never so much that others starve: the further the budget is used up, the less is held in
    hand, down to nothing; and nothing where somebody is `short` of it already.
    """
    if need <= 0 or short:
        return max(0, need)
    ahead = need * AHEAD_CLAIMS
    return need + (ahead if room is None else min(ahead, max(0, room - need) // AHEAD_SHARE))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no call may be made now. Money in pico-USD."""

    scope: str  # job | team | connection
    whose: str  # "the job's budget", "the budget of team Support for November 2026"
    limit: int
    spent: int  # in doubt too
    reserved: int  # handed out and not spent
    wanted: int  # what the call may cost
    resets: str | None  # the day on which it begins anew, ISO; None: never
    retry: bool  # whether the same may succeed once what is in flight has ended
    connection: int  # that the call would go to; for us alone

    def __str__(self) -> str:
        amounts = [usd_string(v) for v in (self.limit, self.spent, self.reserved, self.wanted)]
        limit, spent, reserved, wanted = amounts
        ends = (
            f"It begins anew on {self.resets} at 00:00 UTC" if self.resets else "It does not reset"
        )
        helps = (
            "trying again may help once the calls in flight have ended"
            if self.retry
            else "trying again before does not help, raising it does"
        )
        whose = self.whose[0].upper() + self.whose[1:]
        return (
            f"{whose} is {limit} USD: {spent} USD are spent, {reserved} USD are reserved, and the next "
            f"call may cost up to {wanted} USD. {ends}; {helps}."
        )

    def dump(self) -> dict[str, Any]:
        return asdict(self)


def refusal_of(budget: Budget, *, month: date, wanted: int, connection_id: int) -> Refusal:
    """The words of a month's budget, which holds no room for a call; read under its row's lock."""
    spent = spent_of(budget)
    on = f" on {budget.connection.name}" if budget.connection is not None else ""
    return Refusal(
        scope="team" if budget.connection is None else "connection",
        whose=f"the budget of team {budget.team.name}{on} for {month:%B %Y}",
        limit=budget.stop_at or 0,
        spent=spent,
        reserved=budget.granted - spent,
        wanted=wanted,
        resets=next_month(month).isoformat(),
        retry=False,
        connection=connection_id,
    )


def spent_of(budget: Budget) -> int:
    used = Grant.objects.filter(budget=budget).aggregate(used=Sum("used"))["used"] or 0
    return int(used) + budget.direct


def team_has_budgets(team_id: int) -> bool:
    return Budget.objects.filter(team_id=team_id).exists()


def begin_months(rule_ids: Collection[int], month: date) -> None:
    """Give the month its own rows of these standing rules. Nothing was booked in it yet, or the rows
    would be there: see `jobs.control.budgets`."""
    Budget.objects.bulk_create(
        [
            Budget(
                team_id=rule.team_id,
                connection_id=rule.connection_id,
                month=month,
                key=budget_key(rule.team_id, rule.connection_id, month),
                warn_at=rule.warn_at,
                stop_at=rule.stop_at,
                updated_by_id=rule.updated_by_id,
            )
            for rule in Budget.objects.filter(pk__in=rule_ids)
        ],
        ignore_conflicts=True,  # another claim was quicker
    )


def hand_out(budget_id: int, amount: int) -> bool:
    """Add to what was handed out of a budget, unless that goes beyond its stop."""
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_budget SET granted = granted + %s WHERE id = %s "
            "AND (stop_at IS NULL OR granted + %s <= stop_at)",
            [amount, budget_id, amount],
        )
        return bool(cursor.rowcount == 1)
