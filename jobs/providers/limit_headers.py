"""What an answer's headers say of the provider's limits and of how long to wait.

Sources: RFC 9110, 10.2.3 (Retry-After); OpenAI, "Rate limits in headers"; Anthropic, "Response
headers"; the suffix-less names are OpenRouter's and the older IETF drafts'.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from jobs.providers.types import RateHints

MAX_WAIT = 3_600.0  # seconds; nobody waits longer on a header's word
_NO_HINTS = RateHints()
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# A plain number from here on is a moment (seconds or milliseconds since 1970), not a duration.
_EPOCH, _EPOCH_MS = 1e9, 1e12
_WAIT_IN_WORDS = re.compile(
    r"(?:try again|retry(?: your request)?|available again|wait) ?(?:after|in|for)?:? "
    r"(?P<amount>(?:\d{1,9}(?:\.\d{1,9})?(?:ms|[smhd](?![a-z])))+|\d{1,9}(?:\.\d{1,9})?(?= ?sec))",
    re.IGNORECASE,
)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, clamped to 0 … 3600; None where the headers are absent or unreadable.

    `retry-after-ms` goes before `retry-after`, which is seconds (fractions too) or an HTTP date. Of
    a header that was sent twice, and so is joined by commas, the longest wait counts.
    """
    if "retry-after-ms" in headers:
        waits = [_number(part) for part in headers["retry-after-ms"].split(",")]
        found = [wait / 1000 for wait in waits if wait is not None]
        if found:
            return _clamped(max(found))
    if "retry-after" not in headers:
        return None
    found = []
    for part in headers["retry-after"].split(","):
        wait = _number(part)
        if wait is None:
            wait = _date(part, now)  # without its weekday, which the comma took away
        if wait is not None:
            found.append(wait)
    return _clamped(max(found)) if found else None


def wait_in_words(message: str) -> float | None:
    """The wait told in a message ("Please try again in 6m0s"), clamped; None if it tells none."""
    found = _WAIT_IN_WORDS.search(message)
    return reset_seconds(found["amount"].lower()) if found else None


def reset_seconds(text: str) -> float | None:
    """A reset as the vendors write it, as seconds from now, clamped to 0 … 3600.

    "6m0s", "120ms", "12", an RFC 3339 time, or seconds or milliseconds since 1970.
    """
    text = text.strip()
    if not text:
        return None
    parts = _DURATION.findall(text)
    if parts and "".join(amount + unit for amount, unit in parts) == text:
        return _clamped(sum(float(amount) * _UNITS[unit] for amount, unit in parts))
    number = _number(text)
    if number is not None:
        if number >= _EPOCH:
            seconds = number / 1000 if number >= _EPOCH_MS else number
            return _clamped(seconds - datetime.now(UTC).timestamp())
        return _clamped(number)
    try:
        return _clamped(_from_now(datetime.fromisoformat(text), None))
    except (ValueError, OverflowError):
        return None


def rate_hints(headers: Mapping[str, str]) -> RateHints:
    """Limits from `x-ratelimit-*` or `anthropic-ratelimit-*` headers; unreadable ones are None."""
    if "x-ratelimit-limit-requests" in headers or "x-ratelimit-limit-tokens" in headers:
        return _hints(headers, "x-ratelimit-{}-requests", "x-ratelimit-{}-tokens")
    if "anthropic-ratelimit-requests-limit" in headers:
        return replace(
            _hints(
                headers, "anthropic-ratelimit-requests-{}", "anthropic-ratelimit-input-tokens-{}"
            ),
            tokens_cover_output=False,
        )
    if "x-ratelimit-limit" in headers:
        return _hints(headers, "x-ratelimit-{}", None)
    if "retry-after" in headers or "retry-after-ms" in headers:
        return RateHints(retry_after=retry_after(headers))
    return _NO_HINTS


def _hints(headers: Mapping[str, str], requests: str, tokens: str | None) -> RateHints:
    def of(pattern: str | None, what: str) -> str:
        return headers.get(pattern.format(what), "") if pattern else ""

    return RateHints(
        retry_after=retry_after(headers),
        limit_requests=_count(of(requests, "limit")),
        remaining_requests=_count(of(requests, "remaining")),
        reset_requests=reset_seconds(of(requests, "reset")),
        limit_tokens=_count(of(tokens, "limit")),
        remaining_tokens=_count(of(tokens, "remaining")),
        reset_tokens=reset_seconds(of(tokens, "reset")),
    )


def _date(text: str, now: datetime | None) -> float | None:
    try:
        return _from_now(parsedate_to_datetime(text), now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _from_now(at: datetime, now: datetime | None) -> float:
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return (at - (now or datetime.now(UTC))).total_seconds()


def _number(text: str) -> float | None:
    try:
        number = float(text.strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _count(text: str) -> int | None:
    number = _number(text) if text else None
    return int(number) if number is not None and 0 <= number < 1e15 else None


def _clamped(seconds: float) -> float:
    return min(MAX_WAIT, max(0.0, seconds))
