"""Reading error answers: what they say, in whatever shape, and the outcome that this makes.

Nothing here raises, whatever the body holds.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobs.failures import FailureClass
from jobs.providers.classification import classify
from jobs.providers.json_body import as_dict, as_list, as_text, read_json
from jobs.providers.limit_headers import rate_hints, reset_seconds, wait_in_words
from jobs.providers.types import HttpResponse, Outcome

MAX_MESSAGE = 2_000

_SECRET = re.compile(
    r"\b(?:sk|key|xai|gsk|pplx|rk|pk)[-_][A-Za-z0-9_\-.*]{6,}|"
    r"\bAIza[\w-]{10,}|\bBearer [^\s\"']{6,}"
)


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
