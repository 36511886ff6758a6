"""The ledger of a month as charges: so many tokens of one meter at one unit price.

The lines of the ledger are summed where they agree in all that makes a price, so that quantity times
unit price is the amount, exactly, and all amounts are what the costs page says. What is in doubt is no
charge: nobody knows yet whether it will be one. Of a closed month the charges stay the same for ever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Case, F, Sum, Value, When
from django.db.models.functions import Coalesce

from jobs.costs.months import Month
from jobs.costs.pricing import METERS, Rates
from jobs.models import Attempt, AttemptOutcome, Correction, CostRollup, DirectCall

# Lines of the ledger that one query sums up; a larger job has a query of its own.
CHUNK_CALLS = 200_000
# A known amount without a unit price: the line names no rates.
OTHER = "other"

_PLAIN = F("input_tokens") - (
    F("cached_input_tokens") + F("cache_write_tokens") + F("cache_write_1h_tokens")
)
_TOKENS = {
    "sum_input": Sum(_PLAIN),
    "sum_cached_input": Sum("cached_input_tokens"),
    "sum_cache_write": Sum("cache_write_tokens"),
    "sum_cache_write_1h": Sum("cache_write_1h_tokens"),
    "sum_output": Sum("output_tokens"),
}
# Of unknown price, not charged, charged.
_UNPRICED, _FREE, _CHARGED = 0, 1, 2
_PAID = Case(
    When(cost__isnull=True, then=Value(_UNPRICED)),
    When(cost=0, then=Value(_FREE)),
    default=Value(_CHARGED),
)


@dataclass(frozen=True, slots=True)
class Charge:
    """Money in pico-USD. A correction has an amount alone, which may be below 0."""

    team_id: int
    day: date
    job_id: int  # 0: a call outside any job
    connection_id: int
    model: str
    meter: str  # one of METERS, or OTHER
    cost: int
    quantity: int = 0
    unit_price: int = 0
    batch: bool = False
    priced: bool = True
    estimated: bool = False
    correction: str = ""  # its kind


def charges(team_ids: Sequence[int], month: Month) -> Iterator[list[Charge]]:
    """By chunks, each read at one moment: no cursor is held open while a slow client reads."""
    for team_id in team_ids:
        for job_ids in _jobs(team_id, month):
            attempts = Attempt.objects.filter(job_id__in=job_ids)
            yield _charges(attempts, team_id, month, "job_id")
        yield _charges(DirectCall.objects.filter(team_id=team_id), team_id, month)
        yield _corrections(team_id, month)


def _jobs(team_id: int, month: Month) -> Iterator[list[int]]:
    booked = CostRollup.objects.filter(
        team_id=team_id, day__gte=month.first, day__lte=month.last, job_id__gt=0
    )
    chunk: list[int] = []
    held = 0
    for job_id, calls in booked.order_by("job_id").values_list("job_id").annotate(Sum("calls")):
        if chunk and held + calls > CHUNK_CALLS:
            yield chunk
            chunk, held = [], 0
        chunk.append(job_id)
        held += calls
    if chunk:
        yield chunk


def _charges(lines: Any, team_id: int, month: Month, *more: str) -> list[Charge]:
    keys = (*more, "day", "connection_id", "model", "rates", "usage_estimated", "paid")
    groups = (
        lines.filter(day__gte=month.first, day__lte=month.last)
        .exclude(outcome=AttemptOutcome.IN_DOUBT)
        .annotate(paid=_PAID)
        .values(*keys)
        .annotate(sum_cost=Coalesce(Sum("cost"), Value(0)), **_TOKENS)
        .order_by(*keys)
    )
    return [charge for group in groups for charge in _of_group(team_id, group)]


def _of_group(team_id: int, group: dict[str, Any]) -> Iterator[Charge]:
    rates = Rates.parse(group["rates"])
    quantities = [int(group[f"sum_{meter}"]) for meter in METERS]
    prices: tuple[int, ...] = (0,) * len(METERS)
    if rates is not None and group["paid"] == _CHARGED:
        prices = rates.unit_prices
    common: dict[str, Any] = {
        "team_id": team_id,
        "day": group["day"],
        "job_id": group.get("job_id", 0),
        "connection_id": group["connection_id"],
        "model": group["model"],
        "batch": bool(rates and rates.discount_ppm),
        "priced": group["paid"] != _UNPRICED,
        "estimated": bool(group["usage_estimated"]),
    }
    rest = int(group["sum_cost"])
    for meter, quantity, price in zip(METERS, quantities, prices, strict=True):
        if quantity:
            rest -= quantity * price
            yield Charge(
                meter=meter,
                quantity=quantity,
                unit_price=price,
                cost=quantity * price,
                **common,
            )
    if rest:
        yield Charge(meter=OTHER, quantity=1, unit_price=rest, cost=rest, **common)


def _corrections(team_id: int, month: Month) -> list[Charge]:
    keys = ("act", "kind", "job_id", "day", "connection_id", "model")
    groups = (
        Correction.objects.filter(team_id=team_id, day__gte=month.first, day__lte=month.last)
        .values(*keys)
        .annotate(sum_cost=Sum("cost"))
        .order_by(*keys)
    )
    return [
        Charge(
            team_id=team_id,
            day=group["day"],
            job_id=group["job_id"],
            connection_id=group["connection_id"],
            model=group["model"],
            meter=OTHER,
            cost=int(group["sum_cost"]),
            correction=group["kind"],
        )
        for group in groups
        if group["sum_cost"]
    ]
