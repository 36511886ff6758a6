"""What was spent, by team, job, template, model or day …: from the roll-ups, never from the ledger,
and summed by the database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from django.contrib.auth.models import User
from django.db import connection as database
from django.db.models import QuerySet

from jobs.costs.grouping import Days, Scope, day_of, group_sums
from jobs.costs.sums import CHARTED, SUMMED, CostRow, CostSums, CostTable
from jobs.models import Connection, Job, PromptTemplate, Team, TemplateVersion

GROUPS = ("team", "job", "template", "version", "model", "connection", "tag", "day")
# On the pages alone: who launched the jobs. The API names no people.
BY_PERSON = "person"
OUTSIDE = "Outside jobs (template tries, connection tests)"
UNTAGGED = "Untagged"
_NAMED: dict[str, tuple[Any, ...]] = {
    "team": (Team, "public_id", "name"),
    "job": (Job, "public_id", "name"),
    "template": (PromptTemplate, "public_id", "name"),
    "version": (TemplateVersion, "template__public_id", "template__name", "version"),
    "connection": (Connection, "public_id", "name"),
    BY_PERSON: (User, "username", "username"),
}
_CHUNK = 5_000  # of names asked for at once; a database takes some ten thousand parameters
_NEWEST = 1_000  # jobs whose tags tell which names are in use
# Of the names of tags in use, what a page offers.
MOST_TAGS = 50


def cost_table(
    *,
    team_ids: Sequence[int],
    group_by: str,
    date_from: date,
    date_to: date,
    narrow: Mapping[str, Any] | None = None,
    tag: str = "",
    limit: int = 0,
) -> CostTable:
    """Sums of the days `date_from` … `date_to` (UTC, both included), the dearest group first; of tags
    those of the name `tag`.

    Raises ValueError for an unknown group. Rows, and what a limit left out, add up to the total.
    """
    if group_by not in (*GROUPS, BY_PERSON):
        raise ValueError(f"group_by is one of {', '.join(GROUPS)}")
    scope, days = Scope(tuple(team_ids), dict(narrow or {})), Days(date_from, date_to)
    if group_by == "day":
        by_day = sums_by_day(scope, days, SUMMED)
        rows = [CostRow.of_group(sums, str(day), str(day), day) for day, sums in by_day.items()]
        return CostTable(rows, _total(by_day.values()), by_day)
    # Only of jobs there are so many that it is better to sum the days whole than all the groups.
    many = group_by == "job" and limit > 0
    by_day = sums_by_day(scope, days, SUMMED if many else CHARTED)
    found, groups = group_sums(scope, days, [group_by], SUMMED, tag=tag, limit=limit if many else 0)
    sums = [CostSums.of(values) for _, *values in found]
    total = _total(by_day.values() if many else sums)
    if limit:
        found = found[:limit]
    names = group_names(group_by, [key for key, *_ in found])
    rows = [
        CostRow.of_group(one, *names[key], key) for (key, *_), one in zip(found, sums, strict=False)
    ]
    return CostTable(rows, total, by_day, total.less(_total(rows)), groups - len(rows))


def _total(parts: Iterable[CostSums]) -> CostSums:
    total = CostSums()
    for one in parts:
        total.add(one)
    return total


def sums_by_day(scope: Scope, days: Days, names: Sequence[str]) -> dict[date, CostSums]:
    """Of the columns named; the others are 0."""
    found, _ = group_sums(scope, days, ["day"], names)
    return {
        day_of(day): CostSums(**dict(zip(names, map(int, values), strict=True)))
        for day, *values in sorted(found)
    }


def cost_by_day(scope: Scope, days: Days) -> dict[date, int]:
    found, _ = group_sums(scope, days, ["day"], ["cost"])
    return {day_of(day): int(cost) for day, cost in sorted(found)}


def group_names(group_by: str, keys: Sequence[Any]) -> dict[Any, tuple[str, str]]:
    """Of each key in the tables its public id and its name for people."""
    if group_by == "model":
        return {key: (key, key) for key in keys}
    if group_by == "tag":
        return {key: ("", UNTAGGED) if key is None else (key, key or "(empty)") for key in keys}
    names = dict.fromkeys(keys, ("", "Since removed")) | {0: ("", OUTSIDE)}
    if group_by == BY_PERSON:
        names |= {0: ("", "Somebody since removed"), -1: ("", OUTSIDE)}
    model, *columns = _NAMED[group_by]
    known = [key for key in keys if key not in (0, -1)]
    for at in range(0, len(known), _CHUNK):
        found = QuerySet[Any](model).filter(pk__in=known[at : at + _CHUNK])
        for pk, *values in found.values_list("pk", *columns):
            names[pk] = version_names(*values) if group_by == "version" else tuple(values)
    return names


def version_names(template: str, name: str, number: int) -> tuple[str, str]:
    return f"{template}@{number}", f"{name} v{number}"


def tag_names(team_ids: Sequence[int]) -> list[str]:
    """Names of the tags on the newest jobs of these teams, the commonest first."""
    marks = ", ".join(["%s"] * len(team_ids))
    names = {
        "postgresql": "CROSS JOIN LATERAL jsonb_object_keys(j.tags) t(key)",
        "sqlite": "CROSS JOIN json_each(j.tags) t",
    }[database.vendor]
    newest = (
        f"SELECT tags FROM jobs_job WHERE team_id IN ({marks}) ORDER BY id DESC LIMIT {_NEWEST:d}"
    )
    with database.cursor() as cursor:
        cursor.execute(
            f"SELECT t.key, COUNT(*) FROM ({newest}) j {names} GROUP BY t.key "
            f"ORDER BY COUNT(*) DESC, t.key LIMIT {MOST_TAGS:d}",
            list(team_ids),
        )
        return [name for name, _ in cursor.fetchall()]
