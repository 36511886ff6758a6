"""Parquet: row groups one after the other, in batches whose decoded size is bounded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.datasets.readers.parquet_pages import ColumnPages, scan_pages
from jobs.datasets.readers.parquet_values import column_reader, decoded_size
from jobs.datasets.readers.rows import (
    BadRow,
    Reader,
    ReadError,
    Row,
    RowFaultError,
    bounded,
    check_names,
    size,
)

_BATCH_ROWS = 4096
_DAMAGED = "The Parquet file is damaged or was cut off. Write it again, and upload it."
_ENCRYPTED = "The Parquet file is encrypted. Write it again without encryption."


@dataclass
class ParquetReader(Reader):
    _done: float = 0.0
    _decoded: int = 0
    _readers: dict[str, Callable[[pa.Array], list[Any]]] = field(default_factory=dict)

    @property
    def bytes_read(self) -> int:
        """By the share of rows done: columns lie one behind the other in the file."""
        return int(self.bytes_total * self._done)

    def _rows(self) -> Iterator[Row | BadRow]:
        with self.path.open("rb") as file:
            self._check_footer(file)
            try:
                yield from self._groups(file)
            except (pa.ArrowException, OSError, pa.ArrowInvalid) as error:
                told = _ENCRYPTED if "crypt" in str(error) else _DAMAGED
                raise ReadError(told) from error

    def _check_footer(self, file: IO[bytes]) -> None:
        file.seek(-8, 2)
        tail = file.read(8)
        if tail[4:] == b"PARE":
            raise ReadError(_ENCRYPTED)
        if tail[4:] != b"PAR1":
            raise ReadError(_DAMAGED)
        if int.from_bytes(tail[:4], "little") > self.limits.parquet_footer_bytes:
            raise ReadError("The Parquet file's description of itself is too large to read.")
        file.seek(0)

    def _groups(self, file: IO[bytes]) -> Iterator[Row | BadRow]:
        metadata = pq.ParquetFile(file).metadata
        total = metadata.num_rows
        if not total:
            raise ReadError("The file has columns but no rows.")
        groups = [
            list(scan_pages(file, metadata.row_group(index), self.limits))
            for index in range(metadata.num_row_groups)
        ]
        opened = self._opened(file, metadata, groups)
        number = 0
        for index, pages in enumerate(groups):
            rows = self._batch_rows(metadata, index, pages)
            for batch in opened.iter_batches(rows, row_groups=[index], use_threads=False):
                self._count(batch)
                for item in self._convert(batch, number):
                    number += 1
                    yield item
                self._done = min(1.0, number / total)

    def _opened(
        self, file: IO[bytes], metadata: pq.FileMetaData, groups: list[list[ColumnPages]]
    ) -> pq.ParquetFile:
        """Texts that have a dictionary stay in it while a batch is decoded: a text of 10 MB that a
        million rows refer to is then there once."""
        shared = [
            metadata.schema.column(place).path
            for place in range(metadata.num_columns)
            if metadata.schema.column(place).physical_type == "BYTE_ARRAY"
            and any(pages[place].dictionary for pages in groups)
        ]
        opened = pq.ParquetFile(
            file, read_dictionary=shared, pre_buffer=False, buffer_size=256 * 1024
        )
        schema = opened.schema_arrow
        check_names([name.strip() for name in schema.names], self.limits, None)
        self._columns = {name.strip(): None for name in schema.names}
        self._readers = {
            name.strip(): column_reader(schema.field(place).type, name)
            for place, name in enumerate(schema.names)
        }
        return opened

    def _batch_rows(self, metadata: pq.FileMetaData, index: int, pages: list[ColumnPages]) -> int:
        """So many rows that their pages' shares stay within the batch's bytes."""
        rows = max(1, metadata.row_group(index).num_rows)
        row_bytes = 1.0
        for place, column in enumerate(pages):
            per_row = column.value_bytes
            if metadata.schema.column(place).max_repetition_level:
                # Lists: how many values a row has is known only on average.
                per_row = max(per_row, 4 * max(column.bytes, 8 * column.values) / rows)
            row_bytes += per_row
        return max(1, min(_BATCH_ROWS, int(self.limits.parquet_batch_bytes / row_bytes)))

    def _count(self, batch: pa.RecordBatch) -> None:
        self._decoded += sum(decoded_size(column) for column in batch.columns)
        most = min(
            self.limits.decoded_bytes,
            max(self.limits.decoded_free_bytes, self.bytes_total * self.limits.decoded_ratio),
        )
        if self._decoded > most:
            raise ReadError(
                f"The Parquet file has {size(self.bytes_total)} but unpacks to more than "
                f"{size(most)}. Split it, or leave out columns."
            )

    def _convert(self, batch: pa.RecordBatch, done: int) -> Iterator[Row | BadRow]:
        """Rows of a batch; halved until it fits, or until the one bad row is found."""
        total = sum(decoded_size(column) for column in batch.columns)
        if total <= self.limits.cell_bytes or batch.num_rows == 1:
            try:
                if total > self.limits.cell_bytes:
                    self._check_row(batch, total)
                columns = [
                    read(column)
                    for read, column in zip(self._readers.values(), batch.columns, strict=True)
                ]
            except (RowFaultError, UnicodeDecodeError, pa.ArrowInvalid) as error:
                if batch.num_rows == 1:
                    yield BadRow(done + 1, self._words(batch, error), bounded(str(batch.schema)))
                    return
            else:
                names = list(self._readers)
                for number, values in enumerate(zip(*columns, strict=True), done + 1):
                    yield Row(number, dict(zip(names, values, strict=True)))
                return
        half = batch.num_rows // 2
        yield from self._convert(batch.slice(0, half), done)
        yield from self._convert(batch.slice(half), done + half)

    def _check_row(self, batch: pa.RecordBatch, total: int) -> None:
        for name, column in zip(self._readers, batch.columns, strict=True):
            if decoded_size(column) > self.limits.cell_bytes + 64:
                raise RowFaultError(
                    f"The value of “{name}” is larger than {size(self.limits.cell_bytes)}."
                )
        if total > self.limits.row_bytes:
            raise RowFaultError(f"The row is larger than {size(self.limits.row_bytes)}.")

    def _words(self, batch: pa.RecordBatch, error: Exception) -> str:
        if isinstance(error, RowFaultError):
            return str(error)
        for (name, read), column in zip(self._readers.items(), batch.columns, strict=True):
            try:
                read(column)
            except (RowFaultError, UnicodeDecodeError, pa.ArrowInvalid):
                return (
                    f"The value of “{name}” is binary or not UTF-8. Convert the column to text, "
                    "or leave it out."
                )
        return "The row cannot be read."
