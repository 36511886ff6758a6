"""The OpenAPI document: what every operation shares is written into it once, here."""

from typing import Any

from jobs.api.answers import Problem
from jobs.api.idempotency import HEADER, MAX_KEY
from jobs.api.problems import CONTENT_TYPE

_PROBLEM = {
    "description": "Problem details (RFC 9457)",
    "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_KEY = {
    "in": "header",
    "name": HEADER,
    "description": "Any text, new for each request and the same when it is sent again: what was "
    "carried out under it is answered again, not carried out again. Kept for a day.",
    "schema": {"type": "string", "maxLength": MAX_KEY},
    "required": False,
}


def complete(document: Any) -> None:
    """Add the errors to every operation and the idempotency key to every POST."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = document["components"]["schemas"]
    schemas.update(schema.pop("$defs", {}))
    schemas["Problem"] = schema
    for methods in document["paths"].values():
        for method, operation in methods.items():
            operation["responses"].update({"4XX": _PROBLEM, "5XX": _PROBLEM})
            if method == "post":
                operation.setdefault("parameters", []).append(_KEY)
