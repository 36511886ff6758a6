"""Lines to bytes: JSONL, CSV, Parquet. Values stay as they are, as far as the format can tell them."""

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.written import Written, as_json

type Line = dict[str, Any]

# A row group is held in memory until it is whole; readers of the file skip by them.
PARQUET_ROWS = 20_000
PARQUET_BYTES = 32 * 1024 * 1024
# What a spreadsheet would run as a formula.
_RISKY = ("=", "+", "-", "@", "\t", "\r")
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^ | $')
_INTEGERS = frozenset({"_row", "_template_version", "_attempts"})


def jsonl_file(chunks: Iterator[list[Line]]) -> Iterator[bytes]:
    for chunk in chunks:
        yield b"".join(as_json(line, orjson.OPT_APPEND_NEWLINE) for line in chunk)


# --- CSV ----------------------------------------------------------------------------------------
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


# --- Parquet ------------------------------------------------------------------------------------
def parquet_file(chunks: Iterator[list[Line]], names: Sequence[str]) -> Iterator[bytes]:
    """All columns are strings (JSON text for what is no text) but for the counts: a column's type
    must not depend on which rows are there yet."""
    schema = pa.schema([(name, pa.int64() if name in _INTEGERS else pa.string()) for name in names])
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        held: list[pa.RecordBatch] = []
        for chunk in chunks:
            held.append(_batch(chunk, schema))
            full = sum(b.num_rows for b in held) >= PARQUET_ROWS
            if full or sum(b.nbytes for b in held) >= PARQUET_BYTES:
                writer.write_table(pa.Table.from_batches(held, schema))
                held = []
                yield sink.take()
        if held:
            writer.write_table(pa.Table.from_batches(held, schema))
    yield sink.take()


def _batch(lines: Sequence[Line], schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for column in schema:
        values = [line[column.name] for line in lines]
        if column.name not in _INTEGERS:
            values = [v if v is None or isinstance(v, str) else _json(v) for v in values]
        arrays.append(pa.array(values, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _json(value: Any) -> str:
    return as_json(value).decode()


class _Sink(io.RawIOBase):
    """A file that is only written to, and emptied by whoever sends it on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data
