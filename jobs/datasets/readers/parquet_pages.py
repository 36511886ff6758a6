"""The pages that a Parquet file really has, read from their own headers.

The footer's sizes are only words: a file of 6 KB whose footer says 1 MB can inflate to 2 GB. What
the decoder allocates follows each page's header, so those are read (Thrift's compact protocol)
before the decoder sees the file, without inflating anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from jobs.datasets.readers.rows import Limits, ReadError, size

_HEADER_BYTES = 8 * 1024
_LARGEST_HEADER = 16 * 1024 * 1024  # statistics of long texts are kept in it
_DICTIONARY_PAGE = 2
_DELTA_BYTE_ARRAY = 7
_DAMAGED = "The Parquet file is damaged or encrypted. Write it again without encryption."


@dataclass
class ColumnPages:
    """One column in one row group."""

    dictionary: bool = False
    bytes: int = 0  # inflated
    values: int = 0
    # The most that a single value can take when the values of a page share its bytes evenly.
    value_bytes: float = 0.0


class _CutError(Exception):
    """The header goes on behind the bytes at hand."""


def scan_pages(file: IO[bytes], group: Any, limits: Limits) -> Iterator[ColumnPages]:
    """For each column of a row group (pyarrow's metadata of it). Raises ReadError for pages
    larger than the limits and for what is no page."""
    pages = 0
    for index in range(group.num_columns):
        column = group.column(index)
        found = ColumnPages()
        place = column.data_page_offset
        if column.has_dictionary_page and 0 < (column.dictionary_page_offset or 0) < place:
            place = column.dictionary_page_offset
        end = place + column.total_compressed_size
        while place < end and found.values < column.num_values:
            pages += 1
            if pages > limits.parquet_pages:
                raise ReadError(
                    f"The Parquet file has more than {limits.parquet_pages:,} pages in a row "
                    "group. Write it again with larger pages."
                )
            place = _page(file, place, found, limits, column.path_in_schema)
        yield found


def _page(file: IO[bytes], place: int, found: ColumnPages, limits: Limits, name: str) -> int:
    """Adds one page to `found`; the place of the next one."""
    header, length = _header(file, place)
    kind, inflated, packed = header.get(1), header.get(2), header.get(3)
    if not (isinstance(inflated, int) and isinstance(packed, int) and isinstance(kind, int)):
        raise ReadError(_DAMAGED)
    if packed < 0 or inflated < 0:
        raise ReadError(_DAMAGED)
    if inflated > limits.parquet_page_bytes:
        raise ReadError(
            f"A page of column “{name}” unpacks to {size(inflated)}; at most "
            f"{size(limits.parquet_page_bytes)} are possible. Write the file with smaller pages.",
            column=name,
        )
    detail = header.get(5) or header.get(8) or header.get(7) or {}
    values, encoding = detail.get(1, 0), detail.get(4 if 8 in header else 2, 0)
    if not 0 <= values <= limits.parquet_page_values:
        raise ReadError(
            f"A page of column “{name}” holds {values:,} values; at most "
            f"{limits.parquet_page_values:,} are possible. Write the file with smaller pages.",
            column=name,
        )
    found.bytes += inflated
    if kind == _DICTIONARY_PAGE:
        found.dictionary = True
    elif values:
        found.values += values
        # In this encoding a value can repeat all of the value before it, at no cost.
        share = inflated if encoding == _DELTA_BYTE_ARRAY else inflated / values
        found.value_bytes = max(found.value_bytes, share)
    return place + length + packed


def _header(file: IO[bytes], place: int) -> tuple[dict[int, Any], int]:
    wanted = _HEADER_BYTES
    while True:
        file.seek(place)
        data = file.read(wanted)
        try:
            return _struct(data, 0, 0)
        except _CutError as error:
            if len(data) < wanted or wanted >= _LARGEST_HEADER:
                raise ReadError(_DAMAGED) from error
            wanted *= 16


def _struct(data: bytes, place: int, depth: int) -> tuple[dict[int, Any], int]:
    """Fields by number, and the place behind them. Of lists nothing is kept: no page has any."""
    if depth > 8:
        raise ReadError(_DAMAGED)
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head = _byte(data, place)
        place += 1
        if not head:
            return fields, place
        if head >> 4:
            number += head >> 4
        else:
            number, place = _zigzag(data, place)
        kind = head & 15
        if kind in (1, 2):
            fields[number] = kind == 1
        elif kind == 3:
            fields[number] = _byte(data, place)
            place += 1
        elif kind in (4, 5, 6):
            fields[number], place = _zigzag(data, place)
        elif kind == 7:
            place += 8
        elif kind == 8:
            length, place = _varint(data, place)
            place += length
        elif kind == 12:
            fields[number], place = _struct(data, place, depth + 1)
        else:
            raise ReadError(_DAMAGED)


def _byte(data: bytes, place: int) -> int:
    if place >= len(data):
        raise _CutError
    return data[place]


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = _byte(data, place)
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ReadError(_DAMAGED)


def _zigzag(data: bytes, place: int) -> tuple[int, int]:
    value, place = _varint(data, place)
    return (value >> 1) ^ -(value & 1), place
