"""Prices set by people: from a date on, for a team, one of its connections or a kind of them, by a
model's name or by a pattern of names; and which of them is in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.utils import timezone

from jobs.costs.pricing import METERS, resolve_price
from jobs.errors import FieldError, Invalid
from jobs.models import Connection, ConnectionKind, Job, Price, Team
from jobs.money import price_to_pico, price_to_usd
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action

MAX_USD_PER_MILLION = Decimal(1_000_000)
MAX_TIERS = 10
# Above any context there is.
MAX_START = 100_000_000
_DEFAULTS = {"cached_input": "input", "cache_write": "input", "cache_write_1h": "cache_write"}


def price_set(
    *,
    actor: Actor,
    connection: Connection | None,
    model: str,
    provider: str = "",
    batch_discount: Any = None,
    effective_from: datetime | None = None,
    tiers: Sequence[Mapping[str, Any]] = (),
    **prices: Any,
) -> Price:
    """A price from a date on, in USD per million tokens by meter; earlier rows stay as they are.

    Without a price of their own cached tokens and those written to the cache cost what plain input
    does, and those kept for an hour what the others do that are written. A tier is the same for calls
    with more than `above` input tokens. Raises Invalid.
    """
    actor.require(Action.PRICE_WRITE)
    errors: list[FieldError] = []
    model = model.strip()
    if not 1 <= len(model) <= 200 or not model.strip("*"):
        words = "The model's name, 1 to 200 characters; a * stands for any others"
        errors.append(FieldError(("model",), words))
    if provider and provider not in set(ConnectionKind):
        errors.append(FieldError(("provider",), f"One of {', '.join(ConnectionKind)}"))
    if provider and connection is not None and provider != connection.kind:
        errors.append(FieldError(("provider",), f"The connection's is {connection.kind}"))
    base = _meters(prices, (), errors)
    higher = _tiers(tiers, errors)
    discount = _share(batch_discount, errors)
    if errors:
        raise Invalid(errors)
    with transaction.atomic():
        price = Price.objects.create(
            team=actor.team,
            connection=connection,
            provider=connection.kind if connection else provider,
            model=model,
            batch_discount_ppm=discount,
            tiers=higher,
            effective_from=effective_from or timezone.now(),
            source=f"set by {actor.user.get_username()}",
            created_by=actor.user,
            **base,
        )
        usd = {name: f"{price_to_usd(pico):f}" for name, pico in base.items()}
        record(
            actor, "price.set", price, model=model, unit="USD per million tokens",
            tiers=len(higher), **usd,
        )  # fmt: skip
    return price


def _meters(
    given: Mapping[str, Any], at: tuple[str | int, ...], errors: list[FieldError]
) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in ("input", "output", "cached_input", "cache_write", "cache_write_1h"):
        blank = given.get(name) in (None, "")
        if blank and name in _DEFAULTS:
            found[name] = found[_DEFAULTS[name]]
        else:
            found[name] = _amount(given.get(name), (*at, name), errors)
    return found


def _tiers(given: Sequence[Mapping[str, Any]], errors: list[FieldError]) -> list[dict[str, int]]:
    found: list[dict[str, int]] = []
    if len(given) > MAX_TIERS:
        errors.append(FieldError(("tiers",), f"At most {MAX_TIERS}"))
        return found
    for n, tier in enumerate(given):
        start = tier.get("above")
        if not isinstance(start, int) or not 1 <= start <= MAX_START:
            words = f"Input tokens above which it holds, 1 to {MAX_START:,}"
            errors.append(FieldError(("tiers", n, "above"), words))
            continue
        found.append({"start": start, **_meters(tier, ("tiers", n), errors)})
    if len({tier["start"] for tier in found}) < len(found):
        errors.append(FieldError(("tiers",), "Two of them begin at the same number of tokens"))
    return sorted(found, key=lambda tier: tier["start"])


def _amount(given: Any, at: tuple[str | int, ...], errors: list[FieldError]) -> int:
    try:
        amount = Decimal(str(given).strip())
        if not amount.is_finite() or not 0 <= amount <= MAX_USD_PER_MILLION:
            raise ValueError
        return price_to_pico(amount)
    except (InvalidOperation, ValueError):
        words = "USD per million tokens, from 0 on, with at most 6 decimals"
        errors.append(FieldError(at, words))
        return 0


def _share(given: Any, errors: list[FieldError]) -> int:
    if given in (None, ""):
        return 500_000
    try:
        share = Decimal(str(given))
        if not 0 <= share <= 1:
            raise ValueError
        return int(share * 1_000_000)
    except (InvalidOperation, ValueError):
        errors.append(FieldError(("batch_discount",), "A share from 0 to 1"))
        return 0


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """`state`: `in_force`, `upcoming` (its date is still to come) or `replaced` (by a newer one)."""

    price: Price
    state: str


def team_prices(team: Team) -> list[ListedPrice]:
    """The team's own prices by model, the newest first."""
    now = timezone.now()
    found = []
    begun: set[tuple[int | None, str, str]] = set()
    own = Price.objects.filter(team=team).select_related("connection")
    for price in own.order_by("model", "-effective_from", "-id"):
        place = (price.connection_id, price.provider, price.model)
        if price.effective_from > now:
            state = "upcoming"
        else:
            state = "replaced" if place in begun else "in_force"
            begun.add(place)
        found.append(ListedPrice(price, state))
    return found


def listed(price: Price) -> ListedPrice:
    """One of its team's, as it is listed among them."""
    assert price.team is not None
    return next(one for one in team_prices(price.team) if one.price == price)


@dataclass(frozen=True, slots=True)
class PriceInUse:
    """What a model of the team's jobs costs now on a connection; None: nobody knows."""

    connection: Connection
    model: str
    price: Price | None


def prices_in_use(team: Team) -> list[PriceInUse]:
    used = (
        Job.objects.filter(team=team, connection__removed_at__isnull=True)
        .values_list("connection_id", "model")
        .distinct()
    )
    connections = Connection.objects.in_bulk({pk for pk, _ in used})
    now = timezone.now()
    found = [
        PriceInUse(at, model, resolve_price(connection=at, model=model, at=now))
        for at, model in ((connections[pk], model) for pk, model in used)
    ]
    return sorted(found, key=lambda one: (one.model, one.connection.name))


def unit_prices(price: Price) -> dict[str, str]:
    """USD per million tokens by meter, as text."""
    return {meter: f"{price_to_usd(getattr(price, meter)):f}" for meter in METERS}
