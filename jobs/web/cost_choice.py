"""What the address of the costs page asks for: which days, grouped by what, narrowed to what."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone

from jobs.control.filters import ignored_of
from jobs.costs.grouping import Days, Scope
from jobs.costs.selectors import OUTSIDE, UNTAGGED
from jobs.models import Connection, CostRollup, Job, PromptTemplate, Team, TemplateVersion
from jobs.teams.sessions import teams_of
from jobs.web.pages import PageRequest

GROUPS = {
    "model": "Model",
    "template": "Template",
    "version": "Version",
    "job": "Job",
    "person": "Person",
    "tag": "Tag",
    "connection": "Connection",
    "team": "Team",
    "day": "Day",
}
# A chart of more columns cannot be read; the file has no such limit that a person would meet.
MOST_DAYS = 366
# What stands in the address for calls that no job stands behind.
NO_JOB = "outside"
_NARROW = ("team", "template", "version", "model", "connection", "job", "person")


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A filter in force: what it is called, and the address without it."""

    kind: str
    label: str
    without: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What the query string asks for, made sensible."""

    by: str
    days: Days
    teams: tuple[Team, ...]
    all_teams: bool
    tag: str
    asked: dict[str, str] = field(default_factory=dict)  # what narrows, as in the address
    narrow: dict[str, Any] = field(default_factory=dict)  # the same, as in the tables
    labels: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @property
    def scope(self) -> Scope:
        return Scope(tuple(team.pk for team in self.teams), self.narrow)

    @property
    def before(self) -> Days:
        return days_before(self.days)

    def query(self, **changed: Any) -> str:
        parts = {
            "by": self.by,
            "from": self.days.first.isoformat(),
            "to": self.days.last.isoformat(),
            "teams": "all" if self.all_teams else "",
            "tag": self.tag,
            **self.asked,
            **changed,
        }
        return urlencode({name: value for name, value in parts.items() if value})

    @property
    def kept(self) -> dict[str, str]:
        """What a form of days and teams carries on."""
        return {"by": self.by, **({"tag": self.tag} if self.tag else {}), **self.asked}

    @property
    def narrowed(self) -> list[Narrowed]:
        return [
            Narrowed(GROUPS[kind].lower(), label, f"?{self.query(**_without(kind))}")
            for kind, label in self.labels.items()
        ]


def _without(kind: str) -> dict[str, str]:
    return {"value": "", "untagged": ""} if kind == "tag" else {kind: ""}


def choice_of(request: PageRequest) -> Choice:
    """Unknown groups and impossible ranges become the usual ones: a shared link still opens."""
    query = request.GET
    own = teams_of(request.actor.user)
    all_teams = query.get("teams") == "all"
    teams = tuple(own) if all_teams else (request.actor.team,)
    by = query.get("by", "model")
    asked = {name: query[name][:200] for name in _NARROW if query.get(name)}
    narrow: dict[str, Any] = {}
    labels: dict[str, str] = {}
    unknown = []
    for name, value in asked.items():
        found = _resolve(name, value, teams)
        if found is None:
            unknown.append(name)
        else:
            narrow[name], labels[name] = found
    tag = query.get("tag", "")[:50]
    if tag and query.get("value") is not None:
        value = query["value"][:200]
        narrow["tag"], labels["tag"] = (tag, value), f"{tag} = {value or '(empty)'}"
        asked["value"] = value
    elif tag and query.get("untagged"):
        narrow["tag"], labels["tag"] = (tag, None), f"{UNTAGGED} with {tag}"
        asked["untagged"] = "1"
    days = {name: _day(query.get(name, "")) for name in ("from", "to")}
    return Choice(
        by=by if by in GROUPS else "model",
        days=_days(days["from"], days["to"]),
        teams=teams,
        all_teams=all_teams,
        tag=tag,
        asked={name: value for name, value in asked.items() if name not in unknown},
        narrow=narrow,
        labels=labels,
        ignored=ignored_of(
            query, {"by": by in GROUPS, **days, **{name: name not in unknown for name in _NARROW}}
        ),
    )


def _resolve(kind: str, value: str, teams: tuple[Team, ...]) -> tuple[Any, str] | None:
    """A public name as it is in the tables, and for people; of these teams alone."""
    if value == NO_JOB and kind in ("job", "template", "version", "person"):
        return (-1 if kind == "person" else 0), OUTSIDE
    if kind == "model":
        known = CostRollup.objects.filter(team_id__in=[team.pk for team in teams], model=value)
        return (value, value) if known.exists() else None
    if kind == "team":
        return next(((one.pk, one.name) for one in teams if one.public_id == value), None)
    if kind == "person":
        people = Job.objects.filter(team__in=teams, created_by__username=value)
        found = people.values_list("created_by_id", "created_by__username").first()
        return None if found is None else (found[0], found[1])
    if kind == "version":
        template, _, number = value.partition("@")
        if not number.isdecimal() or len(number) > 9:
            return None
        version = (
            TemplateVersion.objects.filter(
                template__public_id=template, template__team__in=teams, version=int(number)
            )
            .select_related("template")
            .first()
        )
        return None if version is None else (version.pk, str(version))
    models: Mapping[str, Any] = {"template": PromptTemplate, "connection": Connection, "job": Job}
    one = models[kind].objects.filter(public_id=value, team__in=teams).first()
    return None if one is None else (one.pk, one.name)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _days(first: date | None, last: date | None) -> Days:
    """The month to date where nothing else is asked for."""
    last = max(last or timezone.now().date(), date.min + timedelta(2 * MOST_DAYS))
    first = first or last.replace(day=1)
    if first > last:
        first, last = last, first
    return Days(max(first, last - timedelta(MOST_DAYS - 1)), last)


def days_before(days: Days) -> Days:
    """The period beside it, as long: of days within one month that begin with its first the same days
    of the month before, else the days just before."""
    first, last = days.first, days.last
    if first.day == 1 and (first.year, first.month) == (last.year, last.month):
        end = first - timedelta(1)
        whole = last.day == calendar.monthrange(last.year, last.month)[1]
        return Days(end.replace(day=1), end if whole else end.replace(day=min(last.day, end.day)))
    return Days(first - timedelta(days.number), first - timedelta(1))


def usual_ranges(today: date) -> list[tuple[str, Days]]:
    month = today.replace(day=1)
    before = month - timedelta(1)
    return [
        ("Month to date", Days(month, today)),
        ("Last month", Days(before.replace(day=1), before)),
        ("Today", Days(today, today)),
        ("7 days", Days(today - timedelta(6), today)),
        ("30 days", Days(today - timedelta(29), today)),
        ("90 days", Days(today - timedelta(89), today)),
    ]


def days_text(days: Days) -> str:
    """1–24 Nov, or with both months where they differ."""
    first, last = days.first, days.last
    if first == last:
        return f"{first:%-d %b}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last:%-d %b}"
    return f"{first:%-d %b} – {last:%-d %b}"
