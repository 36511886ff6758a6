"""What an error answer means: from its status, type, code and words to one failure class.

Codes are believed before words, and words only where the status leaves more than one meaning:
compatible servers reuse statuses freely (a wrong key as 400 or as a text/plain 500, overflow as
500, an empty account as 429). Nothing here raises, whatever the body holds.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobs.failures import FailureClass
from jobs.providers.json_body import as_dict, as_list, as_text, read_json
from jobs.providers.limit_headers import rate_hints, reset_seconds, wait_in_words
from jobs.providers.types import HttpResponse, Outcome

MAX_MESSAGE = 2_000

_SECRET = re.compile(
    r"\b(?:sk|key|xai|gsk|pplx|rk|pk)[-_][A-Za-z0-9_\-.*]{6,}|"
    r"\bAIza[\w-]{10,}|\bBearer [^\s\"']{6,}"
)
# What stands in quotes is the caller's: a schema called "billing" is no bill.
_QUOTED = re.compile(r"\"[^\"]*\"|`[^`]*`|“[^”]*”|(?<!\w)'[^']*'(?!\w)")
_CONTEXT = re.compile(
    r"context.?(length|window|size|limit)|maximum (context|model|prompt) length|"
    r"longer than the (maximum )?model|too many (input |prompt )?tokens|"
    r"(prompt|input|inputs|message|request) (is|are) too (long|large)|string too long|"
    r"(token count|input tokens?|prompt tokens?|prompt length).{0,40}exceeds?|"
    r"exceeds? the (available )?(context|maximum number of (input )?tokens|limit of|model)|"
    r"too large for model|token limit exceeded|tokens? .{0,20}must (be <=|have less than)|"
    r"reduce (the length|your (message|prompt|input))|max_tokens must be at least 1, got -|"
    r"current length is \d+ while limit is",
    re.IGNORECASE,
)
# A request above the whole minute's allowance: waiting cannot help it.
_TOO_LARGE = re.compile(
    r"request too large|tokens must be reduced|reduce your message size", re.IGNORECASE
)
_FILTER = re.compile(
    r"content.?(filter|management|policy|moderation)|safety (system|filter|policy|settings)|"
    r"responsible.?ai|\bflagged\b|\bmoderation\b|prohibited content|usage policies|"
    r"blocked by .{0,30}(filter|policy|safety)",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient.?(quota|credit|balance|funds)|exceeded your current quota|"
    r"credit.?balance|credits? (are|is|has been|have been) (exhausted|depleted|used up)|"
    r"check your plan and billing|billing (hard|details|limit|not active|account)|"
    r"account is not active|payment required|out of credits?|not enough credits?|more credits|"
    r"quota (has been )?exceeded|spend(ing)? limit|usage limits?\b|budget has been exceeded|"
    r"exceeded budget",
    re.IGNORECASE,
)
# A quota of the minute is a rate limit, whatever it is called.
_PER_MINUTE = re.compile(
    r"per.?(minute|second|min\b|sec\b)|\b[rt]pm\b|retry in \d|try again in \d", re.IGNORECASE
)
_PER_DAY = re.compile(r"per.?day|daily|\brpd\b|\btpd\b", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model\b.{0,80}(not found|does not exist|doesn't exist|not exist|unknown|unsupported|"
    r"decommissioned|deprecated|no longer available|not supported|not available|is not a)|"
    r"(no such|unknown|invalid|unsupported) model|does not have access to model|"
    r"not a valid model|no endpoints found|no allowed providers|deployment .{0,60}does not exist",
    re.IGNORECASE | re.DOTALL,
)
_KEY = re.compile(
    r"(invalid|incorrect|missing|expired|wrong|bad|no|provide an?) .{0,20}"
    r"(api.?key|credentials?)\b|"
    r"api.?key .{0,30}(invalid|not valid|missing|expired|incorrect|required|not found)|"
    r"(invalid|expired|missing) (access |auth\w* |bearer )?token\b|\bunauthorized\b|"
    r"\bunauthenticated\b|no auth credentials|authentication.{0,10}(error|failed|failure|required)|"
    r"failed to authenticate|x-api-key",
    re.IGNORECASE,
)
_OVERLOAD = re.compile(
    r"overload|at capacity|too busy|server is busy|engine is currently|loading model|"
    r"no available (channel|worker|capacity)",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"rate.?limit|too many requests|requests per|tokens per min|throttl", re.IGNORECASE
)
_IN_CODE: tuple[tuple[tuple[str, ...], FailureClass], ...] = (
    (("context_length", "exceed_context", "string_above_max", "request_too_large"),
     FailureClass.CONTEXT_LENGTH),
    (("content_filter", "content_policy", "responsibleaipolicy", "data_inspection_failed"),
     FailureClass.CONTENT_FILTER),
    (("invalid_api_key", "api_key_invalid", "authentication", "unauthenticated"),
     FailureClass.AUTHENTICATION),
)  # fmt: skip


def classify(status: int, kind: str, code: str, message: str) -> FailureClass:
    """The failure class of an error answer. `status` is HTTP's, or the one the body tells if HTTP's
    says nothing; `kind` and `code` are the body's type and codes."""
    marks = f"{kind} {code}".lower()
    words = f"{marks} {_QUOTED.sub('“”', message)}"
    if "overloaded" in marks or status == 529:
        return FailureClass.OVERLOADED
    if status in (402, 429) or "rate_limit" in marks or "insufficient_quota" in marks:
        return _limited(status, marks, words)
    if "billing" in marks or "credit" in marks:
        return FailureClass.QUOTA_EXHAUSTED
    for codes, failure in _IN_CODE:
        if any(name in marks for name in codes):
            return failure
    if status == 403 or "permission" in marks:
        return _forbidden(words)
    if "model_not_found" in marks:
        return FailureClass.MODEL_NOT_FOUND
    if status == 401:
        return FailureClass.AUTHENTICATION
    if status == 404:
        return FailureClass.MODEL_NOT_FOUND
    if status in (408, 504, 524):
        return FailureClass.TIMEOUT
    if status == 413:
        return FailureClass.CONTEXT_LENGTH
    return _by_words(status, words)


