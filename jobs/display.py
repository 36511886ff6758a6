"""The currency that people read beside the USD: of the installation, at one rate of one day."""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from jobs.money import amount_text, to_usd


@dataclass(frozen=True, slots=True)
class DisplayCurrency:
    """`rate` is units of it for one USD. For reading only: nothing is summed or kept in it."""

    code: str
    rate: Decimal
    day: date

    def text(self, pico: int) -> str:
        """“1.10 EUR”, rounded as dollars are."""
        sign = "−" if pico < 0 else ""
        return f"{sign}{amount_text(abs(to_usd(pico)) * self.rate)} {self.code}"


def display_currency(code: str, rate: str, day: str) -> DisplayCurrency | None:
    """Of the three settings; None where none is set. Raises ValueError, in words for who set them."""
    if not (code or rate or day):
        return None
    if not (code and rate and day):
        raise ValueError("DISPLAY_CURRENCY, DISPLAY_RATE and DISPLAY_RATE_DATE are set together.")
    if not re.fullmatch("[A-Z]{3}", code) or code == "USD":
        raise ValueError("DISPLAY_CURRENCY is a code of three letters (EUR), and not USD.")
    try:
        units = Decimal(rate)
    except InvalidOperation:
        units = Decimal(0)
    if not units.is_finite() or units <= 0:
        raise ValueError("DISPLAY_RATE says how many units one USD is: a number above 0, as 0.92.")
    try:
        return DisplayCurrency(code, units, date.fromisoformat(day))
    except ValueError:
        raise ValueError("DISPLAY_RATE_DATE is the day of the rate, as 2026-11-01.") from None
