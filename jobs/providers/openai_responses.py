"""OpenAI's responses. Source: OpenAI API reference, "Create a model response"."""

from typing import Any

from jobs.failures import FailureClass
from jobs.providers.classification import classify
from jobs.providers.errors import (
    error_fields,
    error_outcome,
    message_of,
    request_id_of,
    unreadable_outcome,
)
from jobs.providers.json_body import as_dict, as_list, as_text, read_json, text_of
from jobs.providers.limit_headers import rate_hints
from jobs.providers.openai_chat import bearer
from jobs.providers.shared import request_of, schema_name, system_text, turns
from jobs.providers.structured import strict_schema
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome
from jobs.providers.usage import openai_usage

PATH = "/responses"
PARAMETERS = frozenset({"temperature", "top_p"})


def build(endpoint: Endpoint, call: Call) -> HttpRequest:
    # Nothing is kept at the provider beyond the call.
    items = [_item(turn) for turn in turns(call)]
    body: dict[str, Any] = {"model": call.model, "input": items, "store": False}
    system = system_text(endpoint, call)
    if system:
        body["instructions"] = system
    if call.schema is not None:
        body |= _structured(endpoint.structured, call, call.schema)
    for name, value in call.parameters.items():
        if name == "max_tokens":
            body["max_output_tokens"] = value
        elif name == "reasoning_effort":
            body["reasoning"] = {"effort": value}
        elif name in PARAMETERS:
            body[name] = value
    return request_of(endpoint, call, PATH, body, bearer(endpoint))


def _item(turn: dict[str, str]) -> dict[str, Any]:
    """The model's own former turn in the long form: llama.cpp's server takes no other."""
    if turn["role"] != "assistant":
        return dict(turn)
    said = {"type": "output_text", "text": turn["content"]}
    return {"type": "message", "role": "assistant", "content": [said]}


def _structured(way: str, call: Call, schema: dict[str, Any]) -> dict[str, Any]:
    if way == "json_object":
        return {"text": {"format": {"type": "json_object"}}}
    if way not in ("json_schema", "tool"):
        return {}
    name = schema_name(call)
    strict, adapted = strict_schema(schema)
    if way == "tool":
        tool = {"type": "function", "name": name, "strict": strict, "parameters": adapted}
        return {"tools": [tool], "tool_choice": {"type": "function", "name": name}}
    wanted = {"type": "json_schema", "name": name, "strict": strict, "schema": adapted}
    return {"text": {"format": wanted}}


def parse(response: HttpResponse) -> Outcome:
    data = read_json(response.body)
    status = as_text(as_dict(data).get("status"))
    if response.status != 200 or isinstance(data, list):
        return error_outcome(response, data)
    parts = as_dict(data).get("output")
    if as_dict(data).get("error") and not (status == "failed" and isinstance(parts, list)):
        return error_outcome(response, data)
    if not isinstance(parts, list):
        return unreadable_outcome(response, "The answer is no response object")
    text, refusal = _read_parts(parts)
    reason = as_text(as_dict(data.get("incomplete_details")).get("reason"))
    failure, words = _ended(data, status, reason, text, refusal)
    failed = status == "failed"
    return Outcome(
        failure=failure,
        message=words,
        text=text,
        model=as_text(data.get("model"))[:200],
        # A response that failed is charged if it reports what it used.
        usage=None if failed and not data.get("usage")
        else openai_usage(data.get("usage"), text or refusal),
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, data),
        finish_reason=(reason or status)[:40],
        charged=bool(data.get("usage")) if failed else True,
        hints=rate_hints(response.headers),
    )  # fmt: skip


def _read_parts(parts: list[Any]) -> tuple[str, str]:
    text, refusal = [], []
    for item in parts:
        item = as_dict(item)
        if item.get("type") == "function_call":  # the tool that we forced
            text.append(text_of(item.get("arguments")))
        for part in as_list(item.get("content")):
            part = as_dict(part)
            if part.get("type") == "output_text":
                text.append(as_text(part.get("text")))
            elif part.get("type") == "refusal":
                refusal.append(as_text(part.get("refusal")))
    return "".join(text), "".join(refusal)


def _ended(
    data: dict[str, Any], status: str, reason: str, text: str, refusal: str
) -> tuple[FailureClass | None, str]:
    if status == "failed":
        kind, code, message = error_fields({"error": data.get("error")})
        return classify(500, kind, code, message), message_of(message or "The response failed")
    if refusal:
        return FailureClass.REFUSAL, message_of(refusal)
    if reason == "content_filter":
        return FailureClass.CONTENT_FILTER, "The provider's content filter stopped the answer"
    if status == "incomplete":
        return FailureClass.TRUNCATED, "The answer reached max tokens and was cut off"
    if status in ("cancelled", "queued", "in_progress"):
        return FailureClass.SERVER_ERROR, f"The response came back {status.replace('_', ' ')}"
    if not text.strip():
        return FailureClass.EMPTY_OUTPUT, "The answer is empty"
    return None, ""
