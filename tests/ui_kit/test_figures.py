"""Numbers, money and time in words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.templatetags import figures

PICO = 10**12
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pico", "words"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (1, "$0.0000000000010"),
        (34_000_000, "$0.000034"),
        (12_345_000_000, "$0.0123"),
        (999_999_999_999, "$1.0000"),
        (PICO, "$1.00"),
        (1_234_567 * PICO + PICO // 2, "$1,234,567.50"),
        (-12_300_000_000, "−$0.0123"),
    ],
)
def test_it_shows_money_with_as_many_digits_as_it_needs(pico: int | None, words: str) -> None:
    assert figures.money_text(pico) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.2, 0.7, "up to 1 s"),
        (48, 59, "48 – 59 s"),
        (20, 95, "up to 2 min"),
        (104, 149, "1.5 – 2.5 min"),
        (900, 1270, "15 – 22 min"),
        (7300, 9000, "2 – 2.5 h"),
        (300_000, 302_000, "3 – 3.5 d"),
    ],
)
def test_it_tells_a_forecast_no_finer_than_it_is(low: float, high: float, words: str) -> None:
    assert figures.range_text(low, high) == words


@given(st.integers(min_value=1, max_value=9 * 10**18))
def test_it_never_shows_money_that_was_spent_as_nothing(pico: int) -> None:
    assert figures.money_text(pico).strip("$0.,") != ""


@given(st.integers(min_value=-(9 * 10**18), max_value=9 * 10**18))
def test_it_keeps_every_digit_of_money_in_the_title(pico: int) -> None:
    assert Decimal(figures.money_exact(pico).removesuffix(" USD")) * PICO == pico


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (None, "—"),
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (12_400, "12.4k"),
        (99_949, "99.9k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (1_234_567, "1.2M"),
        (5_000_000_000, "5B"),
    ],
)
def test_it_humanises_tokens(n: int | None, words: str) -> None:
    assert figures.tokens_text(n) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (None, "—"),
        (0, "0 s"),
        (-3, "0 s"),
        (0.85, "850 ms"),
        (0.9997, "1 s"),
        (2.34, "2.3 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (184, "3 min 04 s"),
        (7500, "2 h 05 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
    ],
)
def test_it_shows_a_duration_in_its_two_largest_units(
    length: float | timedelta | None, words: str
) -> None:
    assert figures.duration_text(length) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "—"),
        (0, "0%"),
        (0.000001, "<0.1%"),
        (0.123, "12.3%"),
        (0.9999, ">99.9%"),
        (1, "100%"),
        (Decimal("1.5"), "150%"),
    ],
)
def test_it_never_rounds_some_to_none_or_most_to_all(
    share: float | Decimal | None, words: str
) -> None:
    assert figures.percent_text(share) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "just now"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (29 * 86400, "29 d ago"),
        (31 * 86400, "2026-01-29"),
        (-90, "in 1 min"),
    ],
)
def test_it_says_how_long_ago(seconds: int, words: str) -> None:
    assert figures.relative_text(NOW - timedelta(seconds=seconds), NOW) == words
