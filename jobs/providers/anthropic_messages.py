"""Anthropic's messages. Source: Anthropic API reference, "Messages"."""

from typing import Any

from jobs.failures import FailureClass
from jobs.providers.errors import (
    as_dict,
    as_text,
    error_outcome,
    estimated_usage,
    message_of,
    rate_hints,
    raw_usage,
    read_json,
    request_id_of,
    tokens,
    unreadable_outcome,
)
from jobs.providers.shared import repair_text, request_of, system_text
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome, Usage

PATH = "/messages"
VERSION = "2023-06-01"
# The API requires a limit; this one stands where the job sets none.
DEFAULT_MAX_TOKENS = 4096
PARAMETERS = frozenset({"temperature", "top_p", "top_k"})


def build(endpoint: Endpoint, call: Call) -> HttpRequest:
    messages = [{"role": "user", "content": call.user}]
    if call.repair is not None:
        answer, fault = call.repair
        messages.append({"role": "assistant", "content": answer})
        messages.append({"role": "user", "content": repair_text(fault)})
    body: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.parameters.get("max_tokens") or DEFAULT_MAX_TOKENS,
        "messages": messages,
    }
    system = system_text(endpoint, call)
    if system:
        body["system"] = system
    if call.schema is not None and endpoint.structured == "json_schema":
        body["output_config"] = {"format": {"type": "json_schema", "schema": call.schema}}
    for name, value in call.parameters.items():
        if name == "stop":
            body["stop_sequences"] = [value] if isinstance(value, str) else value
        elif name in PARAMETERS:
            body[name] = value
    headers = {"anthropic-version": VERSION}
    if endpoint.api_key:
        headers["x-api-key"] = endpoint.api_key
    return request_of(endpoint, call, PATH, body, headers)


def parse(response: HttpResponse) -> Outcome:
    data = read_json(response.body)
    if response.status != 200 or (
        isinstance(data, dict) and (data.get("type") == "error" or data.get("error"))
    ):
        return error_outcome(response, data)
    blocks = as_dict(data).get("content")
    if not isinstance(blocks, list):
        return unreadable_outcome(response, "The answer is no message")
    text = "".join(
        as_text(as_dict(block).get("text"))
        for block in blocks
        if as_dict(block).get("type") == "text"
    )
    stop = as_text(data.get("stop_reason"))
    failure, words = _ended(stop, text)
    return Outcome(
        failure=failure,
        message=words,
        text=text,
        model=as_text(data.get("model"))[:200],
        usage=usage_of(data.get("usage"), text),
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, data),
        finish_reason=stop[:40],
        charged=True,
        hints=rate_hints(response.headers),
    )


def _ended(stop: str, text: str) -> tuple[FailureClass | None, str]:
    if stop == "refusal":
        return FailureClass.REFUSAL, message_of(text or "The model refused to answer")
    if stop == "max_tokens":
        return FailureClass.TRUNCATED, "The answer reached max tokens and was cut off"
    if stop == "model_context_window_exceeded":
        return FailureClass.CONTEXT_LENGTH, "The answer ran into the end of the model's context"
    if stop == "pause_turn":
        return FailureClass.TRUNCATED, "The model paused its turn before the answer was complete"
    if not text.strip():
        return FailureClass.EMPTY_OUTPUT, "The answer is empty"
    return None, ""


def usage_of(usage: Any, text: str) -> Usage:
    """Anthropic's `input_tokens` exclude what was read from or written to the cache: added up here."""
    data = as_dict(usage)
    plain, answered = tokens(data.get("input_tokens")), tokens(data.get("output_tokens"))
    if plain is None or answered is None or (answered == 0 and text):
        return estimated_usage(text, raw_usage(usage) if usage else "")
    read = tokens(data.get("cache_read_input_tokens")) or 0
    written = tokens(data.get("cache_creation_input_tokens")) or 0
    by_lifetime = as_dict(data.get("cache_creation"))
    hour = min(tokens(by_lifetime.get("ephemeral_1h_input_tokens")) or 0, written)
    return Usage(
        input_tokens=plain + read + written,
        output_tokens=answered,
        cached_input_tokens=read,
        cache_write_tokens=written - hour,
        cache_write_1h_tokens=hour,
        raw=raw_usage(usage),
    )
