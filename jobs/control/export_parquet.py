"""Lines to a Parquet file. Apart from the other formats, because what it needs is 40 MB of memory."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.control.export_formats import Line
from jobs.written import as_json

# A row group is held in memory until it is whole; readers of the file skip by them.
PARQUET_ROWS = 20_000
PARQUET_BYTES = 32 * 1024 * 1024
_INTEGERS = frozenset({"_row", "_template_version", "_attempts"})


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
