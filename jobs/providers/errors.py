"""What the wire formats share in reading answers: bounded, tolerant JSON, headers, and the meaning of
an error's status, type, code and words.

Nothing here raises: a provider, a proxy or an attacker may have written the bytes.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from jobs.failures import FailureClass
from jobs.providers.types import HttpResponse, Outcome, RateHints, Usage

MAX_MESSAGE = 2_000
MAX_RETRY_AFTER = 3_600.0
# Above any context there is: a count beyond it is a mistake, not a bill.
_MAX_TOKENS = 100_000_000

_SECRET = re.compile(r"\b(sk|key|xai|gsk|pplx|AIza|Bearer)[-_ ][A-Za-z0-9_\-.*]{6,}")
_CONTEXT = re.compile(
    r"context.?(length|window|size)|maximum context|too many (input )?tokens|prompt is too long|"
    r"input is too long|exceeds? the (available )?(context|maximum number of tokens|limit of)|"
    r"string too long|token limit exceeded|reduce the length",
    re.IGNORECASE,
)
_FILTER = re.compile(
    r"content.?(filter|management|policy|moderation)|safety (system|filter|policy)|"
    r"responsible.?ai|flagged|moderation|prohibited content",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient.?(quota|credit|balance|funds)|exceeded your current quota|credit balance|"
    r"billing|payment required|out of credits?|quota exceeded|spend(ing)? limit",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model.{0,80}(not found|does not exist|not exist|unknown|unsupported|decommissioned|"
    r"no longer available|not supported)|(no such|unknown|invalid|unsupported) model|"
    r"does not have access to model|not a valid model",
    re.IGNORECASE | re.DOTALL,
)
_KEY = re.compile(
    r"(invalid|incorrect|missing|expired|wrong|bad|no) .{0,20}(api.?key|token|credential)|"
    r"api.?key .{0,30}(invalid|not valid|missing|expired|incorrect)|unauthorized|"
    r"authentication|x-api-key",
    re.IGNORECASE,
)
_OVERLOAD = re.compile(r"overload|at capacity|too busy|engine is currently", re.IGNORECASE)
_RATE = re.compile(r"rate.?limit|too many requests|requests per|tokens per min", re.IGNORECASE)


def read_json(body: bytes) -> Any:
    """The value of a JSON body, or None when it is none. NaN and Infinity make it none; depth and
    size of numbers are bounded by the parser."""
    text = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        # Invalid UTF-8 and lone surrogates inside strings are marked, not lost.
        return orjson.loads(text.decode("utf-8", "replace"))
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def message_of(text: Any) -> str:
    """A provider's words, bounded and without anything that looks like a key."""
    words = text if isinstance(text, str) else str(text)
    words = _SECRET.sub("[key]", words.replace("\x00", "\ufffd")).strip()
    return words if len(words) <= MAX_MESSAGE else words[: MAX_MESSAGE - 1] + "…"


def tokens(value: Any) -> int | None:
    """A token count as reported; None where it is not one (missing, negative, text, absurd)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value < 0 or value > _MAX_TOKENS or value != int(value):
        return None
    return int(value)


def estimated_usage(text: str, raw: str = "") -> Usage:
    """Usage where the provider reported none that can be believed: the answer's length in bytes over
    four; the input is for the caller to add (`with_input`)."""
    return Usage(output_tokens=max(1, len(text.encode("utf-8", "replace")) // 4), estimated=True, raw=raw)


def raw_usage(usage: Any) -> str:
    try:
        return orjson.dumps(usage).decode()[:4_000]
    except (TypeError, ValueError):
        return ""


# --- headers ------------------------------------------------------------------------------------
def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, clamped to 0 … 3600; None where the header is absent or unreadable.

    `retry-after-ms` goes first; `retry-after` is seconds (also fractions) or an HTTP date
    (RFC 9110, 10.2.3). Of a header sent twice the larger counts.
    """
    found: list[float] = []
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        for value in headers.get(name, "").split(", " if unit == 0.001 else ","):
            number = _number(value)
            if number is not None:
                found.append(number * unit)
        if found:
            return _clamped(max(found))
    raw = headers.get("retry-after", "").strip()
    if raw:
        try:
            at = parsedate_to_datetime(raw)
        except (ValueError, TypeError, IndexError):
            return None
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return _clamped((at - (now or datetime.now(UTC))).total_seconds())
    return None


