"""What was spent, by team, job, template, model or day: from the roll-ups, never from the ledger."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from django.contrib.auth.models import User

from jobs.costs.known import known
from jobs.models import CostRollup, Job, Price, Team, TemplateVersion

GROUPS = ("team", "job", "template", "model", "day")
# On the pages alone: who launched the jobs. The API names no people.
BY_PERSON = "person"


@dataclass(slots=True)
class CostSums:
    """Money in pico-USD. `cost` is what is known; with `unpriced_calls` it is not the whole."""

    calls: int = 0
    accepted: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    wasted_cost: int = 0
    in_doubt_cost: int = 0
    in_doubt_calls: int = 0
    unpriced_calls: int = 0
    estimated_calls: int = 0
    batch_savings: int = 0

    def add(self, row: Any) -> None:
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(row, name))

    @property
    def known_cost(self) -> int | None:
        """The cost to show: None where nothing but unpriced calls stand behind it."""
        return known(self.cost, self.unpriced_calls)

    @property
    def known_wasted_cost(self) -> int | None:
        fruitless = self.calls - self.in_doubt_calls - self.accepted
        return known(self.wasted_cost, self.unpriced_calls, fruitless)

    @property
    def known_in_doubt_cost(self) -> int | None:
        return known(self.in_doubt_cost, self.unpriced_calls, self.in_doubt_calls)


_SUMMED = [f.name for f in fields(CostSums) if f.name != "batch_savings"]


@dataclass(slots=True)
class CostRow(CostSums):
    """`key` is the group's public id (or the model, or the day); `label` its name for people."""

    key: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class CostTable:
    rows: list[CostRow]
    total: CostSums
    by_day: dict[date, CostSums] = field(default_factory=dict)


def cost_table(
    *, team_ids: Sequence[int], group_by: str, date_from: date, date_to: date
) -> CostTable:
    """Sums of the days `date_from` … `date_to` (UTC, both included), the dearest group first.

    Raises ValueError for an unknown group. Every table's rows add up to its total.
    """
    if group_by not in (*GROUPS, BY_PERSON):
        raise ValueError(f"group_by is one of {', '.join(GROUPS)}")
    found = list(
        CostRollup.objects.filter(team_id__in=team_ids, day__gte=date_from, day__lte=date_to)
    )
    name = _namer(group_by, found)
    groups: dict[tuple[str, str], CostRow] = {}
    by_day: dict[date, CostSums] = defaultdict(CostSums)
    total = CostSums()
    for row in found:
        key, label = name(row)
        group = groups.setdefault((key, label), CostRow(key=key, label=label))
        for sums in (group, by_day[row.day], total):
            sums.add(row)
    rows = list(groups.values())
    if group_by == "day":
        rows.sort(key=lambda row: row.key)
    else:
        rows.sort(key=lambda row: (-row.cost, -row.calls, row.label))
    return CostTable(rows, total, dict(sorted(by_day.items())))


def _person(user: User | None) -> tuple[str, str]:
    return (user.username, user.username) if user else ("", "Somebody since removed")


_OUTSIDE = ("", "Outside jobs (template tries, connection tests)")


def _namer(group_by: str, found: Sequence[CostRollup]) -> Callable[[CostRollup], tuple[str, str]]:
    if group_by == "day":
        return lambda row: (row.day.isoformat(), row.day.isoformat())
    if group_by == "model":
        return lambda row: (row.model, row.model)
    if group_by == "team":
        teams = Team.objects.in_bulk({row.team_id for row in found})
        return lambda row: (teams[row.team_id].public_id, teams[row.team_id].name)
    if group_by == "job":
        jobs = Job.objects.in_bulk({row.job_id for row in found if row.job_id})
        return lambda row: (
            (jobs[row.job_id].public_id, jobs[row.job_id].name) if row.job_id else _OUTSIDE
        )
    if group_by == BY_PERSON:
        launched = Job.objects.select_related("created_by").in_bulk(
            {row.job_id for row in found if row.job_id}
        )
        return lambda row: _person(launched[row.job_id].created_by) if row.job_id else _OUTSIDE
    versions = TemplateVersion.objects.select_related("template").in_bulk(
        {row.template_version_id for row in found if row.template_version_id}
    )
    return lambda row: (
        (
            versions[row.template_version_id].template.public_id,
            versions[row.template_version_id].template.name,
        )
        if row.template_version_id
        else _OUTSIDE
    )


def team_prices(team: Team) -> list[Price]:
    """The team's own prices, the newest of each model first."""
    return list(
        Price.objects.filter(team=team)
        .select_related("connection")
        .order_by("model", "-effective_from", "-id")
    )
