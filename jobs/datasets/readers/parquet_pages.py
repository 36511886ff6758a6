"""The pages that a Parquet file really has, read from their own headers.

The footer's sizes are only words: a file of 6 KB whose footer says 1 MB can inflate to 2 GB. What
the decoder allocates follows each page's header, so those are read before the decoder sees the
file, without inflating anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from jobs.datasets.readers.parquet_footer import DAMAGED, Footer, Group
from jobs.datasets.readers.rows import Limits, ReadError, size
from jobs.datasets.readers.thrift import Compact, CutError, MalformedError

_HEADER_BYTES = 8 * 1024
_LARGEST_HEADER = 16 * 1024 * 1024  # statistics of long texts are kept in it
_DICTIONARY_PAGE = 2
_DELTA_BYTE_ARRAY = 7
_DICTIONARY_ENCODINGS = (2, 8)


@dataclass
class ColumnPages:
    """One leaf in one row group."""

    dictionary_bytes: int = 0  # inflated; 0 without a dictionary
    only_dictionary: bool = True  # no value stands outside of it
    values: int = 0
    # What a value takes when the values of a page share its bytes evenly, in the fullest page.
    value_bytes: float = 0.0


def scan_pages(
    file: IO[bytes], footer: Footer, group: Group, limits: Limits
) -> Iterator[ColumnPages]:
    """For each leaf of a row group. Raises ReadError for pages beyond the limits and for what is
    no page."""
    pages = 0
    for leaf, chunk in zip(footer.leaves, group.chunks, strict=True):
        found = ColumnPages()
        place = chunk.place
        while place < chunk.end and found.values < chunk.values:
            pages += 1
            if pages > limits.parquet_pages:
                raise ReadError(
                    f"The Parquet file has more than {limits.parquet_pages:,} pages in a row "
                    "group. Write it again with larger pages."
                )
            place = _page(file, place, found, limits, leaf.path)
        yield found


def _page(file: IO[bytes], place: int, found: ColumnPages, limits: Limits, name: str) -> int:
    """Adds one page to `found`; the place of the next one."""
    header, length = _header(file, place)
    kind, inflated, packed = header.get(1), header.get(2), header.get(3)
    detail = header.get(5) or header.get(8) or header.get(7) or {}
    if not (isinstance(inflated, int) and isinstance(packed, int) and isinstance(detail, dict)):
        raise ReadError(DAMAGED)
    values, encoding = detail.get(1, 0), detail.get(4 if 8 in header else 2, 0)
    if not isinstance(values, int) or min(packed, inflated, values) < 0:
        raise ReadError(DAMAGED)
    if inflated > limits.parquet_page_bytes:
        raise ReadError(
            f"A page of column “{name}” unpacks to {size(inflated)}; at most "
            f"{size(limits.parquet_page_bytes)} are possible. Write the file with fewer rows "
            "in a row group (for example row_group_size=100).",
            column=name,
        )
    if values > limits.parquet_page_values:
        raise ReadError(
            f"A page of column “{name}” holds {values:,} values; at most "
            f"{limits.parquet_page_values:,} are possible. Write the file with smaller pages.",
            column=name,
        )
    if kind == _DICTIONARY_PAGE:
        found.dictionary_bytes += inflated
    elif values:
        found.values += values
        found.only_dictionary &= encoding in _DICTIONARY_ENCODINGS
        # In this encoding a value can repeat all of the value before it, at no cost.
        share = inflated if encoding == _DELTA_BYTE_ARRAY else inflated / values
        found.value_bytes = max(found.value_bytes, share)
    return place + length + packed


def _header(file: IO[bytes], place: int) -> tuple[dict[int, Any], int]:
    """A page's header and its length."""
    wanted = _HEADER_BYTES
    while True:
        file.seek(place)
        data = Compact(file.read(wanted))
        try:
            return data.struct(), data.place
        except MalformedError as error:
            raise ReadError(DAMAGED) from error
        except CutError as error:
            if len(data.data) < wanted or wanted >= _LARGEST_HEADER:
                raise ReadError(DAMAGED) from error
            wanted *= 16
