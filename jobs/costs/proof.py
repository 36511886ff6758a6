"""How a line of the ledger comes to its amount: quantity times unit price times factor for each meter,
the price row behind it, and what corrected it since."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.costs.pricing import Meter, Rates
from jobs.models import Attempt, AttemptOutcome, Correction, Price
from jobs.providers.types import Usage


@dataclass(frozen=True, slots=True)
class Proof:
    """`meters` is empty where no tokens were priced; `why` says what the amount is instead. `total` is
    the amount with all corrections; None where it is unknown."""

    meters: list[Meter]
    why: str
    price: Price | None
    corrections: list[Correction]
    cost: int | None
    total: int | None
    settled: bool  # it was in doubt, and what came of it is known by now


def usage_of(line: Attempt | Correction) -> Usage:
    """The tokens on a line of the ledger."""
    return Usage(
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        cached_input_tokens=line.cached_input_tokens,
        cache_write_tokens=line.cache_write_tokens,
        cache_write_1h_tokens=line.cache_write_1h_tokens,
    )


def proofs(job_id: int, attempts: Sequence[Attempt]) -> dict[tuple[int, int], Proof]:
    """Of some attempts of a job, by row and number."""
    corrections: dict[tuple[int, int], list[Correction]] = defaultdict(list)
    rows = {attempt.n for attempt in attempts}
    made = Correction.objects.filter(job_id=job_id, n__in=rows).select_related("created_by")
    for line in made.order_by("pk"):
        corrections[line.n, line.number].append(line)
    prices = Price.objects.in_bulk({one.price_id for one in attempts if one.price_id})
    return {
        (one.n, one.number): _proof(one, corrections[one.n, one.number], prices.get(one.price_id))
        for one in attempts
    }


def _proof(attempt: Attempt, corrections: list[Correction], price: Price | None) -> Proof:
    rates = Rates.parse(attempt.rates)
    meters = rates.proof(usage_of(attempt)) if rates else []
    doubtful = attempt.outcome == AttemptOutcome.IN_DOUBT
    settled = doubtful and sum(line.in_doubt_calls for line in corrections) < 0
    why = ""
    if doubtful:
        why = "Nobody saw its outcome: the most that it can have cost."
    elif attempt.cost is None:
        why = "Nobody knew the price of the model when it was called."
    elif not rates and not attempt.cost:
        why = "The provider does not charge it."
    counted = None if doubtful else attempt.cost
    known = counted is not None or any(line.unpriced_calls < 0 or settled for line in corrections)
    total = (counted or 0) + sum(line.cost for line in corrections) if known else None
    return Proof(meters, why, price, corrections, attempt.cost, total, settled)
