"""The price list that ships with the product (genai-prices), as price rows written on first use."""

from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices

from jobs.models import Price
from jobs.money import price_to_pico

_LISTED = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
}


def listed_price(provider: str, model: str, at: datetime) -> Price | None:
    """The shipped list's price as a row; every attempt names the row it was valued with."""
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
