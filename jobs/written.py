"""Rows as JSON text and back, with every number as it was written.

A fast JSON parser reads `1e5` as 100000.0, `2.50` as 2.5, and loses digits of integers beyond 64 bits.
A number that it would not write again as it stood is kept as `Written`, in memory, and stands in the
stored text as it was. Such a text begins with a space, which is JSON too and costs nothing to look for:
all others are read by the fast parser alone.
"""

import json
from typing import Any

import orjson

_MARK = " "
# More digits than any number that one calculates with; templates compare those as fractions.
_MAX_DIGITS = 38


class Written:
    """A JSON number by its text. Neither a float, for what takes it for one would write it anew, nor a
    dataclass, which orjson writes as an object."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def number(self) -> int | float:
        """What to calculate with."""
        if len(self.text) > _MAX_DIGITS or not self.text.lstrip("-").isdecimal():
            return float(self.text)
        return int(self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Written({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __bool__(self) -> bool:
        return self.number != 0


class TooLargeError(ValueError):
    """A number beyond what JSON readers can hold, by its text."""


def written(text: str) -> int | float | Written:
    """The number, where writing it again gives the same text, else its text. Raises TooLargeError."""
    try:
        value: int | float = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise TooLargeError(text) from None
    return value if orjson.dumps(value) == text.encode() else Written(text)


def as_json(value: Any, option: int | None = None) -> bytes:
    """Compact JSON. Raises TypeError (in orjson's words) for what JSON does not have."""
    try:
        return orjson.dumps(value, default=_fragment, option=option)
    except TypeError:
        return orjson.dumps(_with_digits(value), default=_fragment, option=option)


def _with_digits(value: Any) -> Any:
    """With integers that orjson refuses by their digits. (No row has them, but answers may.)"""
    if value.__class__ is int and not -(2**63) <= value < 2**64:
        return Written(str(value))
    if value.__class__ is dict:
        return {name: _with_digits(item) for name, item in value.items()}
    return [_with_digits(item) for item in value] if value.__class__ is list else value


def _fragment(value: Any) -> orjson.Fragment:
    if isinstance(value, Written):
        return orjson.Fragment(value.text)
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


def write_row(values: dict[str, Any]) -> str:
    """What is stored of a row; `read_row` reads it. Raises TypeError."""
    try:
        return orjson.dumps(values).decode()
    except TypeError:
        return _MARK + as_json(values).decode()


def read_row(text: str) -> dict[str, Any]:
    """The row of a stored text."""
    values: dict[str, Any] = read(text) if text.startswith(_MARK) else orjson.loads(text)
    return values


def read(text: str | bytes) -> Any:
    """Any JSON. Raises ValueError."""
    try:
        return json.loads(text, parse_int=written, parse_float=written, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
