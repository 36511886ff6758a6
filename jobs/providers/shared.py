"""What the wire formats share in building requests."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jobs.providers.json_body import write_json
from jobs.providers.types import Call, Endpoint, HttpRequest

USER_AGENT = "batchllm"
REQUEST_ID = "x-client-request-id"
_REPAIR = (
    "Your answer was not accepted: {fault}\n"
    "Answer again, completely and correctly, and with nothing else around it."
)
# Ends of base URLs that are complete: "/v1", and "/v1beta/openai" as Google has it.
_VERSIONED = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?(?:/openai)?$")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")


def url_of(endpoint: Endpoint, path: str) -> str:
    """`path` comes without "/v1"; the base URL may end with a version or not."""
    return _joined(endpoint.base_url, path)


@lru_cache(maxsize=256)
def _joined(base_url: str, path: str) -> str:
    base = base_url.rstrip("/")
    return f"{base}{path}" if _VERSIONED.search(base) else f"{base}/v1{path}"


def request_of(
    endpoint: Endpoint, call: Call, path: str, body: Mapping[str, Any], headers: dict[str, str]
) -> HttpRequest:
    headers["content-type"] = "application/json"
    headers["user-agent"] = USER_AGENT
    if call.request_id:
        headers[REQUEST_ID] = call.request_id
    return HttpRequest("POST", url_of(endpoint, path), headers, write_json(body))


def system_text(endpoint: Endpoint, call: Call) -> str:
    """The system text, with the schema in words for servers that do not take it as a schema."""
    if call.schema is None or endpoint.structured in ("json_schema", "tool"):
        return call.system
    wish = (
        "Answer with one JSON object and nothing else. It must follow this JSON Schema:\n"
        + write_json(call.schema).decode()
    )
    return f"{call.system}\n\n{wish}" if call.system else wish


def turns(call: Call) -> list[dict[str, str]]:
    """The conversation without its system text: the question and, on a repair, the model's former
    answer and what was wrong with it."""
    question = {"role": "user", "content": call.user}
    if call.repair is None:
        return [question]
    answer, fault = call.repair
    return [
        question,
        {"role": "assistant", "content": answer},
        {"role": "user", "content": _REPAIR.format(fault=fault)},
    ]


def schema_name(call: Call) -> str:
    """The name of the schema in the form that all vendors take: at most 64 of A-Z a-z 0-9 _ -."""
    return _NOT_IN_NAME.sub("_", call.schema_name)[:64] or "output"
