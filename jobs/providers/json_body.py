"""Reading and writing JSON bodies: bounded, tolerant, and never with an exception.

A provider, a proxy or an attacker may have written the bytes. What a strict parser refuses although
the answer in it can be saved (an unpaired surrogate, a NaN in a field nobody reads, a raw control
character) is read by a second, slower parser, because the answer is paid for.
"""

import json
import math
import re
from typing import Any

import orjson

_BOM = b"\xef\xbb\xbf"
# An integer longer than this is no count of anything; Python would also take quadratic time for it.
_MAX_DIGITS = 18
# In JSON text: a backslash and what it escapes. Pairs of surrogates are matched whole, so that what
# is left of the surrogates stands alone.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def read_json(body: bytes) -> Any:
    """The value of a JSON body, or None where it is none (or `null`).

    Bytes that are no UTF-8 and unpaired surrogates become U+FFFD, a visible mark. NaN, Infinity and
    numbers beyond a double come out as floats that are not finite; of a repeated key the last one
    counts. Not guaranteed: integers beyond 64 bits lose digits.
    """
    text = body.removeprefix(_BOM)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _read_leniently(text)


def _read_leniently(body: bytes) -> Any:
    text = _ESCAPE.sub(_without_lone, body.decode("utf-8", "replace"))
    try:
        return json.loads(text, parse_int=_integer, strict=False)
    except (ValueError, RecursionError):  # cut off, no JSON at all, or nested without measure
        return None


def _without_lone(found: re.Match[str]) -> str:
    return "\ufffd" if found["lone"] else found[0]


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def write_json(value: Any) -> bytes:
    """JSON in UTF-8. Unpaired surrogates, which cannot be sent, become U+FFFD."""
    try:
        return orjson.dumps(value)
    except TypeError:  # also for integers beyond 64 bits
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return whole_text(text).encode()


def text_of(value: Any) -> str:
    """What a tool was called with, as text: some servers send the object instead of its text."""
    if isinstance(value, str):
        return value
    try:
        return write_json(value).decode()
    except RecursionError:  # the writer's bound on nesting may be below the reader's
        return ""


def whole_text(text: str) -> str:
    """The text with each unpaired surrogate replaced by U+FFFD; pairs become their character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