def _number(text: str) -> float | None:
    try:
        number = float(text.strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _clamped(seconds: float) -> float:
    return min(MAX_RETRY_AFTER, max(0.0, seconds))


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def reset_seconds(text: str) -> float | None:
    """A reset as the vendors write it: "6m0s", "120ms", "12", or an RFC 3339 time."""
    parts = _DURATION.findall(text)
    if parts and "".join(a + b for a, b in parts) == text.strip():
        return _clamped(sum(float(amount) * _UNITS[unit] for amount, unit in parts))
    number = _number(text)
    if number is not None:
        return _clamped(number)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return _clamped((at - datetime.now(UTC)).total_seconds())


def _count(text: str | None) -> int | None:
    number = _number(text) if text else None
    return int(number) if number is not None and 0 <= number < 1e15 else None


_NO_HINTS = RateHints()


def rate_hints(headers: Mapping[str, str]) -> RateHints:
    """Limits from `x-ratelimit-*` (OpenAI) or `anthropic-ratelimit-*` headers."""
    if "x-ratelimit-limit-requests" in headers:
        prefix, what = "x-ratelimit-", "{}-{}"
        names = {"requests": "requests", "tokens": "tokens"}
    elif "anthropic-ratelimit-requests-limit" in headers:
        prefix, what = "anthropic-ratelimit-", "{1}-{0}"
        names = {"requests": "requests", "tokens": "input-tokens"}
    elif "retry-after" in headers or "retry-after-ms" in headers:
        return RateHints(retry_after=retry_after(headers))
    else:
        return _NO_HINTS

    def get(kind: str, of: str) -> str | None:
        return headers.get(prefix + what.format(kind, names[of]))

    return RateHints(
        retry_after=retry_after(headers),
        limit_requests=_count(get("limit", "requests")),
        remaining_requests=_count(get("remaining", "requests")),
        reset_requests=reset_seconds(get("reset", "requests") or ""),
        limit_tokens=_count(get("limit", "tokens")),
        remaining_tokens=_count(get("remaining", "tokens")),
        reset_tokens=reset_seconds(get("reset", "tokens") or ""),
    )


# --- errors -------------------------------------------------------------------------------------
def classify(status: int, kind: str, code: str, message: str) -> FailureClass:
    """The failure class of an error answer, from its HTTP status and the body's type, code, words.

    Codes are believed before words, and words only where the status leaves more than one meaning:
    compatible servers reuse statuses freely (a wrong key as 400 or a text/plain 500, overflow as
    500, quota as 429).
    """
    marks = f"{kind} {code}".lower()
    words = f"{marks} {message}"
    if status == 402 or "insufficient_quota" in marks or "billing" in marks:
        return FailureClass.QUOTA_EXHAUSTED
    if status == 429 or "rate_limit" in marks:
        return FailureClass.QUOTA_EXHAUSTED if _QUOTA.search(words) else FailureClass.RATE_LIMITED
    if status == 529 or "overloaded" in marks or (status == 503 and not _NO_MODEL.search(words)):
        return FailureClass.OVERLOADED
    if "context_length" in marks or "exceed_context" in marks or "string_above_max" in marks:
        return FailureClass.CONTEXT_LENGTH
    if "content_filter" in marks or "content_policy" in marks:
        return FailureClass.CONTENT_FILTER
    if status == 401 or "authentication" in marks or "invalid_api_key" in marks:
        return FailureClass.AUTHENTICATION
    if "model_not_found" in marks:
        return FailureClass.MODEL_NOT_FOUND
    if status == 403 or "permission" in marks:
        return FailureClass.CONTENT_FILTER if _FILTER.search(message) else FailureClass.PERMISSION
    if status == 404:
        return FailureClass.MODEL_NOT_FOUND
    if status in (408, 504):
        return FailureClass.TIMEOUT if status == 408 else FailureClass.SERVER_ERROR
    if status == 413:
        return FailureClass.CONTEXT_LENGTH
    for pattern, failure in (
        (_CONTEXT, FailureClass.CONTEXT_LENGTH),
        (_QUOTA, FailureClass.QUOTA_EXHAUSTED),
        (_KEY, FailureClass.AUTHENTICATION),
        (_FILTER, FailureClass.CONTENT_FILTER),
        (_NO_MODEL, FailureClass.MODEL_NOT_FOUND),
    ):
        if pattern.search(words):
            return failure
    if status >= 500 or status < 400:
        if _RATE.search(words):
            return FailureClass.RATE_LIMITED
        return FailureClass.OVERLOADED if _OVERLOAD.search(words) else FailureClass.SERVER_ERROR
    return FailureClass.INVALID_REQUEST


def error_fields(body: Any) -> tuple[str, str, str]:
    """(type, code, message) of an error body in any of the shapes that vendors and proxies use."""
    if isinstance(body, list) and body:
        body = body[0]  # Gemini's compatible endpoint wraps the object in a list
    data = as_dict(body)
    error = data.get("error", data.get("detail", data))
    if isinstance(error, str):
        return as_text(data.get("type")), "", error
    if isinstance(error, list):  # FastAPI's validation errors
        return "", "", str(error)[:MAX_MESSAGE]
    fields = as_dict(error)
    code = fields.get("code")
    inner = as_dict(fields.get("innererror")).get("code")  # Azure
    kind = as_text(fields.get("type")) or as_text(fields.get("status"))
    codes = " ".join(str(part) for part in (code, inner) if part is not None)
    message = fields.get("message") or fields.get("msg") or data.get("message") or ""
    return kind, codes, as_text(message) or str(message)


def error_outcome(response: HttpResponse, data: Any) -> Outcome:
    """The outcome of an answer that is an error, by status or by body. Nothing is charged."""
    kind, code, message = error_fields(data)
    if data is None:
        text = response.body[:MAX_MESSAGE].decode("utf-8", "replace").strip()
        message = text if text and "<" not in text[:200] else f"HTTP {response.status} without JSON"
    failure = classify(response.status, kind, code, message)
    return Outcome(
        failure=failure,
        message=message_of(message or f"HTTP {response.status}"),
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, data),
        charged=False,
        hints=rate_hints(response.headers),
    )


def unreadable_outcome(response: HttpResponse, words: str) -> Outcome:
    """A 200 whose body is no answer of this format: the provider may have billed it."""
    return Outcome(
        failure=FailureClass.SERVER_ERROR,
        message=words,
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, None),
        charged=None,
        hints=rate_hints(response.headers),
    )


def request_id_of(headers: Mapping[str, str], data: Any) -> str:
    return (
        headers.get("x-request-id")
        or headers.get("request-id")
        or as_text(as_dict(data).get("request_id"))
    )[:200]
