"""The proof of one line of the ledger, with every digit, as the record's page shows it."""

from decimal import Decimal
from typing import Any

from jobs.costs.proof import Proof
from jobs.models import Attempt, Price
from jobs.money import price_to_usd, usd_string
from jobs.templatetags.figures import count_text

_NAMES = {
    "input": "Plain input",
    "cached_input": "Cached input",
    "cache_write": "Cache write, 5 minutes",
    "cache_write_1h": "Cache write, 1 hour",
    "output": "Output",
}


def proof_shown(attempt: Attempt, proof: Proof) -> dict[str, Any]:
    return {
        "label": f"Proof of the cost of attempt {attempt.number}",
        "anchor": f"proof-{attempt.number}",
        "meters": [
            {
                "name": _NAMES[meter.name],
                "tokens": meter.tokens,
                "price": f"{price_to_usd(meter.price):f}",
                "factor": f"{Decimal(meter.paid_ppm).scaleb(-6).normalize():f}",
                "amount": usd_string(meter.amount),
            }
            for meter in proof.meters
        ],
        "reasoning": count_text(attempt.reasoning_tokens) if attempt.reasoning_tokens else "",
        "cost": usd_string(proof.cost),
        "why": proof.why,
        "price": _price(proof.price),
        "corrections": [
            {
                "line": line,
                "amount": usd_string(line.cost),
                "doubt": usd_string(line.in_doubt_cost) if line.in_doubt_calls else "",
                "prices": line.rates.replace("/", " / ") if line.rates else "",
            }
            for line in proof.corrections
        ],
        "total": usd_string(proof.total),
        "settled": proof.settled,
    }


def _price(price: Price | None) -> str:
    if price is None:
        return ""
    since = f"from {price.effective_from:%Y-%m-%d}, " if price.team_id else ""
    return f"{price.model}, {since}{price.source}"
