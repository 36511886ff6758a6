"""Trying a connection out: does it answer, what can it do, and if not, what is wrong in words.

The report holds our own words only: whoever may point a connection somewhere must not read through
it what stands there.
"""

import re
import time
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.failures import FailureClass
from jobs.providers.anthropic_messages import VERSION
from jobs.providers.dialogue import ask, without_key
from jobs.providers.errors import error_outcome
from jobs.providers.json_body import as_dict, as_list, as_text, read_json
from jobs.providers.shared import USER_AGENT, url_of
from jobs.providers.transport import Transport, TransportError
from jobs.providers.types import Call, Endpoint, HttpRequest, Outcome

TIMEOUT_S = 30.0
MAX_MODELS = 1_000
# Enough for a model that thinks before it answers.
MAX_TOKENS = 1_000
# Of each question, with its schema and whatever a provider wraps around it; and how many there may be.
QUESTION_TOKENS = 2_000
QUESTIONS_AT_MOST = 6
# A question that nobody answers with a number unless the schema makes them.
_QUESTION = "Greet me with one short sentence."
_SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
    "additionalProperties": False,
}
# What to try for a schema, the surest first.
_WAYS = {
    "openai_chat": ("json_schema", "json_object", "prompt"),
    "openai_responses": ("json_schema", "json_object", "prompt"),
    "anthropic_messages": ("json_schema", "tool", "prompt"),
}
# The schema was ignored, or refused, or the model talked on for want of one.
_TRY_ANOTHER_WAY = (
    None,
    FailureClass.INVALID_REQUEST,
    FailureClass.SERVER_ERROR,
    FailureClass.TRUNCATED,
)
_LIMIT_NAME = re.compile(r"max_(completion_)?tokens", re.IGNORECASE)
_F = FailureClass
_WORDS = {
    _F.RATE_LIMITED: "The provider answers, but limits this key at the moment. Try again later.",
    _F.OVERLOADED: "The provider answers, but is overloaded. Try again later.",
    _F.SERVER_ERROR: "The server answers with an error of its own, or with something that is no "
    "answer of this API. Check the base URL and the kind of connection.",
    _F.TIMEOUT: "No answer came in time. Check the base URL, and that the server is running.",
    _F.CONNECTION: "The server cannot be reached. Check the base URL.",
    _F.AUTHENTICATION: "The key was refused. Enter a valid key.",
    _F.PERMISSION: "The key was accepted, but may not use this model.",
    _F.QUOTA_EXHAUSTED: "The key was accepted, but the account has no credit left.",
    _F.MODEL_NOT_FOUND: "There is no such model at this address. Check the model's name and the "
    "base URL.",
    _F.INVALID_REQUEST: "The server refused a simple request as invalid. Check the kind of "
    "connection.",
    _F.CONTEXT_LENGTH: "The server says that a simple request is too long for the model.",
    _F.CONTENT_FILTER: "The server answers, but its content filter blocked a simple greeting.",
    _F.REFUSAL: "The server answers, but the model refused a simple greeting.",
    _F.TRUNCATED: f"The server answers, but {MAX_TOKENS:,} tokens did not suffice for a greeting.",
    _F.EMPTY_OUTPUT: "The server answers, but the answer is empty.",
}

