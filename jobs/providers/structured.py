"""The same JSON Schema as the vendors' structured outputs take it.

The answer is checked against the person's own schema afterwards in any case. The dicts returned are
shared: not to be changed. Sources: OpenAI, "Structured outputs: supported schemas"; Anthropic,
"Structured outputs".
"""

from functools import lru_cache
from typing import Any

import orjson

from jobs.providers.json_body import write_json

# What OpenAI's strict mode refuses to see anywhere in a schema is all that is not here.
_STRICT_KEYWORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf",
     "$ref", "$defs", "definitions", "description", "title", "pattern", "format", "multipleOf",
     "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"}
)  # fmt: skip
_STRICT_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
# Say nothing about what is valid, so that nothing is lost with them.
_NOTES = frozenset({"$schema", "$id", "$comment", "default", "examples", "deprecated"})
# Strict mode refuses these too, but they can be said in words: the shape stays guaranteed, and the
# rest is checked afterwards.
_SAID_IN_WORDS = frozenset({"minLength", "maxLength", "uniqueItems"})
_MAX_DEPTH, _MAX_PROPERTIES, _MAX_ENUM = 10, 5_000, 1_000
_ANTHROPIC_KEYWORDS = frozenset(
    {"type", "properties", "required", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs",
     "definitions", "description", "title"}
)  # fmt: skip
_ANTHROPIC_FORMATS = _STRICT_FORMATS | {"uri"}


class _NotStrictError(Exception):
    """The schema means something that strict mode cannot say."""


def strict_schema(schema: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """(strict, schema) for OpenAI.

    Objects that say nothing of further properties are closed, annotations are left out, lengths
    and unknown formats are said in the description. A schema with optional properties or with
    words that strict mode does not know goes out unchanged with `strict` False: making the optional
    required would change what the person asked for.
    """
    return _strict(write_json(schema))


@lru_cache(maxsize=256)
def _strict(schema: bytes) -> tuple[bool, dict[str, Any]]:
    asked: dict[str, Any] = orjson.loads(schema)
    try:
        if asked.get("type") != "object" or "anyOf" in asked:
            raise _NotStrictError
        budget = [_MAX_PROPERTIES, _MAX_ENUM]
        return True, _closed(asked, 1, budget)
    except _NotStrictError:
        return False, asked


def _closed(schema: Any, depth: int, budget: list[int]) -> dict[str, Any]:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        raise _NotStrictError
    kept, told = {}, {}
    for name, value in schema.items():
        if name in _SAID_IN_WORDS or (name == "format" and value not in _STRICT_FORMATS):
            told[name] = value
        elif name in _STRICT_KEYWORDS:
            kept[name] = value
        elif name not in _NOTES:
            raise _NotStrictError
    if not {"type", "enum", "const", "anyOf", "$ref"} & kept.keys():
        raise _NotStrictError
    budget[1] -= len(kept.get("enum", ()))
    kinds = kept.get("type", ())
    if "object" in ([kinds] if isinstance(kinds, str) else kinds):
        _close_object(kept, depth, budget)
    elif "properties" in kept:
        raise _NotStrictError
    if "items" in kept:
        kept["items"] = _closed(kept["items"], depth + 1, budget)
    elif kinds == "array":
        raise _NotStrictError
    if "anyOf" in kept:
        kept["anyOf"] = [_closed(one, depth, budget) for one in kept["anyOf"]]
    for place in ("$defs", "definitions"):
        if place in kept:
            kept[place] = {name: _closed(one, 1, budget) for name, one in kept[place].items()}
    if min(budget) < 0:
        raise _NotStrictError
    _describe(kept, told)
    return kept


def _describe(schema: dict[str, Any], told: dict[str, Any]) -> None:
    """Add to the description what the schema may not say otherwise."""
    if told:
        words = orjson.dumps(told).decode()
        before = schema.get("description")
        schema["description"] = f"{before}\n\n{words}" if before else words


def _close_object(schema: dict[str, Any], depth: int, budget: list[int]) -> None:
    properties = schema.get("properties")
    if not properties or schema.setdefault("additionalProperties", False) is not False:
        raise _NotStrictError
    if set(schema.get("required", ())) != properties.keys():
        raise _NotStrictError
    budget[0] -= len(properties)
    schema["properties"] = {
        name: _closed(one, depth + 1, budget) for name, one in properties.items()
    }


def anthropic_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema for `output_config`, which knows only a part of JSON Schema and refuses the rest.

    Every object is closed; what is not known is said in the description instead, so that the model
    may still follow it.
    """
    return _anthropic(write_json(schema))


@lru_cache(maxsize=256)
def _anthropic(schema: bytes) -> dict[str, Any]:
    said: dict[str, Any] = _said(orjson.loads(schema))
    return said


def _said(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _ANTHROPIC_KEYWORDS or _simple(name, value):
            kept[name] = value
        elif name == "oneOf":
            kept["anyOf"] = value
        elif name not in _NOTES and name != "additionalProperties":
            told[name] = value
    for place in ("properties", "$defs", "definitions"):
        if isinstance(kept.get(place), dict):
            kept[place] = {name: _said(one) for name, one in kept[place].items()}
    for place in ("anyOf", "allOf"):
        if isinstance(kept.get(place), list):
            kept[place] = [_said(one) for one in kept[place]]
    if "items" in kept:
        kept["items"] = _said(kept["items"])
    if kept.get("type") == "object" or "properties" in kept:
        kept["additionalProperties"] = False
    _describe(kept, told)
    return kept


def _simple(name: str, value: Any) -> bool:
    """Keywords that are known with some of their values only."""
    if name == "format":
        return value in _ANTHROPIC_FORMATS
    return name == "minItems" and value in (0, 1)
