"""Faults that send the caller's key back, as proxies and debug pages do, in every usual writing."""

import base64
import html
from collections.abc import Callable
from urllib.parse import quote

from jobs.simulator.effects import Case, Effect
from jobs.simulator.http import head
from jobs.simulator.wire import Answer, ApiError


def _written(case: Case) -> str:
    key = case.key or "no key came"
    header = base64.b64encode(f"Bearer {key}".encode()).decode()
    basic = base64.b64encode(f":{key}".encode()).decode()
    plain = base64.b64encode(key.encode()).decode()
    return (
        f"Authorization: Bearer {key} key={key} ?key={quote(key, safe='')} "
        f"{plain} Basic {basic} {header}"
    )


def _in_error(case: Case) -> Effect:
    return case.refused(ApiError(400, "invalid_request_error", f"Not understood: {_written(case)}"))


def _in_headers(case: Case) -> Effect:
    error = ApiError(500, "server_error", "Upstream failed.")
    kept = [(name, value) for name, value in case.headers if "request-id" not in name]
    case.headers = [*kept, ("x-request-id", case.key), ("x-debug", _written(case))]
    return case.refused(error)


def _in_answer(case: Case) -> Effect:
    return case.answered(Answer(_written(case), case.answer.usage, "stop", case.identity))


def _in_model(case: Case) -> Effect:
    case.question.model = f"{case.question.model} {case.key}"
    return case.answered(case.answer)


def _in_page(case: Case) -> Effect:
    body = f"<html><body><pre>{html.escape(_written(case))}</pre></body></html>".encode()
    lines = [("content-type", "text/html")]
    return Effect(iter((head(500, lines, len(body)) + body,)), "500")


def _in_text(case: Case) -> Effect:
    body = _written(case).encode()
    return Effect(iter((head(500, [("content-type", "text/plain")], len(body)) + body,)), "500")


PLACES: dict[str, Callable[[Case], Effect]] = {
    "error": _in_error,
    "headers": _in_headers,
    "answer": _in_answer,
    "model": _in_model,
    "page": _in_page,
    "text": _in_text,
}


def echo_key(case: Case) -> Effect:
    """The caller's key somewhere in what comes back; parameter `place`: error, headers, answer,
    model, page or text."""
    place = str(case.params.get("place", ""))
    return (PLACES.get(place) or list(PLACES.values())[case.draws.below(len(PLACES))])(case)
