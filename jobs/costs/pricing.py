"""What a call costs: exact, in whole pico-USD.

Own prices override by connection, then by team, each by effective date; without one the price list
that ships with the product (genai-prices) is asked, and its answer is written down as a price row, so
that every attempt names the row it was valued with. A simulator has only own prices. Where nothing
is known the price is None: unknown, never 0.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

from django.db.models import F, Q
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices

from jobs.models import Connection, ConnectionKind, Price
from jobs.money import price_to_pico
from jobs.providers.types import Usage

_METERS = ("input", "cached_input", "cache_write", "cache_write_1h", "output")
_LISTED = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
}
_PROVIDERS = {ConnectionKind.OPENAI: "openai", ConnectionKind.ANTHROPIC: "anthropic"}


def resolve_price(*, connection: Connection, model: str, at: datetime) -> Price | None:
    """The price of `model` on `connection` at a moment; None when nobody knows it."""
    own = (
        Price.objects.filter(
            Q(connection=connection) | Q(connection__isnull=True, team=connection.team_id),
            model=model,
            effective_from__lte=at,
        )
        .order_by(F("connection").desc(nulls_last=True), "-effective_from", "-id")
        # A price of the connection goes before one of the team, whatever their dates.
        .first()
    )
    if own is not None:
        return own
    provider = _PROVIDERS.get(ConnectionKind(connection.kind))
    return _listed_price(provider, model, at) if provider else None


def _listed_price(provider: str, model: str, at: datetime) -> Price | None:
    """The shipped list's price as a row, written on first use."""
    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    listed = found.get_prices(at)
    prices = _meters(listed, None)
    if prices is None:
        return None
    source = f"genai-prices {version('genai-prices')}"
    tiers = [{"start": start, **(_meters(listed, start) or prices)} for start in _starts(listed)]
    known = Price.objects.filter(
        team__isnull=True, provider=provider, model=model, source=source, tiers=tiers, **prices
    ).first()
    if known is not None:
        return known
    return Price.objects.create(
        provider=provider,
        model=model,
        source=source,
        tiers=tiers,
        effective_from=datetime(2020, 1, 1, tzinfo=UTC),
        **prices,
    )


def _starts(listed: ModelPrice) -> list[int]:
    values = (getattr(listed, name, None) for name in _LISTED.values())
    return sorted(
        {tier.start for value in values if isinstance(value, TieredPrices) for tier in value.tiers}
    )


def _meters(listed: ModelPrice, start: int | None) -> dict[str, int] | None:
    """Pico per token for each meter in a tier (None: the base); None without in- or output price.

    A meter that the list does not price costs what plain input does, so that nothing is free by
    omission.
    """
    found: dict[str, int] = {}
    for meter, name in _LISTED.items():
        value = getattr(listed, name, None)
        if isinstance(value, TieredPrices):
            reached = [t.price for t in value.tiers if start is not None and t.start <= start]
            value = reached[-1] if reached else value.base
        if value is not None:
            found[meter] = price_to_pico(Decimal(value))
    if "input" not in found or "output" not in found:
        return None
    found.setdefault("cached_input", found["input"])
    found.setdefault("cache_write", found["input"])
    found.setdefault("cache_write_1h", found["cache_write"])
    return found


def _prices_at(price: Price, input_tokens: int) -> Mapping[str, int]:
    reached = [tier for tier in price.tiers if input_tokens > tier["start"]]
    if reached:
        tier: Mapping[str, int] = reached[-1]
        return tier
    return {meter: getattr(price, meter) for meter in _METERS}


def value(usage: Usage, price: Price) -> int:
    """The exact cost of a call's usage in pico-USD.

    Cached and cache-written tokens are part of the input and priced once, each at its own price;
    reasoning tokens are part of the output.
    """
    at = _prices_at(price, usage.input_tokens)
    plain = (
        usage.input_tokens
        - usage.cached_input_tokens
        - usage.cache_write_tokens
        - usage.cache_write_1h_tokens
    )
    return (
        max(0, plain) * at["input"]
        + usage.cached_input_tokens * at["cached_input"]
        + usage.cache_write_tokens * at["cache_write"]
        + usage.cache_write_1h_tokens * at["cache_write_1h"]
        + usage.output_tokens * at["output"]
    )


def highest_cost(input_tokens_bound: int, max_output_tokens: int, price: Price) -> int:
    """The most that a call with so many input tokens and this length limit can cost."""
    tiers: list[Mapping[str, int]] = [_prices_at(price, 0), *price.tiers]
    return max(
        input_tokens_bound * max(at["input"], at["cached_input"], at["cache_write"])
        + max_output_tokens * at["output"]
        for at in tiers
        if at.get("start", 0) <= input_tokens_bound
    )
