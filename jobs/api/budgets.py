"""/budgets"""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BeforeValidator

from jobs.api.actor import actor_for
from jobs.api.answers import BudgetOut, Page
from jobs.api.naming import named
from jobs.api.payloads import MONTH, BudgetIn
from jobs.control.budgets import BudgetState, budget_set, budget_states
from jobs.costs.budgets import month_of
from jobs.errors import Invalid, NotFound
from jobs.money import usd_string
from jobs.teams.access import Actor, connection_for
from jobs.teams.policy import Action

router = Router(tags=["budgets"])


def _blank(given: Any) -> Any:
    return None if given == "" else given


@router.get("", operation_id="budget_list", response=Page[BudgetOut], summary="The team's budgets")
def index(
    request: HttpRequest,
    team: Annotated[str | None, BeforeValidator(_blank)] = None,
    month: Annotated[str | None, BeforeValidator(_blank)] = None,
) -> Any:
    """Of a month (2026-11), or of this one: the budget over all connections first. `spent` is what the
    month's calls cost, with what is in doubt; `reserved` what is handed out to jobs besides."""
    actor = actor_for(request, Action.BUDGET_READ)
    named("team", lambda: _own(actor, team))
    if month is not None and not MONTH.fullmatch(month):
        raise Invalid.field("month", "A month like 2026-11")
    of = date.fromisoformat(f"{month}-01") if month else month_of(datetime.now(UTC).date())
    return {"items": [_shape(actor, state) for state in budget_states(actor, of)], "next": None}


@router.put("", operation_id="budget_set", response=BudgetOut, summary="Set a budget")
def put(request: HttpRequest, payload: BudgetIn) -> Any:
    """What the team may spend in the month, or in each from this one on, in all or on one connection.
    Calls that would go beyond `stop_at` are not made: their jobs pause, and go on by themselves once
    the budget allows it. An amount that is left out is none."""
    actor = actor_for(request, Action.BUDGET_WRITE)
    named("team", lambda: _own(actor, payload.team))
    chosen = payload.connection
    found = named("connection", lambda: connection_for(actor, chosen)) if chosen else None
    budget = budget_set(
        actor=actor,
        connection=found,
        month=date.fromisoformat(f"{payload.month}-01") if payload.month else None,
        warn_at=payload.warn_at,
        stop_at=payload.stop_at,
    )
    assert budget.month is not None  # the rule's own row of this month, where none was named
    states = budget_states(actor, budget.month)
    return _shape(actor, next(s for s in states if s.budget.pk == budget.pk))


def _own(actor: Actor, team: str | None) -> None:
    if team is not None and team != actor.team.public_id:
        raise NotFound(f"There is no team “{team[:40]}”.")


def _shape(actor: Actor, state: BudgetState) -> dict[str, Any]:
    budget = state.budget
    return {
        "team": actor.team.public_id,
        "connection": budget.connection.public_id if budget.connection else None,
        "month": f"{state.month:%Y-%m}",
        "warn_at": usd_string(budget.warn_at),
        "stop_at": usd_string(budget.stop_at),
        "spent": usd_string(state.spent),
        "reserved": usd_string(state.reserved),
        "granted": usd_string(budget.granted),
        "resets": f"{state.resets:%Y-%m-%d}T00:00:00Z",
    }
