"""One JSON object to a row's values.

Types stay as they are, nested values too. Beyond what JSON readers agree on: an integer that does
not fit 64 bits is kept as the text of its digits; a fraction is a 64-bit floating-point number;
of a repeated key the last value counts; NUL and lone surrogates in texts become U+FFFD.
"""

import json
import re
from typing import Any

import orjson

from jobs.datasets.readers.rows import Limits, RowFaultError, size
from jobs.datasets.readers.serialise import storable

_LONG_DIGITS = re.compile(rb"[0-9]{19}")
_MAX_DIGITS = 20


def parse_row(raw: bytes, limits: Limits) -> tuple[dict[str, Any], bool]:
    """The values of one row, and whether something in it was replaced by U+FFFD.

    Raises RowFaultError for broken JSON, other values than objects, and anything beyond the limits.
    """
    marked = b"\\u0000" in raw
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        # Two things that it refuses are no faults: half a surrogate pair, and integers beyond
        # what a floating-point number holds.
        lone = "surrogate" in error.msg and "valid UTF-8" not in error.msg
        if not lone and "infinity" not in error.msg:
            raise RowFaultError(_words(raw, error)) from error
        value, marked = _parse_slowly(raw), marked or lone
    else:
        if _LONG_DIGITS.search(raw):
            value = _parse_slowly(raw)
    if not isinstance(value, dict):
        raise RowFaultError(
            f"It is {_kind(value)}, not an object. Each row has to be an object such as "
            '{"column": "value"}.'
        )
    if raw.count(b"[") + raw.count(b"{") > limits.json_depth and _depth(value) > limits.json_depth:
        raise RowFaultError(f"It is nested deeper than {limits.json_depth} levels.")
    if marked:
        try:
            value = storable(value)
        except ValueError as error:
            raise RowFaultError(f"It cannot be stored: {error}.") from error
    if "" in value:
        raise RowFaultError("It has a value without a name (an empty key).")
    if len(raw) > limits.cell_bytes:
        for name, item in value.items():
            if len(orjson.dumps(item)) > limits.cell_bytes:
                raise RowFaultError(
                    f"The value of “{name}” is larger than {size(limits.cell_bytes)}."
                )
    return value, marked


def _parse_slowly(raw: bytes) -> Any:
    """By Python's own parser, which tells integers apart and lets lone surrogates through."""
    try:
        return json.loads(
            raw, parse_int=_integer, parse_float=_fraction, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise RowFaultError("It is nested too deeply.") from error
    except ValueError as error:
        raise RowFaultError(f"It is not valid JSON: {error}.") from error


def _integer(digits: str) -> int | str:
    if len(digits) > _MAX_DIGITS + 1:
        return digits
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else digits


def _fraction(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise RowFaultError(f"The number {digits[:30]} is too large. Write it as text, in quotes.")
    return value


def _no_constant(name: str) -> Any:
    raise RowFaultError(f"{name} is not JSON. Write null, or the text in quotes.")


def _words(raw: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as damage:
        return (
            f"Byte {damage.start + 1:,} is 0x{raw[damage.start]:02X}, which is not UTF-8. "
            "Correct it, or choose the file's encoding."
        )
    near = text[error.pos : error.pos + 10]
    for name in ("NaN", "Infinity", "-Infinity"):
        if near.startswith(name) or (near == name[1:] and name.startswith("-")):
            return f"{name} is not JSON. Write null, or the text in quotes."
    if "depth" in error.msg:
        return "It is nested too deeply."
    if near.startswith("'") or (text[:1] == "{" and near[:1] not in ('"', "}") and error.pos == 1):
        return "It is not valid JSON: names and texts stand in double quotes."
    return f"It is not valid JSON: {error.msg} at character {error.pos + 1:,}."


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "a text"
    if value is None:
        return "null"
    return "true or false" if isinstance(value, bool) else "a number"


def _depth(value: Any) -> int:
    """Levels of nesting, counted without recursion."""
    level, deepest = [value], 0
    while level:
        deepest += 1
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, (dict, list))
        ]
    return deepest
