"""What holding an answer against a schema can take, found from the schema alone.

`allOf`, `anyOf`, `$ref` and the like look at the same value again. A few definitions that each refer
twice to the next make a million looks of one; such a schema is refused where it is written.
"""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_LOOKS = 5_000
_MAX_CHAIN = 100  # references that lead to references

# Keywords under which there are schemas: one, a list of them, or names with one each. The first
# three kinds look at the same value, the others at a part of it.
_SAME = ("not", "if", "then", "else")
_SAME_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_MAPS = ("dependentSchemas",)
_PARTS = (
    "items", "contains", "additionalProperties", "additionalItems", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_PART_LISTS = ("prefixItems", "items")
_PART_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependencies")
_REFUSED = ("$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor", "$id")

Schema = Mapping[str, Any]


def check_references(schema: Schema) -> str:
    """Why the schema's references cannot be used; blank when they can."""
    looks: dict[int, int] = {}
    for place in _everywhere(schema):
        for word in _REFUSED:
            if isinstance(place.get(word), str) and place is not schema:
                return f'“{word}” is not offered; refer by {{"$ref": "#/$defs/name"}}'
        if "$ref" in place and not _is_pointer(place["$ref"]):
            return f"“$ref” to {place['$ref']}: schemas may only refer to themselves (#/$defs/name)"
    for place in _everywhere(schema):
        if _looks(schema, place, looks) > MAX_LOOKS:
            return (
                f"Checking one value against this schema can take more than {MAX_LOOKS:,} steps: "
                "definitions that refer to one another multiply. Simplify it."
            )
    return ""


def _is_pointer(reference: Any) -> bool:
    return isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))


def _everywhere(schema: Schema) -> Iterator[Schema]:
    """The schema and all below it; definitions too, used or not."""
    left: list[Any] = [schema]
    while left:
        place = left.pop()
        if isinstance(place, Mapping):
            yield place
            left += [below for below in _below(place, _SAME + _PARTS) if below is not None]
            for word in _SAME_LISTS + _PART_LISTS:
                if isinstance(place.get(word), list):
                    left += place[word]
            for word in _SAME_MAPS + _PART_MAPS:
                if isinstance(place.get(word), Mapping):
                    left += place[word].values()


def _below(place: Schema, words: tuple[str, ...]) -> list[Any]:
    return [place[word] for word in words if isinstance(place.get(word), Mapping)]


def _looks(schema: Schema, place: Schema, known: dict[int, int], chain: int = 0) -> int:
    """How often one value is looked at from this place; a circle counts once (it ends at once)."""
    if chain > _MAX_CHAIN:
        return MAX_LOOKS + 1
    if id(place) in known:
        return known[id(place)]
    known[id(place)] = 0
    same = _below(place, _SAME)
    for word in _SAME_LISTS:
        if isinstance(place.get(word), list):
            same += place[word]
    for word in _SAME_MAPS:
        if isinstance(place.get(word), Mapping):
            same += place[word].values()
    if _is_pointer(place.get("$ref")):
        same.append(_target(schema, place["$ref"]))
    total = 1 + sum(
        _looks(schema, one, known, chain + 1) for one in same if isinstance(one, Mapping)
    )
    known[id(place)] = total
    return total


def _target(schema: Schema, reference: str) -> Any:
    """What a pointer points to; None where there is nothing, which the validator will tell."""
    found: Any = schema
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(name)] if name.isdecimal() and int(name) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    return found
