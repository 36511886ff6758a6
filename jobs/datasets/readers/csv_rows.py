"""CSV: every value is the text that stands in the file, also `007`, `1e5`, spaces and nothing.

Cells may be quoted with `"` and hold line breaks; a quote inside is doubled. Blank lines are
skipped, column names lose the spaces around them. A NUL becomes U+FFFD, and a notice says so.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from jobs.datasets.readers.delimiters import SEPARATOR_LINE
from jobs.datasets.readers.encodings import first_damage
from jobs.datasets.readers.rows import (
    BadRow,
    Reader,
    ReadError,
    Row,
    bounded,
    check_names,
    size,
)
from jobs.datasets.readers.serialise import MARK
from jobs.datasets.readers.text import TextFile

_UNDECODED = re.compile("[\udc80-\udcff]")
_QUOTED = re.compile(r'"(?:[^"]++|"")*+"')


class _OpenTooLongError(Exception):
    """A quoted cell passed the limit of lines or size."""


@dataclass
class CsvReader(Reader):
    _file: TextFile | None = None
    # The lines of the row that is being put together, and the line on which it began.
    _pending: list[str] = field(default_factory=list)
    _start: int = 1
    _nul_lines: int = 0
    _undecoded: str | None = None
    _large: bool = False  # some row so far was longer than a cell may be

    @property
    def bytes_read(self) -> int:
        return self._file.position if self._file else 0

    def _rows(self) -> Iterator[Row | BadRow]:
        _allow_cells(self.limits.cell_bytes)
        self._file = TextFile(self.path, self.detected)
        count = 0
        try:
            for item in self._parse(self._file.lines(self.limits.row_bytes + 1)):
                count += 1
                yield item
        except UnicodeDecodeError as error:
            raise self._not_decodable() from error
        finally:
            self._file.close()
        if not count:
            raise ReadError("The file has a header but no rows. Add rows below the header.", 1)
        if self._nul_lines:
            self.notices.append(
                f"Lines with NUL characters, which cannot be stored: {self._nul_lines:,}. They are "
                f"shown as {MARK}."
            )

    def _parse(self, lines: Iterator[str]) -> Iterator[Row | BadRow]:
        header: list[str] | None = None
        delimiter = self.detected.delimiter or ","
        source = self._guarded(lines, delimiter)
        while True:
            parser = csv.reader(source, delimiter=delimiter, strict=True)
            try:
                for fields in parser:
                    pending, start = self._pending, self._start
                    if header is None:
                        header = self._header(fields)
                    elif self._undecoded is not None:
                        yield BadRow(start, self._undecoded, bounded("".join(pending)))
                        self._undecoded = None
                    elif self._large and max(map(len, fields)) > self.limits.cell_bytes:
                        yield BadRow(start, self._too_large(), bounded(pending[0]))
                    elif len(fields) == len(header):
                        yield Row(start, dict(zip(header, fields, strict=True)))
                    elif fields:
                        yield BadRow(start, _ragged(fields, header), bounded("".join(pending)))
                    self._start = start + len(pending)
                    pending.clear()
                if header is None:
                    raise ReadError("The file is empty: it has no header and no rows.")
                return
            except csv.Error as error:
                rest = self._fault(str(error), delimiter, header)
            except _OpenTooLongError:
                raise self._unclosed(delimiter) from None
            yield rest[0]
            if rest[1]:
                source = self._guarded(iter(rest[1]), delimiter)

    def _guarded(self, lines: Iterable[str], delimiter: str) -> Iterator[str]:
        """The lines, remembered until their row is complete, and bounded."""
        pending = self._pending
        longest, largest = self.limits.row_bytes, self.limits.cell_bytes
        most = self.limits.cell_lines
        damaged = self.detected.damaged
        total = 0
        for line in lines:
            if pending:
                total += len(line)
                if len(pending) >= most or total > longest:
                    raise _OpenTooLongError
            else:
                total = len(line)
                if total > longest:
                    raise ReadError(
                        f"Line {self._start:,} is longer than {size(longest)}. Are its line "
                        "breaks missing, or is it not a CSV file?",
                        self._start,
                    )
            if total > largest:
                self._large = True
            if "\0" in line:
                self._nul_lines += 1
                line = line.replace("\0", MARK)
            if damaged and (found := _UNDECODED.search(line)):
                self._note_undecoded(line, found)
            pending.append(line)
            if self._start == 1 and len(pending) == 1 and SEPARATOR_LINE.match(line):
                self._start = 2
                pending.clear()
                continue
            yield line

    def _header(self, fields: list[str]) -> list[str] | None:
        """Names from the first row that is not blank; None for a blank one."""
        if not fields:
            return None
        line = self._start
        if self._undecoded is not None:
            raise ReadError(f"The header cannot be read: {self._undecoded}", line)
        names = [name.strip().removeprefix("\ufeff") for name in fields]
        check_names(names, self.limits, line)
        self._columns = dict.fromkeys(names)
        return names

    def _fault(
        self, words: str, delimiter: str, header: list[str] | None
    ) -> tuple[BadRow, list[str]]:
        """The bad row for an error of the parser, and lines that must be read once more."""
        pending, start = self._pending[:], self._start
        self._pending.clear()
        self._undecoded = None
        again: list[str] = []
        if words.startswith("unexpected end"):
            opened = _opening(pending, delimiter)
            pending, again = pending[: opened + 1], pending[opened + 1 :]
            message = (
                f"The quote that opens on line {start + opened:,} is never closed. Close it, or "
                "double it if it belongs to the text."
            )
        elif words.startswith("field larger"):
            if len(pending) > 1:
                self._pending[:] = pending
                raise self._unclosed(delimiter)
            message = self._too_large()
        elif words.startswith("new-line"):
            message = "A carriage return stands in a cell without quotes. Put the cell in quotes."
        else:
            message = (
                "Text follows a closing quote. Double the quotes that belong to a cell's text."
            )
        if header is None:
            raise ReadError(f"The header cannot be read: {message}", start)
        self._start = start + len(pending)
        return BadRow(start, message, bounded("".join(pending))), again

    def _too_large(self) -> str:
        return f"A cell is larger than {size(self.limits.cell_bytes)}."

    def _unclosed(self, delimiter: str) -> ReadError:
        line = self._start + _opening(self._pending, delimiter)
        return ReadError(
            f"The cell whose quote opens on line {line:,} does not end within "
            f"{self.limits.cell_lines:,} lines or {size(self.limits.cell_bytes)}. Close the "
            "quote, or double it if it belongs to the text.",
            line,
        )

    def _note_undecoded(self, line: str, found: re.Match[str]) -> None:
        encoding = self.detected.encoding or "utf-8"
        byte = len(line[: found.start()].encode(encoding, "surrogateescape")) + 1
        where = self._start + len(self._pending)
        self._undecoded = (
            f"Line {where:,}, byte {byte:,} is 0x{ord(found.group()) - 0xDC00:02X}, which is not "
            f"{encoding.upper()}. Correct it, or choose the file's encoding."
        )

    def _not_decodable(self) -> ReadError:
        encoding = self.detected.encoding or "utf-8"
        damage = first_damage(self.path, encoding)
        line = damage.line if damage else None
        where = f" from line {line:,} on" if line else ""
        return ReadError(
            f"The file is not {encoding.upper()}{where}: it may be cut off. Upload it again, or "
            "choose its encoding.",
            line,
        )


def _allow_cells(chars: int) -> None:
    """Raise the parser's limit of a field, which is one for the whole process, if it is lower."""
    if csv.field_size_limit() < chars:
        csv.field_size_limit(chars)


def _ragged(fields: list[str], header: list[str]) -> str:
    has = "1 field" if len(fields) == 1 else f"{len(fields):,} fields"
    message = f"The row has {has}, the header has {len(header):,}"
    if len(fields) < len(header):
        missing = ", ".join(header[len(fields) : len(fields) + 5])
        more = ", …" if len(header) - len(fields) > 5 else ""
        return f"{message}: {missing}{more} missing."
    return f"{message}. Quote cells that hold the delimiter."


def _opening(pending: list[str], delimiter: str) -> int:
    """Index of the line in which the last quoted cell of an unfinished row opens."""
    text = "".join(pending)
    ends = re.compile(f"[{re.escape(delimiter)}\r\n]")
    place = 0
    while place < len(text):
        if text[place] == '"':
            quoted = _QUOTED.match(text, place)
            if quoted is None:
                ends_of_lines = accumulate(map(len, pending))
                return next(index for index, end in enumerate(ends_of_lines) if place < end)
            place = quoted.end()
        end = ends.search(text, place)
        if end is None:
            break
        place = end.end()
    return 0
