"""JSON bodies: the right content type, well-formed, not too deep, and nothing that a database refuses.

What is raised here reaches `problems` wrapped by ninja, as the cause of its own error.
"""

from typing import Any, NoReturn

import orjson
from django.http import HttpRequest
from ninja.parser import Parser

from jobs.errors import FieldError, Invalid

MAX_DEPTH = 100  # what templates and rows may have, too


class UnsupportedType(Exception):
    """The body is of another media type than the operation takes (415)."""

    def __init__(self, wanted: str, given: str) -> None:
        super().__init__(f"Send {wanted}, not {given or 'a body without a type'}")


class Malformed(Exception):
    """The body is not what its media type says (400)."""


def refuse_type(request: HttpRequest, wanted: str) -> NoReturn:
    raise UnsupportedType(wanted, request.content_type or "")


class JsonParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        kind = request.content_type or ""
        # No type at all is taken for JSON; the types that forms send are not.
        if kind and kind != "application/json" and not kind.endswith("+json"):
            refuse_type(request, "application/json")
        body = request.body
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed(
                f"Not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            ) from error
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
            raise Malformed(f"Nested deeper than {MAX_DEPTH} levels")
        if b"\\u0000" in body:
            found = _nul(value, ())
            if found is not None:
                raise Invalid([FieldError(found, "Must not contain the NUL character")])
        return value


def _depth(value: Any) -> int:
    level, deepest = [value], 0
    while level:
        deepest += 1
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, dict | list)
        ]
    return deepest


def _nul(value: Any, at: tuple[str | int, ...]) -> tuple[str | int, ...] | None:
    """Where a NUL stands, which PostgreSQL stores in no text; None if nowhere."""
    if isinstance(value, str):
        return at if "\0" in value else None
    if isinstance(value, dict):
        for name, item in value.items():
            if "\0" in name:
                return at
            if (found := _nul(item, (*at, name))) is not None:
                return found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if (found := _nul(item, (*at, index))) is not None:
                return found
    return None
