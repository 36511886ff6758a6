"""The roll-ups summed by the database: by what, of which days and teams, narrowed to what."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import connection as database

# What can be grouped by, each a closed piece of SQL; `{tag}` is filled in by the database's own way.
_KEYS = {
    "team": "r.team_id",
    "job": "r.job_id",
    "template": "COALESCE(v.template_id, 0)",
    "version": "r.template_version_id",
    "model": "r.model",
    "connection": "r.connection_id",
    "day": "r.day",
    # 0: launched by somebody whose account is gone; -1: no job stands behind the call.
    "person": "CASE WHEN r.job_id = 0 THEN -1 ELSE COALESCE(j.created_by_id, 0) END",
    "tag": "{tag}",
    "name": "COALESCE(j.name, '')",  # of the job
}
_TAG = {
    "postgresql": "j.tags ->> %s",
    "sqlite": "(SELECT t.value FROM json_each(j.tags) t WHERE t.key = %s)",
}
_JOB = " LEFT JOIN jobs_job j ON j.id = r.job_id"
_VERSION = " LEFT JOIN jobs_templateversion v ON v.id = r.template_version_id"


@dataclass(frozen=True, slots=True)
class Days:
    """Of a range, in UTC, both included."""

    first: date
    last: date

    @property
    def number(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose roll-ups, and which: `narrow` keeps those whose group of that name is this one; the value
    of "tag" is (name, value), None for a value meaning untagged."""

    team_ids: tuple[int, ...]
    narrow: dict[str, Any] = field(default_factory=dict)


def group_sums(
    scope: Scope,
    days: Days,
    by: Sequence[str],
    sums: Sequence[str],
    *,
    tag: str = "",
    limit: int = 0,
) -> tuple[list[tuple[Any, ...]], int]:
    """Rows of the group's keys and its sums (of the columns named), the dearest first, and how many
    groups there are. Names come from this program, values are bound."""
    keys, parameters = [], []
    for name in by:
        keys.append(_key(name))
        parameters += [tag] if name == "tag" else []
    where, bound = _where(scope, days)
    columns = ", ".join(f"SUM(r.{name})" for name in sums)
    joins = _joins([*by, *scope.narrow])
    places = ", ".join(str(at) for at in range(1, len(keys) + 1))
    query = (
        f"SELECT {', '.join(keys)}, {columns}, COUNT(*) OVER () FROM jobs_costrollup r{joins} "
        f"WHERE {where} GROUP BY {places} ORDER BY SUM(r.cost) DESC, SUM(r.calls) DESC, {places}"
    )
    if limit:
        query += f" LIMIT {limit:d}"
    with database.cursor() as cursor:
        cursor.execute(query, [*parameters, *bound])
        found = cursor.fetchall()
    return [row[:-1] for row in found], found[0][-1] if found else 0


def day_of(value: Any) -> date:
    """A day as a cursor gives it: SQLite has them as text."""
    return value if isinstance(value, date) else date.fromisoformat(value)


def _key(name: str) -> str:
    return _KEYS[name].format(tag=_TAG[database.vendor])


def _joins(names: Sequence[str]) -> str:
    joins = _JOB if {"person", "tag", "name"} & set(names) else ""
    return joins + (_VERSION if "template" in names else "")


def _where(scope: Scope, days: Days) -> tuple[str, list[Any]]:
    if not scope.team_ids:
        return "FALSE", []
    conditions = [f"r.team_id IN ({', '.join(['%s'] * len(scope.team_ids))})"]
    conditions.append("r.day BETWEEN %s AND %s")
    bound: list[Any] = [*scope.team_ids, days.first.isoformat(), days.last.isoformat()]
    for name, wanted in scope.narrow.items():
        if name == "tag":
            bound.append(wanted[0])
            wanted = wanted[1]
        conditions.append(f"{_key(name)} IS NULL" if wanted is None else f"{_key(name)} = %s")
        bound += [] if wanted is None else [wanted]
    return " AND ".join(conditions), bound