def _limited(status: int, marks: str, words: str) -> FailureClass:
    if "insufficient_quota" in marks or status == 402 or "billing" in marks:
        return FailureClass.QUOTA_EXHAUSTED
    if _TOO_LARGE.search(words):
        return FailureClass.CONTEXT_LENGTH
    if _QUOTA.search(words) and (_PER_DAY.search(words) or not _PER_MINUTE.search(words)):
        return FailureClass.QUOTA_EXHAUSTED
    if _OVERLOAD.search(words) and not _RATE.search(words):
        return FailureClass.OVERLOADED
    return FailureClass.RATE_LIMITED


def _forbidden(words: str) -> FailureClass:
    for pattern, failure in (
        (_FILTER, FailureClass.CONTENT_FILTER),
        (_QUOTA, FailureClass.QUOTA_EXHAUSTED),
        (_KEY, FailureClass.AUTHENTICATION),
    ):
        if pattern.search(words):
            return failure
    return FailureClass.PERMISSION


def _by_words(status: int, words: str) -> FailureClass:
    for pattern, failure in (
        (_CONTEXT, FailureClass.CONTEXT_LENGTH),
        (_QUOTA, FailureClass.QUOTA_EXHAUSTED),
        (_KEY, FailureClass.AUTHENTICATION),
        (_FILTER, FailureClass.CONTENT_FILTER),
        (_NO_MODEL, FailureClass.MODEL_NOT_FOUND),
    ):
        if pattern.search(words):
            return failure
    asked_wrongly = 400 <= status < 500 and status not in (409, 425, 499)
    if asked_wrongly or (status < 300 and "invalid_request" in words):
        return FailureClass.INVALID_REQUEST
    if _RATE.search(words):
        return FailureClass.RATE_LIMITED
    if status == 503 or _OVERLOAD.search(words):
        return FailureClass.OVERLOADED
    return FailureClass.SERVER_ERROR


def error_fields(body: Any) -> tuple[str, str, str]:
    """(type, codes, message) of an error body in any of the shapes that vendors and proxies use."""
    if isinstance(body, list) and body:
        body = body[0]  # Gemini's compatible endpoint wraps the object in a list
    data = as_dict(body)
    error = data.get("error") or data.get("detail") or data.get("errors") or data
    if isinstance(error, str):  # Ollama, FastAPI, many proxies
        return as_text(data.get("type") or data.get("error_type")), _codes(data), error
    if isinstance(error, list):  # FastAPI's validation errors
        told = [as_text(as_dict(one).get("msg") or as_dict(one).get("message")) for one in error]
        return "", "", "; ".join(part for part in told if part)
    fields = as_dict(error)
    kind = as_text(fields.get("type")) or as_text(fields.get("status"))
    # OpenRouter tells what its upstream said in `metadata.raw`.
    metadata = as_dict(fields.get("metadata"))
    told = [as_text(source) for source in (
        fields.get("message") or fields.get("msg") or data.get("message") or fields.get("Message"),
        metadata.get("raw"),
    )]  # fmt: skip
    return kind, _codes(fields), ": ".join(part for part in told if part)


