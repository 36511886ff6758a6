"""What OpenAI demands of a schema sent with `strict: true`."""

from functools import lru_cache
from typing import Any

import orjson

type Json = Any


@lru_cache(maxsize=256)
def first_breach(schema: bytes) -> str | None:
    """The first demand that a schema (JSON text) breaks, in OpenAI's words; None if there is none.

    Looked at: the root is an object; every object has `additionalProperties: false` and requires
    all its properties. Keywords that OpenAI refuses are not looked at.
    """
    root = orjson.loads(schema)
    if root.get("type") != "object":
        kind = root.get("type")
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    return _breach(root, ())


def _breach(schema: Json, context: tuple[str, ...]) -> str | None:
    if not isinstance(schema, dict):
        return None
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            return (
                f"In context={context!r}, 'additionalProperties' is required to be supplied and "
                "to be false."
            )
        missing = [name for name in properties or {} if name not in schema.get("required", ())]
        if missing:
            return (
                f"In context={context!r}, 'required' is required to be supplied and to be an array "
                f"including every key in properties. Missing '{missing[0]}'."
            )
    nested: list[tuple[str, Json]] = [("items", schema.get("items"))]
    for word in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(word), dict):
            nested += [(f"{word}', '{name}", part) for name, part in schema[word].items()]
    if isinstance(schema.get("anyOf"), list):
        nested += [(f"anyOf', '{at}", part) for at, part in enumerate(schema["anyOf"])]
    for name, part in nested:
        breach = _breach(part, (*context, *name.split("', '")))
        if breach is not None:
            return breach
    return None
