"""/connections and /prices"""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from jobs.api.actor import actor_for
from jobs.api.answers import ConnectionOut, ConnectionTestOut, Page, PriceOut
from jobs.api.idempotency import idempotent
from jobs.api.naming import named
from jobs.api.payloads import ConnectionIn, ConnectionTestIn, PriceIn
from jobs.api.shapes import connection_shape, price_shape
from jobs.control.connection_tests import connection_test
from jobs.costs.prices import listed, price_set, team_prices
from jobs.models import Connection
from jobs.teams.access import connection_for
from jobs.teams.connections import connection_save
from jobs.teams.policy import Action

router = Router(tags=["connections"])
prices = Router(tags=["prices"])


@router.get(
    "",
    operation_id="connection_list",
    response=Page[ConnectionOut],
    summary="The team's connections",
)
def index(request: HttpRequest) -> Any:
    """Keys never come back: only their last four characters, where that gives nothing away."""
    actor = actor_for(request, Action.CONNECTION_READ)
    found = Connection.objects.filter(team=actor.team, removed_at__isnull=True).order_by("name")
    return {"items": [connection_shape(c) for c in found], "next": None}


@router.post(
    "", operation_id="connection_create", response={201: ConnectionOut}, summary="Add a connection"
)
@idempotent
def create(request: HttpRequest, payload: ConnectionIn) -> Any:
    actor = actor_for(request, Action.CONNECTION_WRITE)
    connection = connection_save(actor=actor, connection=None, **payload.model_dump())
    return Status(201, connection_shape(connection))


@router.post(
    "/{connection_id}/test",
    operation_id="connection_test",
    response=ConnectionTestOut,
    summary="Test a connection",
)
@idempotent
def test(request: HttpRequest, connection_id: str, payload: ConnectionTestIn) -> Any:
    """Makes a real, small call and says in words what is wrong."""
    actor = actor_for(request, Action.CONNECTION_WRITE)
    connection = connection_for(actor, connection_id)
    found = connection_test(actor=actor, connection=connection, model=payload.model)
    return {
        "ok": not connection.test_failure,
        "failure_class": connection.test_failure or None,
        "message": found.message,
        "models": list(found.models),
    }


@prices.get("", operation_id="price_list", response=Page[PriceOut], summary="The team's own prices")
def price_index(request: HttpRequest) -> Any:
    """USD per million tokens. A model that is not listed is priced by the list that ships with the
    product; where that knows none either, its cost is unknown."""
    actor = actor_for(request, Action.PRICE_READ)
    return {"items": [price_shape(price) for price in team_prices(actor.team)], "next": None}


@prices.post(
    "", operation_id="price_set", response={201: PriceOut}, summary="Set a price from a date on"
)
@idempotent
def price_create(request: HttpRequest, payload: PriceIn) -> Any:
    actor = actor_for(request, Action.PRICE_WRITE)
    given = payload.model_dump()
    connection = given.pop("connection")
    found = named("connection", lambda: connection_for(actor, connection)) if connection else None
    made = price_set(actor=actor, connection=found, **given)
    return Status(201, price_shape(listed(made)))
