"""A month's costs as files for those who pay: FOCUS and chargeback, of one team or of all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from jobs.control.export_formats import csv_file
from jobs.costs import chargeback, focus
from jobs.costs.months import Month
from jobs.errors import Invalid, NotAllowed
from jobs.models import Team
from jobs.teams.access import Actor, team_for
from jobs.teams.policy import Action

CSV = "text/csv; charset=utf-8"
ALL_TEAMS = "all"
Kind = Literal["focus", "chargeback"]


@dataclass(frozen=True, slots=True)
class CostFile:
    name: str
    content: Iterator[bytes]


def cost_file(
    *, actor: Actor, kind: Kind, month: str, team: str = "", for_people: bool = False
) -> CostFile:
    """The file of this kind for the month “2026-11”, this one without; of the actor's team, or
    of the team with this id, or of “all”, as the actor may.

    `for_people`: it begins with the mark that Excel wants. Raises Invalid, NotFound and NotAllowed.
    """
    actor.require(Action.COST_EXPORT)
    chosen = month_asked(month)
    teams = _teams(actor, team)
    ids = [one.pk for one in teams]
    whose = "all-teams" if team == ALL_TEAMS else teams[0].public_id
    if kind == "focus":
        # A reader of FOCUS would take the mark for a part of the first column's name.
        lines = focus.focus_lines(team_ids=ids, month=chosen)
        content = csv_file(lines, focus.COLUMNS, mark=False)
        return CostFile(f"focus-1.2-{chosen}-{whose}.csv", content)
    lines = chargeback.chargeback_lines(team_ids=ids, month=chosen)
    content = csv_file(lines, chargeback.COLUMNS, mark=for_people)
    return CostFile(f"chargeback-{chosen}-{whose}.csv", content)


def month_asked(text: str) -> Month:
    """Raises Invalid."""
    if not text:
        return Month.of(datetime.now(UTC).date())
    month = Month.parse(text)
    if month is None:
        raise Invalid.field("month", "A month is written 2026-11")
    return month


def _teams(actor: Actor, team: str) -> list[Team]:
    if team == ALL_TEAMS:
        if not actor.is_installation_admin:
            raise NotAllowed("The costs of all teams are for the admins of the installation.")
        return list(Team.objects.order_by("name", "pk"))
    return [team_for(actor, team) if team else actor.team]
