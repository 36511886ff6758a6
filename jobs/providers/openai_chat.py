"""OpenAI's chat completions, which compatible servers speak too.

Source: OpenAI API reference, "Create chat completion"; deviations of compatible servers as met.
"""

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
from jobs.providers.shared import repair_text, request_of, strict_ready, system_text
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome, Usage

PATH = "/chat/completions"
# Passed through under their own names; `max_tokens` is renamed, the rest is refused at launch.
PARAMETERS = frozenset(
    {"temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty",
     "reasoning_effort"}
)  # fmt: skip


def build(endpoint: Endpoint, call: Call) -> HttpRequest:
    messages = []
    system = system_text(endpoint, call)
    if system:
        messages.append({"role": "system", "content": system})
    messages.append({"role": "user", "content": call.user})
    if call.repair is not None:
        answer, fault = call.repair
        messages.append({"role": "assistant", "content": answer})
        messages.append({"role": "user", "content": repair_text(fault)})
    body: dict[str, Any] = {"model": call.model, "messages": messages}
    if call.schema is not None:
        if endpoint.structured == "json_schema":
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": call.schema_name,
                    "strict": strict_ready(call.schema),
                    "schema": call.schema,
                },
            }
        elif endpoint.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
    for name, value in call.parameters.items():
        if name == "max_tokens":
            key = "max_tokens" if endpoint.legacy_max_tokens else "max_completion_tokens"
            body[key] = value
        elif name in PARAMETERS:
            body[name] = value
    return request_of(endpoint, call, PATH, body, bearer(endpoint))


def bearer(endpoint: Endpoint) -> dict[str, str]:
    return {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}


def parse(response: HttpResponse) -> Outcome:
    data = read_json(response.body)
    if response.status != 200 or (isinstance(data, dict) and data.get("error")):
        return error_outcome(response, data)
    choices = as_dict(data).get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return unreadable_outcome(response, "The answer is no chat completion")
    choice = choices[0]
    message = as_dict(choice.get("message"))
    text = _content(message.get("content"))
    refusal = as_text(message.get("refusal"))
    finish = as_text(choice.get("finish_reason"))
    failure, words = _ended(finish, text, refusal)
    return Outcome(
        failure=failure,
        message=words,
        text=text,
        model=as_text(data.get("model"))[:200],
        usage=usage_of(data.get("usage"), text or refusal),
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, data),
        finish_reason=finish[:40],
        charged=True,
        hints=rate_hints(response.headers),
    )


def _content(content: Any) -> str:
    if isinstance(content, list):
        return "".join(as_text(as_dict(part).get("text")) for part in content)
    return as_text(content)


def _ended(finish: str, text: str, refusal: str) -> tuple[FailureClass | None, str]:
    if refusal:
        return FailureClass.REFUSAL, message_of(refusal)
    if finish == "content_filter":
        return FailureClass.CONTENT_FILTER, "The provider's content filter stopped the answer"
    if finish == "length":
        return FailureClass.TRUNCATED, "The answer reached max tokens and was cut off"
    if not text.strip():
        return FailureClass.EMPTY_OUTPUT, "The answer is empty"
    return None, ""


def usage_of(usage: Any, text: str) -> Usage:
    """Usage as chat completions and, with other names, responses report it.

    Cached tokens are part of the input, reasoning tokens part of the output. Counts that cannot be
    are not believed: then the whole is estimated, and marked so.
    """
    data = as_dict(usage)
    asked = tokens(data.get("prompt_tokens", data.get("input_tokens")))
    answered = tokens(data.get("completion_tokens", data.get("output_tokens")))
    if asked is None or answered is None or (answered == 0 and text):
        return estimated_usage(text, raw_usage(usage) if usage else "")
    inside = as_dict(data.get("prompt_tokens_details", data.get("input_tokens_details")))
    outside = as_dict(data.get("completion_tokens_details", data.get("output_tokens_details")))
    cached = min(tokens(inside.get("cached_tokens")) or 0, asked)
    return Usage(
        input_tokens=asked,
        output_tokens=answered,
        cached_input_tokens=cached,
        cache_write_tokens=min(tokens(inside.get("cache_write_tokens")) or 0, asked - cached),
        reasoning_tokens=min(tokens(outside.get("reasoning_tokens")) or 0, answered),
        raw=raw_usage(usage),
    )
