"""What readers take and give: options, limits, rows, bad rows, the error that ends a reading."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

Format = Literal["csv", "jsonl", "json", "parquet", "xlsx"]

MIB = 1024 * 1024
RAW_CHARS = 500  # of a bad row, enough to recognise it in a list of errors


@dataclass(frozen=True)
class Limits:
    """What a file may cost. The defaults fit a worker with a few hundred MB of memory."""

    # A cell of 1 MB is an ordinary long document; 8 MB is more than any model reads.
    cell_bytes: int = 8 * MIB
    # (The JSON parser takes up to 12 times a row's bytes for a moment.)
    row_bytes: int = 16 * MIB
    # A quoted CSV cell with more lines than this is taken for one whose quote was never closed.
    cell_lines: int = 10_000
    # Each row carries its column names, and a person has to choose among them.
    columns: int = 2_000
    column_name_chars: int = 200
    # The JSON writer refuses nesting beyond 254; nobody reads a prompt nested deeper than this.
    json_depth: int = 100
    # XLSX is a zip: the sum of what its parts really inflate to, and the ratio allowed above a
    # size at which even a bomb does no harm.
    zip_entries: int = 10_000
    zip_bytes: int = 1024 * MIB
    zip_free_bytes: int = 64 * MIB
    zip_ratio: int = 200
    # The parser holds the sheet's used rectangle in memory, about 40 bytes a cell.
    sheet_cells: int = 10_000_000
    # Parquet: a page is inflated as a whole, rows are decoded in batches.
    parquet_footer_bytes: int = 32 * MIB
    parquet_pages: int = 200_000
    parquet_page_bytes: int = 256 * MIB
    parquet_page_values: int = 16_000_000
    parquet_batch_bytes: int = 16 * MIB
    decoded_bytes: int = 8 * 1024 * MIB
    decoded_free_bytes: int = 256 * MIB
    decoded_ratio: int = 200


@dataclass(frozen=True)
class ReadOptions:
    """A person's choices; None means: detect it.

    `bad_rows` is carried for whoever consumes the rows: readers yield a `BadRow` in both cases,
    so that all of them can be listed before a file is refused.
    """

    sheet: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    bad_rows: Literal["refuse", "set_aside"] = "refuse"


@dataclass(frozen=True)
class Detected:
    """How a file will be read. `notices` are sentences for the person to confirm."""

    format: Format
    encoding: str | None = None  # text formats only; a name from `encodings.ENCODINGS`
    delimiter: str | None = None  # CSV only
    newline: str = "\n"  # text formats only: "\n" (also for "\r\n") or "\r"
    damaged: bool = False  # bytes somewhere that are not `encoding`
    sheets: tuple[str, ...] = ()  # XLSX only, in workbook order
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class Row:
    """One row. `line` is where it begins in the file: the line (CSV, JSONL), the row of the sheet
    (XLSX), or the number of the item or row counted from 1 (JSON, Parquet)."""

    line: int
    values: dict[str, Any]


@dataclass(slots=True)
class BadRow:
    """A row that cannot be read; `line` as in `Row`, `raw` at most RAW_CHARS characters."""

    line: int
    message: str
    raw: str


class ReadError(Exception):
    """The file cannot be read any further; the message says what to do, in words for a person."""

    def __init__(self, message: str, line: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class RowFaultError(Exception):
    """Inside the readers: why one row is bad, without its place."""


@dataclass
class Reader(ABC):
    """One pass over one file, in bounded memory.

    Iterate it once; `columns`, `bytes_read` and `notices` are valid at any moment and complete
    after the last row. Iteration raises ReadError; rows already yielded stay good.
    """

    path: Path
    detected: Detected
    options: ReadOptions
    limits: Limits
    notices: list[str] = field(default_factory=list)
    _columns: dict[str, None] = field(default_factory=dict)
    _open: Iterator[Row | BadRow] | None = None

    def __post_init__(self) -> None:
        self.bytes_total = self.path.stat().st_size

    @property
    def columns(self) -> list[str]:
        """Names in the order of their first appearance; for JSONL and JSON the union so far."""
        return list(self._columns)

    @property
    @abstractmethod
    def bytes_read(self) -> int:
        """How far the reading is, from 0 to `bytes_total`."""

    @abstractmethod
    def _rows(self) -> Iterator[Row | BadRow]: ...

    def __iter__(self) -> Iterator[Row | BadRow]:
        self._open = self._rows()
        return self._open

    def close(self) -> None:
        """Close the file of an iteration that was left early."""
        if self._open is not None:
            self._open.close()  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def bounded(raw: str | bytes) -> str:
    """The beginning of a bad row without the line break at its end, storable, at most RAW_CHARS
    characters."""
    if isinstance(raw, bytes):
        raw = raw[: RAW_CHARS * 4].decode("utf-8", "replace")
    raw = raw.rstrip("\r\n")
    cut = raw[:RAW_CHARS].encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
    return cut if len(raw) <= RAW_CHARS else cut[: RAW_CHARS - 1] + "…"


def size(count: int) -> str:
    """A number of bytes in words: `8 MB`, `12 KB`, `300 bytes`."""
    if count >= 1024 * MIB:
        return f"{count / MIB / 1024:.3g} GB"
    if count >= MIB:
        return f"{count / MIB:.3g} MB"
    return f"{count / 1024:.3g} KB" if count >= 1024 else f"{count} bytes"


def check_names(names: list[str], limits: Limits, line: int | None) -> None:
    """Raise ReadError unless every column has a name of its own."""
    if len(names) > limits.columns:
        raise ReadError(
            f"The file has {len(names):,} columns; at most {limits.columns:,} are possible. "
            "Remove the ones that are not needed.",
            line,
        )
    faults = []
    blank = [str(place) for place, name in enumerate(names, 1) if not name]
    if blank:
        places = ", ".join(blank[:20])
        which = f"Column {places} has" if len(blank) == 1 else f"Columns {places} have"
        faults.append(
            f"{which} no name in the header. Give every column a name, or remove the column."
        )
    places_of: dict[str, list[int]] = {}
    for place, name in enumerate(names, 1):
        places_of.setdefault(name, []).append(place)
    twice = {name: at for name, at in places_of.items() if len(at) > 1 and name}
    if twice:
        told = "; ".join(
            f"“{name}” (columns {', '.join(map(str, at[:20]))})"
            for name, at in list(twice.items())[:10]
        )
        faults.append(
            f"The header has the same name more than once: {told}. Rename them so that each "
            "column has a name of its own."
        )
    if faults:
        raise ReadError(" ".join(faults), line, next(iter(twice), None))
    for name in names:
        check_name(name, limits, line)


def check_name(name: str, limits: Limits, line: int | None) -> None:
    """Raise ReadError for a column name that cannot be stored or shown."""
    if len(name) > limits.column_name_chars:
        raise ReadError(
            f"The column name “{name[:60]}…” has {len(name):,} characters; at most "
            f"{limits.column_name_chars} are possible. Does the file have a header line?",
            line,
            name[: limits.column_name_chars],
        )
    if not name.isprintable():
        shown = name.encode("unicode_escape").decode()
        raise ReadError(
            f"The column name “{shown}” holds characters that cannot be seen, such as a line "
            "break. Rename the column.",
            line,
            shown,
        )
