"""What the wire formats share in building requests."""

from collections.abc import Mapping
from typing import Any

import orjson

from jobs.providers.types import Call, Endpoint, HttpRequest

USER_AGENT = "batchllm"
REQUEST_ID = "x-client-request-id"
_REPAIR = (
    "Your answer was not accepted: {fault}\n"
    "Answer again, completely and correctly, and with nothing else around it."
)


def url_of(endpoint: Endpoint, path: str) -> str:
    """`path` without "/v1"; the base URL may end with it or not."""
    base = endpoint.base_url.rstrip("/")
    return f"{base}{path}" if base.endswith(("/v1", "/v1beta/openai")) else f"{base}/v1{path}"


def request_of(
    endpoint: Endpoint, call: Call, path: str, body: Mapping[str, Any], headers: dict[str, str]
) -> HttpRequest:
    headers["content-type"] = "application/json"
    headers["user-agent"] = USER_AGENT
    if call.request_id:
        headers[REQUEST_ID] = call.request_id
    return HttpRequest("POST", url_of(endpoint, path), headers, orjson.dumps(body))


def system_text(endpoint: Endpoint, call: Call) -> str:
    """The system text, with the schema in words for servers that know no structured output."""
    if call.schema is None or endpoint.structured == "json_schema":
        return call.system
    wish = (
        "Answer with one JSON object and nothing else. It must follow this JSON Schema:\n"
        + orjson.dumps(call.schema).decode()
    )
    return f"{call.system}\n\n{wish}" if call.system else wish


def repair_text(fault: str) -> str:
    return _REPAIR.format(fault=fault)


def strict_ready(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the schema as it is: every object closed, all required.

    A schema that is not is sent with `strict: false` rather than changed: making optional fields
    required would change what the person asked for.
    """
    if isinstance(schema, dict):
        if schema.get("type") == "object" or "properties" in schema:
            names = set(schema.get("properties", {}))
            if schema.get("additionalProperties") is not False:
                return False
            if names != set(schema.get("required", [])):
                return False
        return all(strict_ready(value) for value in schema.values())
    if isinstance(schema, list):
        return all(strict_ready(value) for value in schema)
    return True
