"""Closing a month of a team: what its roll-ups say is written down, and never changes again.

Whatever is found out later is booked on the day on which it is found out. There is no way back.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone

from jobs.costs.known import known
from jobs.costs.months import Month
from jobs.errors import Conflict, NotFound
from jobs.models import ClosedMonth, CostRollup, Job, Lease, Team
from jobs.money import usd_string
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action

_KEYS = ("job_id", "template_version_id", "connection_id", "model", "day")
_SUMS = sorted(
    {field.attname for field in CostRollup._meta.concrete_fields} - {*_KEYS, "id", "team_id"}
)


def month_close(*, actor: Actor, month: Month) -> ClosedMonth:
    """Raises Conflict where it cannot be closed (yet), NotFound where nothing is booked in it."""
    actor.require(Action.MONTH_CLOSE)
    team = actor.team
    month_of(team, month)
    if timezone.now() < month.closes_from:
        raise Conflict(
            f"{month} can be closed from {month.closes_from:%Y-%m-%d %H:%M} UTC on: until then calls "
            "that left on its last day may still be settled."
        )
    with transaction.atomic():
        # Who settles a call holds its job's row, and looks only then whether a month is closed.
        jobs = _booked(team.pk, month).filter(job_id__gt=0).values("job_id").distinct()
        list(Job.objects.select_for_update().filter(pk__in=jobs).order_by("pk").values_list("pk"))
        if ClosedMonth.objects.filter(team=team, month=month.first).exists():
            raise Conflict(f"{month} is closed already.")
        flying = Lease.objects.filter(day__gte=month.first, day__lte=month.last)
        if flying.filter(job_id__in=Job.objects.filter(team=team).values("pk")).exists():
            raise Conflict(
                f"Calls of {month} are still on their way. Close it when they have ended."
            )
        totals = month_totals(team.pk, month)
        closed = ClosedMonth.objects.create(
            team=team, month=month.first, totals=totals, closed_by=actor.user
        )
        cost = usd_string(totals["cost"])
        record(actor, "month.close", closed, month=f"{month}", cost_usd=cost)
    return closed


def month_totals(team_id: int, month: Month, names: Sequence[str] = _SUMS) -> dict[str, Any]:
    """Each of these sums of the month's roll-ups, how many rows they are, and a digest of all."""
    totals: dict[str, Any] = dict.fromkeys(names, 0)
    rows, digest = 0, hashlib.sha256()
    booked = _booked(team_id, month).order_by(*_KEYS).values_list(*_KEYS, *names)
    for row in booked.iterator(chunk_size=2_000):
        rows += 1
        digest.update(orjson.dumps(row))
        for name, value in zip(names, row[len(_KEYS) :], strict=True):
            totals[name] += value
    return totals | {"rows": rows, "digest": digest.hexdigest()}


def totals_now(closed: ClosedMonth) -> dict[str, Any]:
    """What a closed month's roll-ups say today: its `totals`, or something has changed them."""
    names = sorted(set(closed.totals) - {"rows", "digest"})
    return month_totals(closed.team_id, Month(closed.month), names)


def _booked(team_id: int, month: Month) -> Any:
    return CostRollup.objects.filter(team_id=team_id, day__gte=month.first, day__lte=month.last)


@dataclass(frozen=True, slots=True)
class MonthOfTeam:
    """Money in pico-USD; None where nothing but calls of unknown price stand behind it."""

    month: Month
    calls: int
    cost: int | None
    wasted_cost: int
    in_doubt_cost: int
    unpriced_calls: int
    closed: ClosedMonth | None

    @property
    def may_close(self) -> bool:
        return self.closed is None and timezone.now() >= self.month.closes_from


def months_of(team: Team) -> list[MonthOfTeam]:
    """Months in which something was booked, the newest first."""
    closed = {
        one.month: one for one in ClosedMonth.objects.filter(team=team).select_related("closed_by")
    }
    sums = {f"sum_{name}": Sum(name) for name in _SHOWN}
    found = (
        CostRollup.objects.filter(team_id=team.pk)
        .annotate(month=TruncMonth("day"))
        .values("month")
        .annotate(**sums)
        .order_by("-month")
    )
    return [_month(row, closed) for row in found]


def month_of(team: Team, month: Month) -> MonthOfTeam:
    """Raises NotFound where nothing is booked in it."""
    found = next((one for one in months_of(team) if one.month == month), None)
    if found is None:
        raise NotFound(f"The team {team.name} has nothing booked in {month}.")
    return found


_SHOWN = ("calls", "cost", "wasted_cost", "in_doubt_cost", "unpriced_calls")


def _month(row: Any, closed: dict[date, ClosedMonth]) -> MonthOfTeam:
    calls, cost, wasted, doubt, unpriced = (int(row[f"sum_{name}"]) for name in _SHOWN)
    return MonthOfTeam(
        month=Month(row["month"]),
        calls=calls,
        cost=known(cost, unpriced),
        wasted_cost=wasted,
        in_doubt_cost=doubt,
        unpriced_calls=unpriced,
        closed=closed.get(row["month"]),
    )
