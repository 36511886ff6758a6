"""Parquet: row groups one after the other, in batches whose decoded size is bounded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.datasets.readers.parquet_footer import DAMAGED, Footer, read_footer
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
_ROW_BYTES = 64  # what any row costs whoever keeps it, also one of a single number


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
            footer = read_footer(file, self.limits)
            if not footer.rows:
                raise ReadError("The file has columns but no rows.")
            groups = [list(scan_pages(file, footer, group, self.limits)) for group in footer.groups]
            try:
                yield from self._groups(file, footer, groups)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise ReadError(DAMAGED) from error

    def _groups(
        self, file: IO[bytes], footer: Footer, groups: list[list[ColumnPages]]
    ) -> Iterator[Row | BadRow]:
        opened = self._opened(file, footer, groups)
        number = 0
        for index, pages in enumerate(groups):
            rows = self._batch_rows(footer, footer.groups[index].rows, pages)
            for batch in opened.iter_batches(rows, row_groups=[index], use_threads=False):
                self._count(batch)
                for item in self._convert(batch, number):
                    number += 1
                    yield item
                self._done = min(1.0, number / footer.rows)

    def _opened(
        self, file: IO[bytes], footer: Footer, groups: list[list[ColumnPages]]
    ) -> pq.ParquetFile:
        """Texts that all stand in a dictionary stay there while a batch is decoded: a text of
        10 MB that a million rows refer to is then there once. (Of a column that only begins with
        a dictionary the decoder would collect all values of the row group in it.)"""
        shared = [
            leaf.path
            for place, leaf in enumerate(footer.leaves)
            if leaf.is_text
            and all(
                pages[place].dictionary_bytes and pages[place].only_dictionary for pages in groups
            )
        ]
        try:
            opened = pq.ParquetFile(
                file, read_dictionary=shared, pre_buffer=False, buffer_size=256 * 1024
            )
        except (LookupError, ValueError) as error:  # names that the two readings take differently
            raise ReadError(DAMAGED) from error
        schema = opened.schema_arrow
        check_names([name.strip() for name in schema.names], self.limits, None)
        self._columns = {name.strip(): None for name in schema.names}
        self._readers = {
            name.strip(): column_reader(schema.field(place).type, name)
            for place, name in enumerate(schema.names)
        }
        return opened

    def _batch_rows(self, footer: Footer, rows: int, pages: list[ColumnPages]) -> int:
        """So many rows that their pages' shares stay within the batch's bytes."""
        row_bytes = 1.0
        for leaf, column in zip(footer.leaves, pages, strict=True):
            per_value = column.value_bytes
            if leaf.is_text and not column.only_dictionary:
                # One value could be all of the dictionary, and each row could refer to it: not
                # likely, so that a batch may then be 16 times as large.
                per_value = max(per_value, column.dictionary_bytes / 16)
            if leaf.repeated:
                # How many values a row has is known only on average.
                per_value = max(per_value, 8.0) * 4 * max(1.0, column.values / max(1, rows))
            row_bytes += per_value
        return max(1, min(_BATCH_ROWS, int(self.limits.parquet_batch_bytes / row_bytes)))

    def _count(self, batch: pa.RecordBatch) -> None:
        self._decoded += _ROW_BYTES * batch.num_rows
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