def _codes(fields: dict[str, Any]) -> str:
    inner = as_dict(fields.get("innererror") or fields.get("inner_error"))  # Azure
    reasons = [as_dict(one).get("reason") for one in as_list(fields.get("details"))]  # Google
    found = (fields.get("code"), inner.get("code"), *reasons)
    return " ".join(str(code) for code in found if isinstance(code, str | int))[:300]


def told_status(status: int, codes: str) -> int:
    """The status to judge by: HTTP's, unless that is a 2xx or a 5xx and the body tells a better one
    as its code, a number or its digits."""
    if 300 <= status < 500:
        return status
    first = codes.partition(" ")[0]
    return int(first) if len(first) == 3 and first.isdecimal() and first[0] in "45" else status


def error_outcome(response: HttpResponse, data: Any) -> Outcome:
    """The outcome of an answer that is an error, by status or by body.

    Providers do not charge for these. A gateway that gave up waiting (504, 524) had passed the
    request on: nobody knows what became of it.
    """
    kind, code, message = error_fields(data)
    status = told_status(response.status, code)
    if not message:
        message = _words_without_json(response, data)
    failure = classify(status, kind, code, message)
    return Outcome(
        failure=failure,
        message=message_of(message),
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, data),
        charged=None if status in (504, 524) else False,
        hints=_hints(response, data, message),
    )


def _words_without_json(response: HttpResponse, data: Any) -> str:
    status = response.status
    if 300 <= status < 400:
        return f"HTTP {status}: the server redirects elsewhere, which is not followed"
    text = response.body[:MAX_MESSAGE].decode("utf-8", "replace").strip()
    if data is None and text and "<" not in text[:200]:
        return text
    if status == 404:
        return "HTTP 404: nothing is found at this address; check the base URL"
    return f"HTTP {status} without a readable message"


def _hints(response: HttpResponse, data: Any, message: str) -> Any:
    """The headers' hints; where these name no wait, the one in the body counts."""
    hints = rate_hints(response.headers)
    if hints.retry_after is not None:
        return hints
    wait = _retry_delay(data)
    wait = wait_in_words(message[:MAX_MESSAGE]) if wait is None else wait
    return hints if wait is None else replace(hints, retry_after=wait)


def _retry_delay(data: Any) -> float | None:
    """Google's RetryInfo."""
    body = data[0] if isinstance(data, list) and data else data
    for detail in as_list(as_dict(as_dict(body).get("error")).get("details")):
        delay = as_text(as_dict(detail).get("retryDelay"))
        if delay:
            return reset_seconds(delay)
    return None


def unreadable_outcome(response: HttpResponse, words: str) -> Outcome:
    """A 200 whose body is no answer of this format: the provider may have billed it."""
    body = response.body.lstrip()
    if not body:
        words = "The answer has status 200 and an empty body"
    elif body.startswith(b"<"):
        words = "The answer is a web page, not an API's; check the base URL"
    elif body.startswith((b"data:", b"event:")):
        words = "The answer is a stream, which was not asked for"
    elif read_json(body) is None:
        words = "The answer is no readable JSON"
    return Outcome(
        failure=FailureClass.SERVER_ERROR,
        message=words,
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, None),
        charged=None,
        hints=rate_hints(response.headers),
    )


def message_of(text: Any) -> str:
    """A provider's words, bounded and without anything that looks like a key."""
    words = text if isinstance(text, str) else str(text)
    # Cut first: a message may be megabytes; a little more, so that no half key is left at the end.
    words = _SECRET.sub("[key]", words[: MAX_MESSAGE * 2].replace("\x00", "\ufffd")).strip()
    return words if len(words) <= MAX_MESSAGE else words[: MAX_MESSAGE - 1] + "…"


def request_id_of(headers: Mapping[str, str], data: Any) -> str:
    """The provider's name for the call, printable ASCII only; empty where it tells none."""
    found = (
        headers.get("x-request-id")
        or headers.get("request-id")
        or as_text(as_dict(data).get("request_id"))
    )
    return found[:200].encode("ascii", "replace").decode() if found.isprintable() else ""
