"""XLSX: one sheet, its first row that is not empty being the header.

Values are what the workbook has saved: texts as they are, numbers without `.0` where they are
whole (a notice tells of those with more digits than a spreadsheet keeps), true and false, dates
and times in ISO 8601, formulas as their last saved result. Empty cells are null (the format does
not tell an empty text from no text), error cells such as #N/A too. Rows without any value are
skipped. Macros are never run; nothing outside the file is read.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import python_calamine as calamine

from jobs.datasets.readers.rows import (
    BadRow,
    Reader,
    ReadError,
    Row,
    bounded,
    check_names,
    size,
)
from jobs.datasets.readers.serialise import visible

_EXACT = 10**15  # a spreadsheet keeps 15 digits
_WHOLE = 2**63  # below that a whole number is written without an exponent
_DAMAGED = "The workbook is damaged. Open it, save it again, and upload it."


def sheet_names(path: str) -> list[str]:
    """Sheets with cells, in workbook order. The file must have been inspected before."""
    try:
        with calamine.CalamineWorkbook.from_path(path) as workbook:
            return [
                sheet.name
                for sheet in workbook.sheets_metadata
                if sheet.typ == calamine.SheetTypeEnum.WorkSheet
            ]
    except calamine.PasswordError as error:
        raise ReadError("The workbook is protected by a password. Remove it.") from error
    except (calamine.CalamineError, OSError) as error:
        raise ReadError(_DAMAGED) from error


@dataclass
class XlsxReader(Reader):
    """Trusts the file: `detect` has inspected what it unpacks to."""

    _done: float = 0.0
    _inexact: int = 0  # numbers of more digits than a spreadsheet keeps

    @property
    def bytes_read(self) -> int:
        """By the share of rows done: the file itself is read at once, before the first row."""
        return int(self.bytes_total * self._done)

    def _rows(self) -> Iterator[Row | BadRow]:
        name = self._chosen()
        count = 0
        for item in self._table(name):
            count += 1
            yield item
        if not count:
            raise ReadError(f"The sheet “{name}” has a header but no rows.{self._others(name)}", 1)

    def _chosen(self) -> str:
        sheets = self.detected.sheets
        if self.options.sheet is None:
            if len(sheets) > 1:
                self.notices.append(
                    f"The workbook has {len(sheets)} sheets; “{sheets[0]}” was read. Read the file "
                    "again with another sheet if that is not the one."
                )
            return sheets[0]
        if self.options.sheet not in sheets:
            raise ReadError(
                f"The workbook has no sheet “{self.options.sheet}”. It has: {_listed(sheets)}."
            )
        return self.options.sheet

    def _others(self, name: str) -> str:
        others = [sheet for sheet in self.detected.sheets if sheet != name]
        return f" Choose another one: {_listed(others)}." if others else ""

    def _table(self, name: str) -> Iterator[Row | BadRow]:
        try:
            with calamine.CalamineWorkbook.from_path(str(self.path)) as workbook:
                sheet = workbook.get_sheet_by_name(name)
        except (calamine.CalamineError, OSError, ValueError) as error:
            raise ReadError(_DAMAGED) from error
        header: list[str] = []
        height = max(1, sheet.total_height)
        for number, cells in enumerate(sheet.iter_rows(), 1):
            self._done = min(1.0, number / height)
            if not any(cell != "" for cell in cells):
                continue
            if not header:
                header = self._header(cells, number)
            else:
                yield self._row(header, cells, number)
        if not header:
            raise ReadError(f"The sheet “{name}” is empty.{self._others(name)}")
        if self._inexact:
            self.notices.append(
                f"Numbers of more than 15 digits: {self._inexact:,}. A spreadsheet keeps 15, so "
                "the last ones may differ from what was typed. Keep long ids in cells of text."
            )

    def _header(self, cells: list[Any], number: int) -> list[str]:
        """Names up to the last cell that is not empty: formatting often reaches further."""
        names = ["" if (value := _value(cell)) is None else str(value).strip() for cell in cells]
        while not names[-1]:
            names.pop()
        check_names(names, self.limits, number)
        self._columns = dict.fromkeys(names)
        return names

    def _row(self, header: list[str], cells: list[Any], number: int) -> Row | BadRow:
        beyond = [place for place, cell in enumerate(cells[len(header) :], 1) if cell != ""]
        if beyond:
            column = _letters(len(header) + beyond[0])
            told = f"Cell {column}{number} has a value, but column {column} has no name."
            return BadRow(number, told, bounded(str(cells)))
        values = {}
        for name, cell in zip(header, cells, strict=False):
            value = _value(cell)
            if isinstance(value, str) and len(value) > self.limits.cell_bytes:
                told = f"The cell of “{name}” is larger than {size(self.limits.cell_bytes)}."
                return BadRow(number, told, bounded(value))
            if value.__class__ in (int, float) and abs(value) >= _EXACT:
                self._inexact += 1
            values[name] = value
        return Row(number, values)


def _value(cell: Any) -> Any:
    if isinstance(cell, str):
        return (visible(cell) if "\0" in cell else cell) or None
    if isinstance(cell, float):
        if cell.is_integer() and abs(cell) < _WHOLE:
            return int(cell)
        return cell if abs(cell) != float("inf") and cell == cell else None
    if isinstance(cell, dt.timedelta):
        return f"PT{cell.total_seconds():.6f}".rstrip("0").rstrip(".") + "S"
    if isinstance(cell, dt.date | dt.datetime | dt.time):
        return cell.isoformat()
    return cell


def _letters(place: int) -> str:
    """A column's name in a spreadsheet: 1 is A, 27 is AA."""
    name = ""
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(65 + rest) + name
    return name


def _listed(names: list[str] | tuple[str, ...]) -> str:
    told = ", ".join(f"“{name}”" for name in names[:20])
    return f"{told} and {len(names) - 20} more" if len(names) > 20 else told
