"""Files from people to rows, streamed: CSV, JSONL, JSON arrays, Parquet, XLSX.

`detect` decides what a file is, `read` yields its rows. Nothing here knows a database. Values stay
verbatim; each module says what that means for its format, and `serialise` what cannot be stored.
"""

from pathlib import Path

from jobs.datasets.readers.csv_rows import CsvReader
from jobs.datasets.readers.delimiters import is_delimiter
from jobs.datasets.readers.detection import detect
from jobs.datasets.readers.encodings import ENCODINGS
from jobs.datasets.readers.json_array import JsonArrayReader
from jobs.datasets.readers.json_lines import JsonLinesReader
from jobs.datasets.readers.rows import (
    BadRow,
    Detected,
    Limits,
    Reader,
    ReadError,
    ReadOptions,
    Row,
)
from jobs.datasets.readers.serialise import row_json
from jobs.datasets.readers.xlsx_rows import XlsxReader

__all__ = [
    "ENCODINGS",
    "BadRow",
    "Detected",
    "Limits",
    "ReadError",
    "ReadOptions",
    "Reader",
    "Row",
    "detect",
    "is_delimiter",
    "read",
    "row_json",
]

_READERS: dict[str, type[Reader]] = {
    "csv": CsvReader,
    "jsonl": JsonLinesReader,
    "json": JsonArrayReader,
    "xlsx": XlsxReader,
}


def read(
    path: Path, detected: Detected, options: ReadOptions, limits: Limits | None = None
) -> Reader:
    """An iterator over `Row` and `BadRow` with `bytes_read`, `bytes_total`, `columns` and
    `notices`. Use it in a `with`, which closes the file when the iteration is left early.
    Iterating raises ReadError.

    `detected` has to come from `detect` for this very file: there archives are inspected before
    a parser that trusts them opens them.
    """
    return _reader(detected.format)(path, detected, options, limits or Limits())


def _reader(name: str) -> type[Reader]:
    if name == "parquet":
        # 40 MB of memory, that processes which never meet such a file do without.
        from jobs.datasets.readers.parquet_rows import ParquetReader

        return ParquetReader
    return _READERS[name]
