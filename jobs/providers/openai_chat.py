"""OpenAI's chat completions, which compatible servers speak too.

Source: OpenAI API reference, "Create chat completion"; deviations of compatible servers as met.
"""

from dataclasses import replace
from typing import Any

from jobs.failures import FailureClass
from jobs.providers.errors import error_outcome, message_of, request_id_of, unreadable_outcome
from jobs.providers.json_body import as_dict, as_list, as_text, read_json, text_of
from jobs.providers.limit_headers import rate_hints
from jobs.providers.shared import request_of, schema_name, system_text, turns
from jobs.providers.structured import strict_schema
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome
from jobs.providers.usage import openai_usage

PATH = "/chat/completions"
# Passed through under their own names; `max_tokens` is renamed, others are no parameters here.
PARAMETERS = frozenset(
    {"temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty",
     "reasoning_effort"}
)  # fmt: skip


def build(endpoint: Endpoint, call: Call) -> HttpRequest:
    messages = turns(call)
    system = system_text(endpoint, call)
    if system:
        messages.insert(0, {"role": "system", "content": system})
    body: dict[str, Any] = {"model": call.model, "messages": messages}
    if call.schema is not None:
        body |= _structured(endpoint.structured, call, call.schema)
    for name, value in call.parameters.items():
        if name == "max_tokens":
            key = "max_tokens" if endpoint.legacy_max_tokens else "max_completion_tokens"
            body[key] = value
        elif name in PARAMETERS:
            body[name] = value
    return request_of(endpoint, call, PATH, body, bearer(endpoint))


def _structured(way: str, call: Call, schema: dict[str, Any]) -> dict[str, Any]:
    if way == "json_object":
        return {"response_format": {"type": "json_object"}}
    if way not in ("json_schema", "tool"):
        return {}
    name = schema_name(call)
    strict, adapted = strict_schema(schema)
    if way == "tool":
        function = {"name": name, "strict": strict, "parameters": adapted}
        return {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": name}},
        }
    wanted = {"name": name, "strict": strict, "schema": adapted}
    return {"response_format": {"type": "json_schema", "json_schema": wanted}}


def bearer(endpoint: Endpoint) -> dict[str, str]:
    return {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}


def parse(response: HttpResponse) -> Outcome:
    data = read_json(response.body)
    if response.status != 200 or as_dict(data).get("error") or isinstance(data, list):
        return error_outcome(response, data)
    choices = as_dict(data).get("choices")
    if not isinstance(choices, list):
        return unreadable_outcome(response, "The answer is no chat completion")
    choice = as_dict(choices[0]) if choices else {}  # none: blocked, or nothing to say
    if choice.get("error"):  # OpenRouter: the provider behind it failed after it had begun
        return replace(error_outcome(response, choice), charged=None)
    message = as_dict(choice.get("message"))
    text = _content(message)
    refusal = as_text(message.get("refusal"))
    finish = as_text(choice.get("finish_reason"))
    failure, words = _ended(finish, text, refusal)
    return Outcome(
        failure=failure,
        message=words,
        text=text,
        model=as_text(data.get("model"))[:200],
        usage=openai_usage(data.get("usage"), text or refusal),
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, data),
        finish_reason=finish[:40],
        charged=True,
        hints=rate_hints(response.headers),
    )


def _content(message: dict[str, Any]) -> str:
    """The answer's text; where we forced a tool, what the tool was called with."""
    for call in as_list(message.get("tool_calls")):
        given = as_dict(as_dict(call).get("function")).get("arguments")
        if given:
            return text_of(given)
    content = message.get("content")
    if isinstance(content, list):
        return "".join(as_text(as_dict(part).get("text")) for part in content)
    return as_text(content)


def _ended(finish: str, text: str, refusal: str) -> tuple[FailureClass | None, str]:
    if refusal:
        return FailureClass.REFUSAL, message_of(refusal)
    if finish == "content_filter":
        return FailureClass.CONTENT_FILTER, "The provider's content filter stopped the answer"
    if finish in ("length", "max_tokens", "model_length"):
        return FailureClass.TRUNCATED, "The answer reached max tokens and was cut off"
    if finish == "error":
        return FailureClass.SERVER_ERROR, "The provider stopped the answer with an error"
    if not text.strip():
        return FailureClass.EMPTY_OUTPUT, "The answer is empty"
    return None, ""
