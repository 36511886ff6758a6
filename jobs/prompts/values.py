"""A row's values inside a prompt: maps and lists without a way into Python, and how they are written.

The renderer looks a name up as an item and then as an attribute, so a plain dict would answer
`{{ row.items }}` with its method where the row has no such column. And it would write a number anew, so
that one whose text would change goes in by its text; where a template compares it, as a number.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from jobs.prompts.faults import RenderFault
from jobs.written import Written, as_json

AS_NUMBER = "as_number"  # a filter that `language` puts in; nobody writes it
MAX_RENDERED_CHARS = 4_000_000  # beyond the context of any model


class _Map(dict[str, Any]):
    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise AttributeError(name)


class _List(list[Any]):
    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise AttributeError(name)


def closed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its maps and lists closed, at any depth."""
    return _Map((name, _closed(value)) for name, value in values.items())


def _closed(value: Any) -> Any:
    if value.__class__ is dict:
        return closed(value)
    if value.__class__ is float and value.is_integer():
        return Written(_json(value))  # the renderer would make 1 of 1.0
    return _List(map(_closed, value)) if value.__class__ is list else value


def as_text(value: Any) -> str:
    """What stands in a prompt for a value: text as it is, nothing for null, else JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if value.__class__ is int or isinstance(value, Written):
        return str(value)
    return _json(value)


def _json(value: Any, indent: Any = None) -> str:
    try:
        return as_json(value, orjson.OPT_INDENT_2 if indent else None).decode()
    except TypeError as error:
        raise RenderFault("The template shows something that is no value of the row") from error


def _joined(value: Any, separator: Any = "") -> str:
    if not isinstance(value, str | list | dict):
        raise RenderFault("The filter “join” takes a list")
    parts = [as_text(item) for item in value]
    between = as_text(separator)
    bounded(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _as_json(value: Any, indent: Any = None) -> str:
    written = _json(value, indent)
    bounded(len(written))  # filters can be chained, and each may write twice what it was given
    return written


def _as_number(value: Any) -> Any:
    """What is compared, rounded or searched: numbers in place of how they are written."""
    if value.__class__ is _List and any(item.__class__ is Written for item in value):
        return _List(map(_as_number, value))
    return value.number if isinstance(value, Written) else value


def bounded(size: int) -> None:
    """Raises RenderFault where a text is longer than any prompt."""
    if size > MAX_RENDERED_CHARS:
        raise RenderFault(
            f"The rendered prompt has {size:,} characters; at most {MAX_RENDERED_CHARS:,} "
            "are allowed"
        )


# In place of the renderer's own, which write nested values the way Python does, escape JSON for web
# pages, and know no bound for an indent.
FILTERS: dict[str, Callable[..., Any]] = {
    "join": _joined,
    "string": as_text,
    "tojson": _as_json,
    AS_NUMBER: _as_number,
}
TESTS: dict[str, Callable[[Any], bool]] = {
    "number": lambda value: (
        isinstance(value, int | float | Written) and value.__class__ is not bool
    ),
    "mapping": lambda value: isinstance(value, dict),
    "sequence": lambda value: isinstance(value, list),
}
