"""Retry-After and the vendors' limit headers, in all the forms that are met."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.providers.limit_headers import rate_hints, reset_seconds, retry_after, wait_in_words

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1000000000"}, 3600.0),
        ({"retry-after": "1e300"}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "1, 2"}, 2.0),
        ({"retry-after": "soon, 2"}, 2.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 13:00:30 +0100"}, 30.0),
        ({"retry-after": "Tuesday, 24-Nov-26 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tue Nov 24 12:00:30 2026"}, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359"}, 3600.0),
        (
            {
                "retry-after": "Tue, 24 Nov 2026 12:00:10 GMT, Tue, 24 Nov 2026 12:00:30 GMT",
            },
            30.0,
        ),
    ],
)
def test_it_reads_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1m26.4s", 86.4),
        ("1h2m", 3600.0),
        ("2s", 2.0),
        ("12", 12.0),
        ("0", 0.0),
        ("-3", 0.0),
        ("", None),
        ("soon", None),
        ("6m oops", None),
        ("2026-13-99T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", 0.0),
    ],
)
def test_it_reads_a_reset(text: str, seconds: float | None) -> None:
    assert reset_seconds(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("form", ["iso", "z", "seconds", "milliseconds"])
def test_it_reads_a_reset_as_a_moment(form: str) -> None:
    at = datetime.now(UTC) + timedelta(seconds=100)
    text = {
        "iso": at.isoformat(),
        "z": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": str(int(at.timestamp())),
        "milliseconds": str(int(at.timestamp() * 1000)),
    }[form]
    assert reset_seconds(text) == pytest.approx(100, abs=3)


def test_it_reads_openais_limits() -> None:
    hints = rate_hints(
        {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-tokens": "29986",
            "x-ratelimit-reset-tokens": "6m0s",
        }
    )
    assert (hints.limit_requests, hints.remaining_requests) == (500, 499)
    assert (hints.limit_tokens, hints.remaining_tokens) == (30_000, 29_986)
    assert (hints.reset_requests, hints.reset_tokens) == (0.12, 360.0)
    assert hints.retry_after is None


def test_it_reads_anthropics_limits() -> None:
    at = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    hints = rate_hints(
        {
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": at,
            "anthropic-ratelimit-input-tokens-limit": "2000000",
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": at,
            "retry-after": "31",
        }
    )
    assert (hints.limit_requests, hints.remaining_requests) == (4000, 3999)
    assert (hints.limit_tokens, hints.remaining_tokens) == (2_000_000, 0)
    assert hints.reset_tokens == pytest.approx(30, abs=3)
    assert hints.retry_after == 31.0


def test_it_reads_limits_without_a_kind_and_ignores_nonsense() -> None:
    hints = rate_hints({"x-ratelimit-limit": "20", "x-ratelimit-remaining": "-1"})
    assert (hints.limit_requests, hints.remaining_requests) == (20, None)
    hints = rate_hints({"x-ratelimit-limit-requests": "many", "x-ratelimit-limit-tokens": "1e99"})
    assert (hints.limit_requests, hints.limit_tokens) == (None, None)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 20s.", 20.0),
        ("Please try again in 6m0s. Visit", 360.0),
        ("Please try again in 120ms.", 0.12),
        ("Please retry after 6 seconds.", 6.0),
        ("Please retry in 34.074824224s.", 34.074824224),
        ("Retry your request after 3 seconds", 3.0),
        ("Please try again later.", None),
        ("try again in a moment", None),
        ("We retry 3 times", None),
    ],
)
def test_it_finds_the_wait_in_words(words: str, seconds: float | None) -> None:
    assert wait_in_words(words) == seconds


NAMES = [
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-limit",
    "x-ratelimit-reset",
    "x-ratelimit-limit-requests",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-reset",
]
DATES = st.datetimes(timezones=st.just(UTC)).map(lambda at: format_datetime(at, usegmt=True))


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40) | DATES))
def test_it_survives_any_header(headers: dict[str, str]) -> None:
    hints = rate_hints(headers)
    for wait in (hints.retry_after, hints.reset_requests, hints.reset_tokens):
        assert wait is None or 0 <= wait <= 3600
    for count in (hints.limit_requests, hints.remaining_requests, hints.limit_tokens):
        assert count is None or count >= 0
