"""OpenAI's responses. Source: OpenAI API reference, "Create a model response"."""

from typing import Any

from jobs.failures import FailureClass
from jobs.providers.errors import (
    as_dict,
    as_text,
    classify,
    error_fields,
    error_outcome,
    message_of,
    rate_hints,
    read_json,
    request_id_of,
    unreadable_outcome,
)
from jobs.providers.openai_chat import bearer, usage_of
from jobs.providers.shared import repair_text, request_of, strict_ready, system_text
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome

PATH = "/responses"
PARAMETERS = frozenset({"temperature", "top_p"})


def build(endpoint: Endpoint, call: Call) -> HttpRequest:
    turns = [{"role": "user", "content": call.user}]
    if call.repair is not None:
        answer, fault = call.repair
        turns.append({"role": "assistant", "content": answer})
        turns.append({"role": "user", "content": repair_text(fault)})
    # Nothing is kept at the provider beyond the call.
    body: dict[str, Any] = {"model": call.model, "input": turns, "store": False}
    system = system_text(endpoint, call)
    if system:
        body["instructions"] = system
    if call.schema is not None and endpoint.structured == "json_schema":
        body["text"] = {
            "format": {
                "type": "json_schema",
                "name": call.schema_name,
                "strict": strict_ready(call.schema),
                "schema": call.schema,
            }
        }
    for name, value in call.parameters.items():
        if name == "max_tokens":
            body["max_output_tokens"] = value
        elif name == "reasoning_effort":
            body["reasoning"] = {"effort": value}
        elif name in PARAMETERS:
            body[name] = value
    return request_of(endpoint, call, PATH, body, bearer(endpoint))


def parse(response: HttpResponse) -> Outcome:
    data = read_json(response.body)
    if response.status != 200 or (
        isinstance(data, dict) and data.get("error") and data.get("status") != "failed"
    ):
        return error_outcome(response, data)
    parts = as_dict(data).get("output")
    if not isinstance(parts, list):
        return unreadable_outcome(response, "The answer is no response object")
    text, refusal = _read_parts(parts)
    status = as_text(data.get("status"))
    reason = as_text(as_dict(data.get("incomplete_details")).get("reason"))
    failure, words = _ended(data, status, reason, text, refusal)
    return Outcome(
        failure=failure,
        message=words,
        text=text,
        model=as_text(data.get("model"))[:200],
        usage=usage_of(data.get("usage"), text or refusal),
        http_status=response.status,
        provider_request_id=request_id_of(response.headers, data),
        finish_reason=(reason or status)[:40],
        charged=status != "failed",
        hints=rate_hints(response.headers),
    )


def _read_parts(parts: list[Any]) -> tuple[str, str]:
    text, refusal = [], []
    for item in parts:
        for part in as_dict(item).get("content") or []:
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
        kind, code, message = error_fields(data)
        return classify(500, kind, code, message), message_of(message or "The response failed")
    if refusal:
        return FailureClass.REFUSAL, message_of(refusal)
    if reason == "content_filter":
        return FailureClass.CONTENT_FILTER, "The provider's content filter stopped the answer"
    if status == "incomplete":
        return FailureClass.TRUNCATED, "The answer reached max tokens and was cut off"
    if not text.strip():
        return FailureClass.EMPTY_OUTPUT, "The answer is empty"
    return None, ""
