"""What was spent, on what, why it changed and where it leads; its table also as a CSV file."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from jobs.costs.selectors import cost_table, tag_names
from jobs.costs.sums import CAUSES, CostSums, CostTable
from jobs.teams.policy import Action
from jobs.teams.sessions import teams_of
from jobs.web.cost_choice import GROUPS, MOST_DAYS, Choice, choice_of, days_text, usual_ranges
from jobs.web.cost_file import costs_file
from jobs.web.cost_rows import rows_of, share_of, waste_words
from jobs.web.cost_story import story
from jobs.web.pages import PageRequest, page, tell_ignored

# Beyond that the page is no table for people any more; the CSV has every row.
MOST_ROWS = 60
_TONES = {
    "failed": ("Failed", "red"),
    "retried": ("Retried", "orange"),
    "repaired": ("Repaired", "yellow"),
    "superseded": ("Superseded", "grey"),
    "late": ("Late", "pending"),
    "other": ("Wasted", "orange"),
}


@page(Action.COST_READ)
def costs(request: PageRequest) -> HttpResponse:
    chosen = choice_of(request)
    tell_ignored(request, chosen.ignored)
    tags = _tags(chosen)
    if chosen.by == "tag" and not chosen.tag and tags:
        chosen = replace(chosen, tag=tags[0])
    table = _table(chosen, MOST_ROWS)
    told = story(request, chosen, table)
    today = timezone.now().date()
    total = table.total
    context = {
        "chosen": chosen,
        "total": total,
        "each_change": _share(total.cost_per_result, told["each_before"]),
        "rows": rows_of(chosen, table, told["kinds"], request.actor.team.pk),
        "rest": table.rest if table.left_out else None,
        "left_out": table.left_out,
        "total_waste": waste_words(total),
        "rest_share": share_of(table.rest, total),
        "chart": _chart(chosen, table, {one["day"] for one in told["odd_days"]}),
        "group_label": GROUPS[chosen.by],
        "behind": f"?{chosen.query(by='job')}",
        "before_query": chosen.query(**{"from": chosen.before.first, "to": chosen.before.last}),
        "days_words": days_text(chosen.days),
        "tabs": [
            {"label": label, "url": f"?{_by(chosen, key)}", "active": key == chosen.by}
            for key, label in GROUPS.items()
            if key != "team" or len(teams_of(request.actor.user)) > 1
        ],
        "ranges": [
            (
                label,
                f"?{chosen.query(**{'from': days.first, 'to': days.last})}",
                days == chosen.days,
            )
            for label, days in usual_ranges(today)
        ],
        "tags": [(tag, f"?{chosen.query(tag=tag)}", tag == chosen.tag) for tag in tags],
        "teams": len(teams_of(request.actor.user)),
        "csv_url": f"{reverse('costs_csv')}?{chosen.query()}",
        "most_days": MOST_DAYS,
        "usual": chosen.days == usual_ranges(today)[0][1],
        "tokens": total.input_tokens + total.output_tokens,
        "wasted_share": _wasted_share(total),
        **told,
    }
    return render(request, "costs/costs.html", context)


@page(Action.COST_READ)
def costs_csv(request: PageRequest) -> HttpResponseBase:
    chosen = choice_of(request)
    tags = _tags(chosen)
    if chosen.by == "tag" and not chosen.tag and tags:
        chosen = replace(chosen, tag=tags[0])
    response = StreamingHttpResponse(
        costs_file(chosen.by, _table(chosen)), content_type="text/csv; charset=utf-8"
    )
    name = f"costs-by-{chosen.by}-{chosen.days.first}-{chosen.days.last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _by(chosen: Choice, key: str) -> str:
    """Teams are told apart only where there are several."""
    return chosen.query(by=key, **({"teams": "all"} if key == "team" else {}))


def _tags(chosen: Choice) -> list[str]:
    return tag_names(chosen.scope.team_ids) if chosen.by == "tag" else []


def _table(chosen: Choice, limit: int = 0) -> CostTable:
    return cost_table(
        team_ids=chosen.scope.team_ids,
        group_by=chosen.by,
        date_from=chosen.days.first,
        date_to=chosen.days.last,
        narrow=chosen.narrow,
        tag=chosen.tag,
        limit=limit,
    )


def _share(now: int | None, then: int | None) -> float | None:
    return (now - then) / then if now is not None and then else None


def _wasted_share(sums: CostSums) -> float | None:
    wasted = sums.known_wasted_cost
    return None if wasted is None or sums.cost <= 0 else wasted / sums.cost


def _chart(chosen: Choice, table: CostTable, odd: set[Any]) -> dict[str, Any]:
    """Every day of the range, also the ones without a call; its total is the table's. What is in doubt
    stands on top, and is no part of it."""
    days = [chosen.days.first + timedelta(n) for n in range(chosen.days.number)]
    nothing = CostSums()
    sums = [table.by_day.get(day, nothing) for day in days]
    series: list[dict[str, Any]] = [
        {"name": "Useful", "values": [one.cost - one.wasted_cost for one in sums], "tone": "blue"}
    ]
    for cause in (*CAUSES, "other"):
        values = [one.waste[cause] for one in sums]
        if any(values):
            name, tone = _TONES[cause]
            series.append({"name": name, "values": values, "tone": tone})
    doubt = [one.in_doubt_cost for one in sums]
    if any(doubt):
        series.append({"name": "In doubt", "values": doubt, "tone": "purple", "apart": True})
    return {
        "title": "Cost a day",
        "unit": "money",
        "buckets": [f"{day:%-d %b}" for day in days],
        "hrefs": [f"?{chosen.query(**{'by': 'job', 'from': day, 'to': day})}" for day in days],
        "marked": [day in odd for day in days],
        "series": series,
    }
