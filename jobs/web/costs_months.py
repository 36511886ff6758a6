"""The months of a team: what each came to, its files, and closing it."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.http import urlencode

from jobs.control.cost_files import ALL_TEAMS, CSV, Kind, cost_file
from jobs.costs.closing import MonthOfTeam, month_close, month_of, months_of
from jobs.costs.months import Month
from jobs.errors import Invalid, NotFound
from jobs.teams.policy import Action
from jobs.web.confirmation import Question
from jobs.web.pages import PageRequest, go_to, page
from jobs.web.settings_shared import why_not

_FILES = (("FOCUS", "costs_focus"), ("Chargeback", "costs_chargeback"))


@page(Action.COST_READ)
def months(request: PageRequest) -> HttpResponse:
    actor = request.actor
    context = {
        "rows": [_row(one, actor.is_installation_admin) for one in months_of(actor.team)],
        "no_files": why_not(actor, Action.COST_EXPORT),
        "no_close": why_not(actor, Action.MONTH_CLOSE),
        "all_teams": actor.is_installation_admin,
    }
    return render(request, "costs/months.html", context)


def _row(one: MonthOfTeam, all_teams: bool) -> dict[str, Any]:
    days = {"by": "job", "from": f"{one.month.first}", "to": f"{one.month.last}"}
    return {
        "one": one,
        "days": f"{reverse('costs')}?{urlencode(days)}",
        "words": close_words(f"{one.month}"),
        "files": _links(one, ""),
        "all_files": _links(one, ALL_TEAMS) if all_teams else [],
    }


def _links(one: MonthOfTeam, team: str) -> list[tuple[str, str]]:
    query = {"month": f"{one.month}"} | ({"team": team} if team else {})
    return [(label, f"{reverse(name)}?{urlencode(query)}") for label, name in _FILES]


def close_words(month: str) -> str:
    return (
        f"Close {month}?\nIts figures never change again, and it cannot be opened again. What is found "
        "out later is booked on the day on which it is found out."
    )


def _close_question(request: PageRequest, month: str) -> Question | None:
    """Where it cannot be closed the answer is a refusal."""
    found = month_of(request.actor.team, _month(month))
    return Question(close_words(f"{found.month}"), "Close the month") if found.may_close else None


def _month(text: str) -> Month:
    month = Month.parse(text)
    if month is None:
        raise NotFound(f"There is no month “{text[:40]}”.")
    return month


@page(Action.MONTH_CLOSE, methods=("POST",), confirm=_close_question)
def close(request: PageRequest, month: str) -> HttpResponse:
    found = _month(month)
    month_close(actor=request.actor, month=found)
    messages.success(request, f"{found} is closed. Its figures never change again.")
    return go_to(request, resolve_url("costs_months"))


@page(Action.COST_EXPORT)
def focus_csv(request: PageRequest) -> HttpResponseBase:
    return _download(request, "focus")


@page(Action.COST_EXPORT)
def chargeback_csv(request: PageRequest) -> HttpResponseBase:
    return _download(request, "chargeback")


def _download(request: PageRequest, kind: Kind) -> HttpResponseBase:
    query = request.GET
    try:
        file = cost_file(
            actor=request.actor,
            kind=kind,
            month=query.get("month", ""),
            team=query.get("team", ""),
            for_people=True,
        )
    except Invalid as fault:
        raise NotFound(str(fault)) from fault
    response = StreamingHttpResponse(file.content, content_type=CSV)
    response["Content-Disposition"] = f'attachment; filename="{file.name}"'
    # Proxies must not hold the stream back.
    response["X-Accel-Buffering"] = "no"
    return response
