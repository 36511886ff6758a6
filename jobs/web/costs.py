"""What was spent: a range of days, stacked by day and summed by group; the same as a CSV file."""

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from jobs.control.filters import ignored_of
from jobs.costs.selectors import CostRow, CostSums, CostTable, cost_table
from jobs.money import usd_string
from jobs.teams.policy import Action
from jobs.teams.sessions import teams_of
from jobs.web.pages import PageRequest, page, tell_ignored

GROUPS = {
    "model": "Model",
    "template": "Template",
    "job": "Job",
    "person": "Person",
    "team": "Team",
    "day": "Day",
}
DAYS = 30
# A chart of more columns cannot be read; the file has no such limit that a person would meet.
MOST_DAYS = 366
# Beyond that the page is no table for people any more; the CSV has every row.
MOST_ROWS = 200
_RISKY = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the query string asks for, made sensible."""

    by: str
    day_from: date
    day_to: date
    all_teams: bool

    def query(self, **changed: Any) -> str:
        parts = {
            "by": self.by,
            "from": self.day_from.isoformat(),
            "to": self.day_to.isoformat(),
            "teams": "all" if self.all_teams else "",
            **changed,
        }
        return urlencode({name: value for name, value in parts.items() if value})


@page(Action.COST_READ)
def costs(request: PageRequest) -> HttpResponse:
    chosen = _choice(request)
    tell_ignored(request, _ignored(request))
    table = _table(request, chosen)
    today = timezone.now().date()
    context = {
        "chosen": chosen,
        "total": table.total,
        "rows": [_row(chosen, row) for row in table.rows[:MOST_ROWS]],
        "left_out": max(0, len(table.rows) - MOST_ROWS),
        "chart": _chart(chosen, table),
        "group_label": GROUPS[chosen.by],
        "tabs": [
            {
                "label": f"By {label.lower()}",
                "url": f"?{chosen.query(by=key)}",
                "active": key == chosen.by,
            }
            for key, label in GROUPS.items()
        ],
        "ranges": [
            (label, f"?{chosen.query(**{'from': first, 'to': last})}", _is(chosen, first, last))
            for label, first, last in _ranges(today)
        ],
        "teams": len(teams_of(request.actor.user)),
        "csv_url": f"{reverse('costs_csv')}?{chosen.query()}",
        "keep": {"by": chosen.by},
        "most_days": MOST_DAYS,
        "usual": _is(chosen, today - timedelta(DAYS - 1), today),
        "tokens": table.total.input_tokens + table.total.output_tokens,
        "total_each": _each(table.total),
        "wasted_share": _wasted_share(table.total),
    }
    return render(request, "costs/costs.html", context)


@page(Action.COST_READ)
def costs_csv(request: PageRequest) -> HttpResponse:
    """Every row of the chosen table, exact; an unknown cost is an empty cell, never 0."""
    chosen = _choice(request)
    table = _table(request, chosen)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([chosen.by, "id", *_COLUMNS])
    for row in table.rows:
        writer.writerow([_harmless(row.label), row.key, *_figures(row)])
    writer.writerow(["total", "", *_figures(table.total)])
    response = HttpResponse(buffer.getvalue(), content_type="text/csv; charset=utf-8")
    name = f"costs-by-{chosen.by}-{chosen.day_from}-{chosen.day_to}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


_COLUMNS = (
    "calls", "accepted", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd",
    "wasted_cost_usd", "in_doubt_cost_usd", "in_doubt_calls", "unpriced_calls", "estimated_calls",
)  # fmt: skip


def _figures(sums: CostSums) -> list[Any]:
    return [
        sums.calls, sums.accepted, sums.input_tokens, sums.cached_input_tokens,
        sums.output_tokens, usd_string(sums.known_cost) or "",
        usd_string(sums.known_wasted_cost) or "", usd_string(sums.known_in_doubt_cost) or "",
        sums.in_doubt_calls, sums.unpriced_calls,
        sums.estimated_calls,
    ]  # fmt: skip


def _harmless(text: str) -> str:
    """A name that a spreadsheet would run as a formula gets a quote in front."""
    return f"'{text}" if text.startswith(_RISKY) else text


def _choice(request: PageRequest) -> Choice:
    """Unknown groups and impossible ranges become the usual ones: a shared link still opens."""
    today = timezone.now().date()
    query = request.GET
    last = _day(query.get("to", "")) or today
    earliest = date.min + timedelta(MOST_DAYS)
    last = max(last, earliest)
    first = _day(query.get("from", "")) or last - timedelta(DAYS - 1)
    if first > last:
        first, last = last, first
    if (last - first).days >= MOST_DAYS:
        first = last - timedelta(MOST_DAYS - 1)
    by = query.get("by", "model")
    return Choice(by if by in GROUPS else "model", first, last, query.get("teams") == "all")


def _ignored(request: PageRequest) -> tuple[str, ...]:
    query = request.GET
    days = {name: _day(query.get(name, "")) for name in ("from", "to")}
    return ignored_of(query, {"by": query.get("by") in GROUPS, **days})


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _table(request: PageRequest, chosen: Choice) -> CostTable:
    teams = teams_of(request.actor.user) if chosen.all_teams else [request.actor.team]
    return cost_table(
        team_ids=[team.pk for team in teams],
        group_by=chosen.by,
        date_from=chosen.day_from,
        date_to=chosen.day_to,
    )


def _ranges(today: date) -> list[tuple[str, date, date]]:
    month = today.replace(day=1)
    before = month - timedelta(1)
    return [
        ("Today", today, today),
        ("7 days", today - timedelta(6), today),
        ("30 days", today - timedelta(29), today),
        ("This month", month, today),
        ("Last month", before.replace(day=1), before),
        ("90 days", today - timedelta(89), today),
    ]


def _is(chosen: Choice, first: date, last: date) -> bool:
    return (chosen.day_from, chosen.day_to) == (first, last)


def _chart(chosen: Choice, table: CostTable) -> dict[str, Any]:
    """Every day of the range, also the ones without a call; its total is the table's."""
    length = (chosen.day_to - chosen.day_from).days + 1
    days = [chosen.day_from + timedelta(n) for n in range(length)]
    nothing = CostSums()
    sums = [table.by_day.get(day, nothing) for day in days]
    return {
        "title": "Cost a day",
        "unit": "money",
        "buckets": [f"{day:%-d %b}" for day in days],
        "series": [
            {
                "name": "Useful",
                "values": [one.cost - one.wasted_cost for one in sums],
                "tone": "blue",
            },
            {"name": "Wasted", "values": [one.wasted_cost for one in sums], "tone": "orange"},
        ],
    }


def _row(chosen: Choice, row: CostRow) -> dict[str, Any]:
    return {"sums": row, "href": _href(chosen, row), "each": _each(row)}


def _each(sums: CostSums) -> int | None:
    """What a result cost, the waste shared among them; None where that is not known."""
    return sums.cost // sums.accepted if sums.accepted and not sums.unpriced_calls else None


def _wasted_share(sums: CostSums) -> float | None:
    wasted = sums.known_wasted_cost
    return None if wasted is None or not sums.cost else wasted / sums.cost


def _href(chosen: Choice, row: CostRow) -> str:
    """The rows behind a sum: the job itself, or the jobs it is the sum of."""
    if not row.key:
        return ""
    if chosen.by == "day":
        return f"?{chosen.query(**{'by': 'job', 'from': row.key, 'to': row.key})}"
    if chosen.by == "job":
        return reverse("job", args=[row.key])
    if chosen.by == "team":
        return ""
    name = "owner" if chosen.by == "person" else chosen.by
    return f"{reverse('jobs')}?{urlencode({name: row.key})}"
