"""The ledger lines of calls made outside any job."""

from datetime import UTC, date, datetime
from typing import Any

from django.db import connection as database
from django.db import transaction

from jobs.costs.direct_budgets import ask_for_idle, move_direct, reserve_direct
from jobs.costs.pricing import Tariff, resolve_price
from jobs.errors import BudgetRefused
from jobs.models import Connection, DirectCall, PromptTemplate
from jobs.providers.types import Outcome, Usage
from jobs.teams.access import Actor


def direct_call_open(
    *,
    actor: Actor,
    purpose: str,
    connection: Connection,
    model: str,
    template: PromptTemplate | None = None,
    highest: int | None,
    held: bool = True,
) -> DirectCall:
    """Write the ledger line of a call before it leaves, in doubt until it is settled, at the `highest`
    cost it may have (None: its price is unknown), which the budgets reserve unless it is not to be
    `held`. Raises BudgetRefused."""
    day = datetime.now(UTC).date()
    try:
        with transaction.atomic():
            if held:
                reserve_direct(actor.team, connection.pk, day, highest)
            return _opened(actor, purpose, connection, model, template, day, highest)
    except BudgetRefused:
        ask_for_idle(actor.team, day)
        raise


def direct_call_book(
    *, actor: Actor, purpose: str, connection: Connection, model: str
) -> DirectCall:
    """The line of a call that was made under another one's reservation: to be settled at once."""
    return _opened(actor, purpose, connection, model, None, datetime.now(UTC).date(), None)


def _opened(
    actor: Actor,
    purpose: str,
    connection: Connection,
    model: str,
    template: PromptTemplate | None,
    day: date,
    highest: int | None,
) -> DirectCall:
    call = DirectCall.objects.create(
        team=actor.team,
        user=actor.user,
        purpose=purpose,
        template=template,
        connection=connection,
        model=model,
        day=day,
        cost=highest,
    )
    _roll_up(
        call,
        {
            "calls": 1,
            "in_doubt_calls": 1,
            "in_doubt_cost": highest or 0,
            "unpriced_calls": int(highest is None),
        },
    )
    return call


def highest_of(
    connection: Connection, model: str, input_tokens: int, max_tokens: int
) -> int | None:
    """The most that a call now may cost; None where nobody knows the price."""
    price = resolve_price(connection=connection, model=model, at=datetime.now(UTC))
    return None if price is None else Tariff(price).highest(input_tokens, max_tokens)


def direct_call_settle(
    *, call: DirectCall, connection: Connection, outcome: Outcome, took_ms: int
) -> DirectCall:
    """Settle the line to what the call came to; one whose end nobody saw stays in doubt."""
    call.took_ms = took_ms
    call.failure_class = outcome.failure.value if outcome.failure else ""
    call.model_returned = outcome.model
    if outcome.charged is None:
        call.save()
        return call
    usage = outcome.usage or Usage()
    price = resolve_price(connection=connection, model=call.model, at=datetime.now(UTC))
    reserved = call.cost
    rates, cost = None, 0 if not outcome.charged else None
    if outcome.charged and price is not None:
        rates = Tariff(price).at(usage.input_tokens)
        cost = rates.cost(usage)
    call.outcome = "failed" if outcome.failure else "accepted"
    call.input_tokens, call.output_tokens = usage.input_tokens, usage.output_tokens
    call.cached_input_tokens = usage.cached_input_tokens
    call.cache_write_tokens = usage.cache_write_tokens
    call.cache_write_1h_tokens = usage.cache_write_1h_tokens
    call.usage_estimated, call.usage = usage.estimated, usage.raw
    call.price, call.cost, call.rates = price, cost, rates.text if rates else ""
    wasted = (cost or 0) if outcome.failure else 0
    with transaction.atomic():
        move_direct(call.team, connection.pk, call.day, (cost or 0) - (reserved or 0))
        call.save()
        _roll_up(
            call,
            {
                "in_doubt_calls": -1,
                "in_doubt_cost": -(reserved or 0),
                "input_tokens": usage.input_tokens,
                "cached_input_tokens": usage.cached_input_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
                "cache_write_1h_tokens": usage.cache_write_1h_tokens,
                "output_tokens": usage.output_tokens,
                "cost": cost or 0,
                "wasted_cost": wasted,
                "failed_cost": wasted,
                "unpriced_calls": int(cost is None) - int(reserved is None),
                "estimated_calls": int(usage.estimated),
                "estimated_cost": (cost or 0) if usage.estimated else 0,
                "cache_savings": rates.cache_savings(usage) if rates else 0,
                "accepted": int(outcome.failure is None),
            },
        )
    return call


def _roll_up(call: DirectCall, sums: dict[str, int]) -> None:
    key: dict[str, Any] = {
        "job_id": 0,
        "template_version_id": 0,
        "connection_id": call.connection_id,
        "model": call.model,
        "day": call.day,
        "team_id": call.team_id,
    }
    names = [*key, *sums]
    added = ", ".join(f"{name} = jobs_costrollup.{name} + excluded.{name}" for name in sums)
    others = [name for name in _SUMS if name not in sums]
    with database.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_costrollup ({', '.join([*names, *others])}) "
            f"VALUES ({', '.join(['%s'] * len(names) + ['0'] * len(others))}) "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}",
            [*key.values(), *sums.values()],
        )


_SUMS = (
    "calls", "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "cost",
    "wasted_cost", "in_doubt_cost", "in_doubt_calls", "unpriced_calls", "estimated_calls",
    "accepted", "estimated_cost", "cache_write_1h_tokens", "failed_cost", "cache_savings",
)  # fmt: skip
