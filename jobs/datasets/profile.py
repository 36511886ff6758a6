"""What a dataset's columns look like, learned row by row.

Empty values and lengths are counted exactly. Types and examples come from a sample (the first
SAMPLE_FIRST rows, then every SAMPLE_EVERY-th), so a type is what the column looks like, not a
promise about each value.
"""

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any, TypedDict

from jobs.written import Written, as_json

SAMPLE_FIRST = 10_000
SAMPLE_EVERY = 50
EXAMPLES = 3
EXAMPLE_CHARS = 80

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})\Z", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class ColumnProfile(TypedDict):
    """`nulls` counts null, missing and empty texts; `fill_rate` is the rest's share, 0.0 to 1.0,
    cut (not rounded) after four decimals; `max_length` is in characters, of the JSON text for
    what is no text."""

    name: str
    type: str
    nulls: int
    fill_rate: float
    examples: list[str]
    max_length: int


class _Column:
    __slots__ = ("examples", "kinds", "longest", "nulls")

    def __init__(self, nulls: int) -> None:
        self.nulls = nulls
        self.longest = 0
        self.kinds: set[str] = set()
        self.examples: list[str] = []

    def sample(self, value: Any) -> None:
        self.kinds.add(kind_of(value))
        if len(self.examples) < EXAMPLES:
            text = value if isinstance(value, str) else as_json(value).decode()
            if len(text) > EXAMPLE_CHARS:
                text = text[: EXAMPLE_CHARS - 1] + "…"
            if text not in self.examples:
                self.examples.append(text)


class ColumnProfiler:
    """Feed it every row's values; memory does not grow with rows."""

    def __init__(self, columns: Iterable[str] = ()) -> None:
        self.rows = 0
        self._columns = {name: _Column(0) for name in columns}

    def add(self, values: dict[str, Any]) -> None:
        """`values` as the readers give them: JSON types, storable texts."""
        columns = self._columns
        self.rows += 1
        sampled = self.rows <= SAMPLE_FIRST or self.rows % SAMPLE_EVERY == 0
        seen = 0
        for name, value in values.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = _Column(self.rows - 1)
            seen += 1
            if value.__class__ is str:
                length = len(value)
            elif value is None:
                length = 0
            else:
                length = len(as_json(value))
            if not length:
                column.nulls += 1
                continue
            if length > column.longest:
                column.longest = length
            if sampled:
                column.sample(value)
        if seen != len(columns):
            for name in columns.keys() - values.keys():
                columns[name].nulls += 1

    def result(self) -> list[ColumnProfile]:
        """Columns in the order in which they were named or first seen."""
        return [
            {
                "name": name,
                "type": _type(column.kinds),
                "nulls": column.nulls,
                "fill_rate": (
                    (self.rows - column.nulls) * 10_000 // self.rows / 10_000 if self.rows else 0.0
                ),
                "examples": list(column.examples),
                "max_length": column.longest,
            }
            for name, column in self._columns.items()
        ]


def kind_of(value: Any) -> str:
    """What one value that is not empty looks like. `007` is a text: its zeros mean something."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, Written):
        value = value.text
    if not isinstance(value, str):
        return "json"
    first = value[0]
    if first in "-0123456789":
        if _INTEGER.match(value):
            return "integer"
        if _NUMBER.match(value):
            return "number"
        return _moment(value) if _DATE.match(value) else "text"
    return "boolean" if len(value) <= 5 and value.lower() in ("true", "false") else "text"


def _moment(value: str) -> str:
    if len(value) > 40:
        return "text"
    try:
        if len(value) == 10:
            dt.date.fromisoformat(value)
            return "date"
        dt.datetime.fromisoformat(value)
    except ValueError:
        return "text"
    return "datetime"


def _type(kinds: set[str]) -> str:
    if not kinds:
        return "empty"
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"integer", "number"}:
        return "number"
    if kinds == {"date", "datetime"}:
        return "datetime"
    return "json" if "json" in kinds else "text"
