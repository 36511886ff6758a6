"""Money as whole pico-USD, and the strings that people and programs read."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.money import price_to_pico, to_pico, to_usd, usd_string


@given(st.integers(min_value=-(2**63), max_value=2**63))
def test_it_loses_no_digit_on_the_way_to_a_string_and_back(pico: int) -> None:
    text = usd_string(pico)
    assert text is not None
    assert to_pico(Decimal(text)) == pico
    assert "e" not in text.lower()


@pytest.mark.parametrize(
    ("pico", "text"),
    [(0, "0.00"), (1, "0.000000000001"), (15 * 10**11, "1.50"), (-25 * 10**10, "-0.25")],
)
def test_it_writes_plain_digits_with_at_least_two_decimals(pico: int, text: str) -> None:
    assert usd_string(pico) == text
    assert to_usd(pico) == Decimal(text)


def test_it_says_nothing_of_what_is_unknown() -> None:
    assert usd_string(None) is None


def test_it_refuses_digits_that_would_be_lost() -> None:
    with pytest.raises(ValueError, match="12 decimals"):
        to_pico(Decimal("0.0000000000001"))
    with pytest.raises(ValueError, match="6 decimals"):
        price_to_pico(Decimal("0.0000001"))
