"""JSONL: one object a line. A column that a row does not name is absent there, not empty."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from jobs.datasets.readers.json_values import parse_row
from jobs.datasets.readers.rows import (
    BadRow,
    Reader,
    ReadError,
    Row,
    RowFaultError,
    bounded,
    check_name,
    size,
)
from jobs.datasets.readers.serialise import MARK
from jobs.datasets.readers.text import TextFile


@dataclass
class ObjectReader(Reader):
    """What JSONL and JSON arrays share: one object to one row, and the union of columns."""

    _marked: int = 0
    _file: TextFile | BinaryIO | None = None

    @property
    def bytes_read(self) -> int:
        if isinstance(self._file, TextFile):
            return self._file.position
        if self._file is None:
            return 0
        return self.bytes_total if self._file.closed else self._file.tell()

    def _row(self, line: int, raw: bytes, place: str) -> Row | BadRow:
        """`place` begins the message of a bad row, such as `Item 5 (line 7)`, or is blank."""
        try:
            values, marked = parse_row(raw, self.limits)
        except RowFaultError as fault:
            return BadRow(line, f"{place}{fault}", bounded(raw))
        self._marked += marked
        columns = self._columns
        if not (values.keys() <= columns.keys()):
            for name in values:
                if name not in columns:
                    check_name(name, self.limits, line)
                    columns[name] = None
            if len(columns) > self.limits.columns:
                raise ReadError(
                    f"The rows up to {line:,} have more than {self.limits.columns:,} different "
                    "names. Put values under a fixed set of names.",
                    line,
                )
        return Row(line, values)

    def _finish(self, count: int) -> None:
        if not count:
            raise ReadError("The file has no rows.")
        if self._marked:
            self.notices.append(
                "Rows with characters that cannot be stored (NUL or half a surrogate pair): "
                f"{self._marked:,}. They are shown as {MARK}."
            )


@dataclass
class JsonLinesReader(ObjectReader):
    """Reads line by line; the encoding may be any that a text file can have."""

    def _rows(self) -> Iterator[Row | BadRow]:
        count = 0
        try:
            for line, raw in enumerate(self._lines(), 1):
                if len(raw) > self.limits.row_bytes:
                    count += 1
                    told = f"The line is longer than {size(self.limits.row_bytes)}."
                    yield BadRow(line, told, bounded(raw))
                elif raw.strip():
                    count += 1
                    yield self._row(line, raw, "")
        except UnicodeDecodeError as error:
            raise ReadError(
                f"The file is not {(self.detected.encoding or '').upper()}: it may be cut off. "
                "Upload it again, or choose its encoding."
            ) from error
        finally:
            if self._file is not None:
                self._file.close()
        self._finish(count)

    def _lines(self) -> Iterator[bytes]:
        """Lines as UTF-8; of one beyond the limit only the beginning, a byte too long."""
        most = self.limits.row_bytes + 1
        if self.detected.encoding in (None, "utf-8") and self.detected.newline == "\n":
            self._file = file = self.path.open("rb", buffering=256 * 1024)
            if file.read(3) != b"\xef\xbb\xbf":
                file.seek(0)
            while line := file.readline(most):
                yield line
                while len(line) == most and not line.endswith(b"\n"):
                    line = file.readline(most)
        else:
            self._file = text = TextFile(self.path, self.detected)
            whole = True
            for piece in text.lines(most):
                if whole:
                    yield piece.encode("utf-8", "surrogateescape")
                whole = len(piece) < most or piece.endswith(self.detected.newline)
