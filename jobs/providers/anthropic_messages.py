"""Anthropic's messages. Source: Anthropic API reference, "Messages"."""

from typing import Any

from jobs.failures import FailureClass
from jobs.providers.errors import error_outcome, message_of, request_id_of, unreadable_outcome
from jobs.providers.json_body import as_dict, as_text, read_json, text_of
from jobs.providers.limit_headers import rate_hints
from jobs.providers.shared import request_of, schema_name, system_text, turns
from jobs.providers.structured import anthropic_schema
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome
from jobs.providers.usage import anthropic_usage

PATH = "/messages"
VERSION = "2023-06-01"
# The API requires a limit; this one stands where the job sets none.
DEFAULT_MAX_TOKENS = 4096
PARAMETERS = frozenset({"temperature", "top_p", "top_k"})


def build(endpoint: Endpoint, call: Call) -> HttpRequest:
    body: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.parameters.get("max_tokens") or DEFAULT_MAX_TOKENS,
        "messages": turns(call),
    }
    system = system_text(endpoint, call)
    if system:
        body["system"] = system
    if any(call.keep):
        _mark(body, *call.keep)
    if call.schema is not None and endpoint.structured == "json_schema":
        wanted = {"type": "json_schema", "schema": anthropic_schema(call.schema)}
        body["output_config"] = {"format": wanted}
    elif call.schema is not None and endpoint.structured == "tool":
        name = schema_name(call)
        body["tools"] = [{"name": name, "input_schema": call.schema}]
        body["tool_choice"] = {"type": "tool", "name": name}
    for name, value in call.parameters.items():
        if name == "stop":
            body["stop_sequences"] = [value] if isinstance(value, str) else value
        elif name in PARAMETERS:
            body[name] = value
    headers = {"anthropic-version": VERSION}
    if endpoint.api_key:
        headers["x-api-key"] = endpoint.api_key
    return request_of(endpoint, call, PATH, body, headers)


def _mark(body: dict[str, Any], system: str, user: str) -> None:
    """Ask to keep what the messages begin with: all up to the mark, which stands at its end."""
    question = body["messages"][0]
    if user.strip() and question["content"].startswith(user):
        question["content"] = _blocks(question["content"], user)
    elif system.strip() and body.get("system", "").startswith(system):
        body["system"] = _blocks(body["system"], system)


def _blocks(text: str, kept: str) -> list[dict[str, Any]]:
    """The text in two blocks, of which the first is kept; a block of nothing is refused."""
    rest = text[len(kept) :]
    if not rest.strip():
        return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    return [
        {"type": "text", "text": kept, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": rest},
    ]


def parse(response: HttpResponse) -> Outcome:
    data = read_json(response.body)
    told = as_dict(data)
    if response.status != 200 or told.get("type") == "error" or told.get("error"):
        return error_outcome(response, data)
    blocks = told.get("content")
    if not isinstance(blocks, list):
        return unreadable_outcome(response, "The answer is no message")
    text = _read_blocks(blocks)
    stop = as_text(told.get("stop_reason"))
    failure, words = _ended(stop, text, told)
    return Outcome(
        failure=failure,
        message=words,
        text=text,
        model=as_text(told.get("model"))[:200],
        usage=anthropic_usage(told.get("usage"), text),
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, data),
        finish_reason=stop[:40],
        charged=True,
        hints=rate_hints(response.headers),
    )


def _read_blocks(blocks: list[Any]) -> str:
    """The answer's text; where we forced a tool, what the tool was called with."""
    for block in blocks:
        if as_dict(block).get("type") == "tool_use":
            return text_of(as_dict(block).get("input"))
    return "".join(
        as_text(as_dict(block).get("text"))
        for block in blocks
        if as_dict(block).get("type") == "text"
    )


def _ended(stop: str, text: str, told: dict[str, Any]) -> tuple[FailureClass | None, str]:
    if stop == "refusal":
        explained = as_text(as_dict(told.get("stop_details")).get("explanation"))
        return FailureClass.REFUSAL, message_of(text or explained or "The model refused to answer")
    if stop == "max_tokens":
        return FailureClass.TRUNCATED, "The answer reached max tokens and was cut off"
    if stop == "model_context_window_exceeded":
        return FailureClass.CONTEXT_LENGTH, "The answer ran into the end of the model's context"
    if stop == "pause_turn":
        return FailureClass.TRUNCATED, "The model paused its turn before the answer was complete"
    if not text.strip():
        return FailureClass.EMPTY_OUTPUT, "The answer is empty"
    return None, ""
