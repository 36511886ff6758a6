"""Numbers, money and time as people read them: plain text, no markup.

The rounding here is for showing only; sums are made of the exact values.
"""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from jobs.money import UNKNOWN as UNKNOWN
from jobs.money import money_text as money_text
from jobs.money import usd_string

NOTHING = "—"


def money_exact(pico: int) -> str:
    """Every digit, with the currency."""
    return f"{usd_string(pico)} USD"


def count_text(n: int | None) -> str:
    return NOTHING if n is None else f"{n:,}"


def tokens_text(n: int | None) -> str:
    """Three significant digits with k, M or B; exact below a thousand."""
    if n is None:
        return NOTHING
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        # From 999,500 on the rounded figure would be 1000k: it is 1M already.
        if abs(n) >= size * Decimal("0.9995"):
            value = Decimal(n) / size
            places = 1 if abs(value) < Decimal("99.95") else 0
            return f"{value:.{places}f}".removesuffix(".0") + unit
    return str(n)


def duration_text(length: float | timedelta | None) -> str:
    """Seconds (or a timedelta) with the two largest units; negative lengths count as nothing."""
    if length is None:
        return NOTHING
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    seconds = max(seconds, 0.0)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms" if seconds else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest:02} s"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes:02} min"


_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def range_text(low: float, high: float) -> str:
    """A span of seconds in one unit, rounded outwards: no more exact than a forecast is."""
    size, unit = next(one for one in _UNITS if high >= 1.5 * one[0] or one[0] == 1)
    step = 0.5 if size > 1 and high < 10 * size else 1
    first = max(0.0, math.floor(low / size / step) * step)
    last = max(step, math.ceil(high / size / step) * step)
    if first == last:
        return f"{last:g} {unit}"
    return f"{first:g} – {last:g} {unit}" if first else f"up to {last:g} {unit}"


def percent_text(share: float | Decimal | None) -> str:
    """A share of 0..1; some is never shown as nothing, nor almost all as all."""
    if share is None:
        return NOTHING
    value = Decimal(str(share)) * 100
    if 0 < value < Decimal("0.1"):
        return "<0.1%"
    if Decimal("99.9") < value < 100:
        return ">99.9%"
    return f"{value:.1f}".removesuffix(".0") + "%"


def change_text(share: float | None) -> str:
    """A change as a share of what was: +40%, −12%, 8.3 times as much. Some is never shown as none."""
    if share is None:
        return NOTHING
    if share >= 4:
        return f"×{share + 1:,.1f}"
    whole = f"{abs(share):.0%}" if abs(share) >= 0.095 else percent_text(abs(share))
    return f"{'+' if share > 0 else '−' if share < 0 else '±'}{whole}"


def signed_money_text(pico: int) -> str:
    return f"{'+' if pico > 0 else ''}{money_text(pico)}"


def exact_utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def relative_text(moment: datetime, now: datetime) -> str:
    """How long ago, or in how long; from a month on the date. `times.js` says the same."""
    seconds = (now - moment).total_seconds()
    distance = abs(seconds)
    if distance < 5:
        return "just now"
    if distance < 60:
        words = f"{int(distance)} s"
    elif distance < 3600:
        words = f"{int(distance // 60)} min"
    elif distance < 86400:
        words = f"{int(distance // 3600)} h"
    elif distance < 30 * 86400:
        words = f"{int(distance // 86400)} d"
    else:
        return f"{moment.astimezone(UTC):%Y-%m-%d}"
    return f"{words} ago" if seconds > 0 else f"in {words}"
