"""The table of the costs page: its rows, what stands behind each, and the change beside it."""

from collections import defaultdict
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from jobs.costs.change import KIND, Kinds
from jobs.costs.grouping import group_sums
from jobs.costs.sums import CostRow, CostSums, CostTable
from jobs.costs.versions import VersionChange, version_changes
from jobs.models import Job
from jobs.web.cost_choice import NO_JOB, Choice

# Groups whose members come again in the next period; jobs and days do not.
_LASTING = ("model", "template", "version", "person", "tag", "connection", "team")


def rows_of(chosen: Choice, table: CostTable, kinds: Kinds, own_team: int) -> list[dict[str, Any]]:
    before = _before(chosen, kinds) if chosen.by in _LASTING else {}
    versions: dict[Any, VersionChange] = {}
    if chosen.by in ("version", "template"):
        ids = [row.id for row in table.rows]
        versions = version_changes(chosen.scope, chosen.by, ids, chosen.days)
    elsewhere = _elsewhere(chosen, table, own_team)
    return [
        {
            "sums": row,
            "href": _href(chosen, row, elsewhere),
            "share": share_of(row, table.total),
            "change": _change(row, before),
            "new": bool(before) and not before.get(row.id) and row.cost > 0,
            "version": versions.get(row.id),
            "compare": _compare_url(row, versions.get(row.id), chosen),
            "waste": waste_words(row),
        }
        for row in table.rows
    ]


def _compare_url(row: CostRow, change: VersionChange | None, chosen: Choice) -> str:
    """Both versions' answers beside each other; jobs of other teams are not to be seen from here."""
    if change is None or chosen.all_teams:
        return ""
    template = row.key.partition("@")[0]
    sides = {"a": f"{template}@{change.before}", "b": f"{template}@{change.version}"}
    return f"{reverse('job_compare')}?{urlencode(sides)}"


def share_of(sums: CostSums, total: CostSums) -> float | None:
    return sums.cost / total.cost if total.cost > 0 else None


def waste_words(sums: CostSums) -> list[tuple[str, int]]:
    """The causes that cost something."""
    return [(cause, amount) for cause, amount in sums.waste.items() if amount]


def _before(chosen: Choice, kinds: Kinds) -> dict[Any, int]:
    """What each group cost in the period before."""
    if chosen.by in KIND:
        at = KIND.index(chosen.by)
        sums: dict[Any, int] = defaultdict(int)
        for kind, work in kinds.before.items():
            sums[kind[at]] += work.cost
        return dict(sums)
    found, _ = group_sums(chosen.scope, chosen.before, [chosen.by], ["cost"], tag=chosen.tag)
    return {key: int(cost) for key, cost in found}


def _change(row: CostRow, before: dict[Any, int]) -> float | None:
    then = before.get(row.id, 0)
    return (row.cost - then) / then if then > 0 else None


def _elsewhere(chosen: Choice, table: CostTable, own_team: int) -> set[Any]:
    """Jobs of other teams: their pages open once one has changed to that team."""
    if chosen.by != "job" or not chosen.all_teams:
        return set()
    jobs = Job.objects.filter(pk__in=[row.id for row in table.rows]).exclude(team_id=own_team)
    return set(jobs.values_list("pk", flat=True))


def _href(chosen: Choice, row: CostRow, elsewhere: set[Any]) -> str:
    """The rows behind a sum: the job itself, or the jobs that it is the sum of."""
    if chosen.by == "day":
        return f"?{chosen.query(**{'by': 'job', 'from': row.key, 'to': row.key})}"
    if chosen.by == "tag":
        behind = {"value": row.key} if row.id is not None else {"untagged": "1"}
        return f"?{chosen.query(by='job', **behind)}" if row.id != "" else ""
    if chosen.by == "job" and row.key and row.id not in elsewhere:
        return f"{reverse('job', args=[row.key])}?{urlencode({'tab': 'costs'})}"
    if not row.key and row.id not in (0, -1):
        return ""
    if chosen.by == "job":
        return f"?{chosen.query(by='day', job=row.key or NO_JOB)}"
    if chosen.by == "person" and row.id == 0:
        return ""
    return f"?{chosen.query(**{'by': 'job', chosen.by: row.key or NO_JOB})}"
