"""/costs: the files of a month for those who pay, and closing a month."""

from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router

from jobs.api.actor import actor_for
from jobs.api.answers import MonthOut, Page
from jobs.api.idempotency import idempotent
from jobs.api.shapes import iso
from jobs.control.cost_files import CSV, Kind, cost_file
from jobs.costs.closing import MonthOfTeam, month_close, month_of, months_of
from jobs.costs.months import Month
from jobs.errors import NotFound
from jobs.money import usd_string
from jobs.teams.policy import Action

router = Router(tags=["costs"])
_FILE = {
    "responses": {
        200: {
            "description": "The file",
            "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}},
        }
    }
}


@router.get("/focus", operation_id="cost_focus", summary="FOCUS 1.2 file", openapi_extra=_FILE)
def focus(request: HttpRequest, month: str = "", team: str = "") -> Any:
    """A month (`2026-11`; this one without) as charges of the FinOps Open Cost and Usage Specification,
    streamed as CSV. Of your team, or of `team`: an id, or `all` for an admin of the installation."""
    return _file(request, "focus", month, team)


@router.get(
    "/chargeback", operation_id="cost_chargeback", summary="Chargeback file", openapi_extra=_FILE
)
def chargeback(request: HttpRequest, month: str = "", team: str = "") -> Any:
    """The same month by job, person and model, streamed as CSV."""
    return _file(request, "chargeback", month, team)


def _file(request: HttpRequest, kind: Kind, month: str, team: str) -> StreamingHttpResponse:
    actor = actor_for(request, Action.COST_EXPORT)
    file = cost_file(actor=actor, kind=kind, month=month, team=team)
    response = StreamingHttpResponse(file.content, content_type=CSV)
    response["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


@router.get("/months", operation_id="month_list", response=Page[MonthOut], summary="Months")
def months(request: HttpRequest) -> Any:
    """Those in which something was booked, the newest first, and whether they are closed."""
    actor = actor_for(request, Action.COST_READ)
    return {"items": [_month(one) for one in months_of(actor.team)], "next": None}


@router.post(
    "/months/{month}/close", operation_id="month_close", response=MonthOut, summary="Close a month"
)
@idempotent
def close(request: HttpRequest, month: str) -> Any:
    """From 24 hours after its end on. Its figures never change again, and it cannot be opened again."""
    actor = actor_for(request, Action.MONTH_CLOSE)
    chosen = Month.parse(month)
    if chosen is None:
        raise NotFound(f"There is no month “{month[:40]}”.")
    month_close(actor=actor, month=chosen)
    return _month(month_of(actor.team, chosen))


def _month(one: MonthOfTeam) -> dict[str, Any]:
    closed = one.closed
    return {
        "month": f"{one.month}",
        "calls": one.calls,
        "cost": usd_string(one.cost),
        "wasted_cost": usd_string(one.wasted_cost),
        "in_doubt_cost": usd_string(one.in_doubt_cost),
        "unpriced_calls": one.unpriced_calls,
        "closed_at": iso(closed.closed_at) if closed else None,
        "closed_by": closed.closed_by.get_username() if closed and closed.closed_by else None,
        "may_close_from": iso(one.month.closes_from),
    }