# How the transport's words begin where somebody took the call and did not answer it whole.
_REACHED = ("The answer ", "The connection was closed", "The connection broke:")


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What a connection test found. `failure is None` means that a real call was answered.

    `capabilities` is for keeping: `structured` and `legacy_max_tokens` as in `Endpoint`, `usage`
    (bool: the server reports tokens), `models` (list of names). It is empty after a failure.
    """

    failure: FailureClass | None
    message: str  # at most 500 characters, our words
    capabilities: dict[str, Any] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    model_returned: str = ""
    took_ms: int = 0  # of the call that was answered, or of the last one


async def test_connection(
    transport: Transport,
    endpoint: Endpoint,
    model: str,
    timeout: float = TIMEOUT_S,  # noqa: PT028  no test
) -> ConnectionReport:
    """Lists the models and makes one small real call; up to six if the server refuses what is
    asked of it or ignores it. Never raises; `timeout` (seconds) is for each call."""
    models, why_none, told = await _listed(transport, endpoint, timeout)
    model = model or (models[0] if models else "")
    if not model:
        return _without_model(why_none, told)
    outcome, took_ms, honoured = Outcome(), 0, False
    tried = endpoint
    for way in _WAYS[endpoint.api]:
        tried = replace(tried, structured=way)
        outcome, took_ms = await _probe(transport, tried, model, timeout)
        if outcome.failure is _F.INVALID_REQUEST and _LIMIT_NAME.search(outcome.message):
            tried = replace(tried, legacy_max_tokens=not tried.legacy_max_tokens)
            outcome, took_ms = await _probe(transport, tried, model, timeout)
        honoured = outcome.failure is None and _fits(outcome.text)
        if honoured or outcome.failure not in _TRY_ANOTHER_WAY:
            break
    if outcome.failure is not None:
        words = _words(outcome.failure, outcome.message if outcome.http_status is None else "")
        if outcome.http_status is not None and outcome.http_status != 200:
            words = f"{words} (HTTP {outcome.http_status})"
        return ConnectionReport(outcome.failure, words, models=models, took_ms=took_ms)
    reports_usage = outcome.usage is not None and not outcome.usage.estimated
    return ConnectionReport(
        failure=None,
        message=_what_it_can(tried, outcome, model, honoured=honoured, usage=reports_usage),
        capabilities={
            "structured": tried.structured,
            "legacy_max_tokens": tried.legacy_max_tokens,
            "usage": reports_usage,
            "models": models,
        },
        models=models,
        model_returned=outcome.model,
        took_ms=took_ms,
    )


async def _probe(
    transport: Transport, endpoint: Endpoint, model: str, timeout: float
) -> tuple[Outcome, int]:
    call = Call(
        model=model,
        system="",
        user=_QUESTION,
        schema=_SCHEMA,
        schema_name="greeting",
        parameters={"max_tokens": MAX_TOKENS},
    )
    start = time.monotonic()
    _, _, outcome = await ask(transport, endpoint, call, timeout)
    return outcome, int((time.monotonic() - start) * 1000)


def _fits(text: str) -> bool:
    return isinstance(as_dict(read_json(text.encode())).get("number"), int)


def _what_it_can(
    endpoint: Endpoint, outcome: Outcome, model: str, *, honoured: bool, usage: bool
) -> str:
    said = ["The connection works."]
    if not honoured:
        said.append("The model did not follow a schema; answers are checked, but may often fail.")
    elif endpoint.structured != "json_schema":
        said.append("The server does not enforce schemas; they are put to the model otherwise.")
    if not usage:
        said.append("The server reports no token counts; they are estimated, and marked so.")
    if outcome.model and model.rpartition("/")[2] not in outcome.model:
        said.append("The server answered with another model than the one asked for.")
    return " ".join(said)


def _words(failure: FailureClass, told: str) -> str:
    """`told` is what the transport says of a call without an answer; its words are ours as well."""
    if failure is _F.CONNECTION and told.startswith(_REACHED):
        return (
            f"The server was reached, but gave no whole answer: {told[0].lower()}{told[1:]}. Check "
            "the base URL, and that nothing on the way cuts answers off."
        )
    return _WORDS.get(failure, "The answer could not be understood.")


def _without_model(why: FailureClass | None, told: str) -> ConnectionReport:
    """What is to be said when nobody named a model and none is listed. A server that has no list at
    all is no fault; one that refused the key, or is not there, would do the same to any call."""
    if why in (None, _F.MODEL_NOT_FOUND, _F.INVALID_REQUEST):
        return ConnectionReport(_F.MODEL_NOT_FOUND, "Name a model: the server lists none.")
    return ConnectionReport(why, _words(why, told))


async def _listed(
    transport: Transport, endpoint: Endpoint, timeout: float
) -> tuple[list[str], FailureClass | None, str]:
    """The names of the models that the server lists, at most 1,000, in its order; where it cannot be
    asked none, why, and what the transport says of it. Never raises."""
    headers = {"user-agent": USER_AGENT, "accept": "application/json"}
    url = url_of(endpoint, "/models")
    if endpoint.api == "anthropic_messages":
        headers["anthropic-version"] = VERSION
        url += f"?limit={MAX_MODELS}"
        if endpoint.api_key:
            headers["x-api-key"] = endpoint.api_key
    elif endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    try:
        response = await transport.send(HttpRequest("GET", url, headers, b""), timeout)
    except TransportError as error:
        return [], error.failure, str(error)
    response = without_key(response, endpoint.api_key)
    body = read_json(response.body)
    if response.status != 200:
        return [], error_outcome(response, body).failure, ""
    told = as_dict(body)
    entries = [as_dict(entry) for entry in as_list(told.get("data")) or as_list(told.get("models"))]
    names = (as_text(entry.get("id") or entry.get("name")) for entry in entries)
    found = dict.fromkeys(name for name in names if _is_name(name))
    return list(found)[:MAX_MODELS], None, ""


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 200 and name.isprintable()
