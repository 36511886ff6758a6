"""Money as whole numbers of 10^-12 USD ("pico"), exact in both databases.

A price of six decimals per million tokens is a whole number of pico per token; nine million USD
fit in a BIGINT. SQLite would add `DecimalField`s as floats, hence integers in the tables.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

PICO = 10**12
UNKNOWN = "unknown"
# Prices are quoted per million tokens; in the tables they stand per token.
PICO_PER_TOKEN = PICO // 10**6


def to_pico(usd: Decimal) -> int:
    """USD to pico; raises ValueError if digits below 10^-12 USD would be lost."""
    scaled = usd * PICO
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{usd} USD has more than 12 decimals")
    return int(scaled)


def to_usd(pico: int) -> Decimal:
    return Decimal(pico) / PICO


@lru_cache(maxsize=4096)  # a job's rows cost one of a few hundred amounts
def usd_string(pico: int | None) -> str | None:
    """The decimal string of the API: plain digits with a point, no exponent; None stays None."""
    if pico is None:
        return None
    whole, fraction = divmod(abs(pico), PICO)
    digits = f"{fraction:012d}".rstrip("0").ljust(2, "0")
    return f"{'-' if pico < 0 else ''}{whole}.{digits}"


def money_text(pico: int | None) -> str:
    """Pico-USD as dollars: two decimals from $1 on, four from a cent on, else two digits.

    Two different amounts may read the same; `usd_string` tells them apart.
    """
    if pico is None:
        return UNKNOWN
    sign = "−" if pico < 0 else ""
    return f"{sign}${amount_text(abs(to_usd(pico)))}"


def amount_text(amount: Decimal) -> str:
    """Of a currency, rounded as `money_text` says; the amount is not below 0."""
    if amount >= 1 or amount == 0:
        places = 2
    elif amount >= Decimal("0.01"):
        places = 4
    else:
        places = 1 - amount.adjusted()
    return f"{amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN):,f}"


def price_to_pico(usd_per_million: Decimal) -> int:
    """USD per million tokens to pico per token; raises ValueError below 10^-6 USD a million."""
    scaled = usd_per_million * PICO_PER_TOKEN
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{usd_per_million} USD per million tokens has more than 6 decimals")
    return int(scaled)


def price_to_usd(pico_per_token: int) -> Decimal:
    return Decimal(pico_per_token) / PICO_PER_TOKEN
