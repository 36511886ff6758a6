"""Lines to bytes: JSONL and CSV. Values stay as they are, as far as the format can tell them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from jobs.written import Written, as_json

type Line = dict[str, Any]

# What a spreadsheet would run as a formula.
_RISKY = ("=", "+", "-", "@", "\t", "\r")
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^ | $')


def jsonl_file(chunks: Iterator[list[Line]]) -> Iterator[bytes]:
    for chunk in chunks:
        yield b"".join(as_json(line, orjson.OPT_APPEND_NEWLINE) for line in chunk)


def csv_file(chunks: Iterator[list[Line]], names: Sequence[str], *, mark: bool) -> Iterator[bytes]:
    """RFC 4180. A missing value is nothing, an empty text a pair of quotes (which the standard
    library's writer cannot tell apart)."""
    header = ",".join(_quoted(_harmless(name)) for name in names) + "\r\n"
    yield (b"\xef\xbb\xbf" if mark else b"") + header.encode()
    for chunk in chunks:
        yield "".join(
            ",".join([_cell(value) for value in line.values()]) + "\r\n" for line in chunk
        ).encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(_harmless(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    text = as_json(value).decode()
    return text if isinstance(value, int | float | Written) else _quoted(text)


def _harmless(text: str) -> str:
    """A cell that a spreadsheet would run as a formula gets a quote in front, as OWASP advises."""
    return f"'{text}" if text.startswith(_RISKY) else text


def _quoted(text: str) -> str:
    if not text or _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
