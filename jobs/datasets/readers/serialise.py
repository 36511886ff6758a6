"""Row values to JSON text that PostgreSQL takes as `text` and as `jsonb`.

Three things cannot be stored as they are:
- NUL, which PostgreSQL refuses in any text, and lone surrogates, which are not characters, become
  U+FFFD (�), so that the place stays visible;
- integers beyond 64 bits are kept by their digits (`jobs.written`);
- NaN and infinities become null. (The readers never give them: see each reader.)
"""

import re
from typing import Any

from jobs.written import Written, write_row

MARK = "\ufffd"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)


def row_json(values: dict[str, Any]) -> str:
    """Compact JSON text of a row, for `jobs.written.read_row` to read. Raises ValueError for types
    that JSON does not have, for nesting beyond 254 levels, and when two keys become the same by what
    is replaced in them."""
    try:
        text = write_row(values)
    except TypeError:
        return _dump(storable(values))
    # Also true for the harmless text backslash-u0000, which the second look leaves alone.
    return _dump(storable(values)) if "\\u0000" in text else text


def _dump(values: Any) -> str:
    try:
        return write_row(values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def storable(value: Any) -> Any:
    """The same value with everything that cannot be stored replaced, at any depth."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        kept = {visible(key): storable(item) for key, item in value.items()}
        if len(kept) != len(value):
            raise ValueError("two keys differ only in characters that cannot be stored")
        return kept
    if isinstance(value, list):
        return [storable(item) for item in value]
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and not (_MIN_INTEGER <= value <= _MAX_INTEGER)
    ):
        return Written(str(value))
    return value


def visible(text: str) -> str:
    """`text` with NUL and lone surrogates replaced by U+FFFD."""
    return _UNSTORABLE.sub(MARK, text)
