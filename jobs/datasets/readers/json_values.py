"""One JSON object to a row's values.

Types stay as they are, nested values too, and numbers as they were written (`jobs.written`). Beyond what
JSON readers agree on: a number too large for any of them (`1e400`) is kept as a text, as it was written;
a name that stands twice in one object is a fault; NUL and lone surrogates in texts become U+FFFD.
"""

import json
import re
from typing import Any

import orjson

from jobs.datasets.readers.rows import Limits, RowFaultError, size
from jobs.datasets.readers.serialise import storable, visible
from jobs.written import TooLargeError, Written, as_json, written

# What may be, or may end, a number that the fast parser would write in another way: a fraction that ends
# in 0 or begins with many, an exponent, more digits than are certain to survive, -0. Also met in texts,
# so it only says where to look closely.
_SUSPECT = re.compile(
    rb"\.(?:[0-9]+0\s*[,\]}]|00000)|[0-9](?:[eE][-+]?[0-9]+\s*[,\]}]|[0-9.]{16})|-0\s*[,\]}]"
)
_NUMBER = re.compile(rb"(?<=[:,\[\s])-?[0-9][0-9.eE+-]*(?=\s*[,\]}])")
_MINUS_ZERO = re.compile(rb"-0\s*[,\]}]")
_FRACTION = re.compile(rb'": ?(-?[0-9]+[.eE][0-9.eE+-]*)')
_NESTED = (dict, list)
_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')


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
        if isinstance(value, dict):
            if _is_flat(value):
                plain = _is_plain_row(raw, value)
            else:
                plain = _bare(raw.rstrip()) == _bare(orjson.dumps(value))
            if not plain and (_is_changed(raw) or _may_repeat(raw, value)):
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
            if len(as_json(item)) > limits.cell_bytes:
                raise RowFaultError(
                    f"The value of “{name}” is larger than {size(limits.cell_bytes)}."
                )
    return value, marked


def _is_flat(values: dict[str, Any]) -> bool:
    return set(map(type, values.values())).isdisjoint(_NESTED)


def _is_plain_row(raw: bytes, values: dict[str, Any]) -> bool:
    """Whether the fast parser certainly changed nothing, at the least cost where that is so."""
    if raw.count(b'":') != len(values) or _SPACED_COLON.search(raw):
        return False
    if b"-0" in raw and _MINUS_ZERO.search(raw):
        return False
    fractions = [value for value in values.values() if value.__class__ is float]
    return not fractions or (b"[%b]" % b",".join(_FRACTION.findall(raw)) == orjson.dumps(fractions))


def _bare(text: bytes) -> bytes:
    """Without the spaces that writers put between values (and those of texts: of both alike)."""
    return text.replace(b": ", b":").replace(b", ", b",")


def _is_changed(raw: bytes) -> bool:
    """Whether the fast parser changes a number. May say so of one inside a text, too."""
    if not _SUSPECT.search(raw):
        return False
    try:
        return any(isinstance(written(found.decode()), Written) for found in _NUMBER.findall(raw))
    except TooLargeError:
        return True


def _may_repeat(raw: bytes, values: dict[str, Any]) -> bool:
    """Whether a name may stand twice in an object: more quotes come before colons than when the values
    are written again. What spaces or escapes could hide is looked at closely, too."""
    if _SPACED_COLON.search(raw) or b"\\u002" in raw or b"\\u003" in raw:
        return True
    return raw.count(b'":') != orjson.dumps(values).count(b'":')


def _parse_slowly(raw: bytes) -> Any:
    """By Python's own parser, which shows how numbers are written and each name of an object, and lets
    lone surrogates through."""
    try:
        return json.loads(
            raw,
            parse_int=_written,
            parse_float=_written,
            parse_constant=_no_constant,
            object_pairs_hook=_named_once,
        )
    except RecursionError as error:
        raise RowFaultError("It is nested too deeply.") from error
    except ValueError as error:
        raise RowFaultError(f"It is not valid JSON: {error}.") from error


def _written(text: str) -> int | float | Written | str:
    try:
        return written(text)
    except TooLargeError:
        return text


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise RowFaultError(
            f"The name “{visible(twice[:60])}” stands twice in one object. Rename or remove one."
        )
    return values


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
