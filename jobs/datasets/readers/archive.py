"""What an XLSX file, a zip, really holds, before a parser that trusts it opens it.

Every part is inflated once, in chunks that are thrown away: sizes are counted, never taken from
the archive's own words. Every XML part is parsed for document types (entities are refused) and,
where it holds cells, for the rectangle that they span: the parser allocates that rectangle as a
whole, and two cells in opposite corners of a sheet would end the process.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.parsers import expat

from jobs.datasets.readers.rows import Limits, ReadError, size

_CHUNK = 256 * 1024
_LOCAL_HEADER = 30
_DAMAGED = "The workbook is damaged or was cut off. Open it, save it again, and upload it."


@dataclass
class Workbook:
    """What the inspection found out."""

    inflated: int = 0
    error_cells: int = 0
    unsaved_formulas: int = 0
    macros: bool = False
    names: set[str] = field(default_factory=set)


def open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ReadError(_DAMAGED) from error


def inspect_workbook(path: Path, limits: Limits) -> Workbook:
    """Raises ReadError for bombs, passwords, entities and damage; costs one pass of the file."""
    found = Workbook()
    total = path.stat().st_size
    most = min(limits.zip_bytes, max(limits.zip_free_bytes, total * limits.zip_ratio))
    with open_zip(path) as archive, path.open("rb") as file:
        members = archive.infolist()
        _check_directory(members, limits)
        for member in members:
            found.names.add(member.filename)
            scan = _CellScan(limits)
            for chunk in _inflate(file, member):
                found.inflated += len(chunk)
                if found.inflated > most:
                    raise ReadError(
                        f"The workbook has {size(total)} but unpacks to more than {size(most)}. "
                        "Save the sheet as CSV and upload that."
                    )
                scan.feed(chunk)
            scan.finish()
            found.error_cells += scan.error_cells
            found.unsaved_formulas += scan.unsaved_formulas
    found.macros = "xl/vbaProject.bin" in found.names
    return found


def _check_directory(members: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(members) > limits.zip_entries:
        raise ReadError(f"The workbook has {len(members):,} parts. Save the sheet as CSV.")
    if len({member.filename.lower() for member in members}) < len(members):
        raise ReadError(_DAMAGED)
    for member in members:
        if member.flag_bits & 1:
            raise ReadError("The file is protected by a password. Remove it and upload again.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ReadError(_DAMAGED)


def _inflate(file: IO[bytes], member: zipfile.ZipInfo) -> Iterator[bytes]:
    """What the part really unpacks to, however long that is; raises ReadError if the archive
    says something else."""
    header = b""
    if member.header_offset >= 0:
        file.seek(member.header_offset)
        header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise ReadError(_DAMAGED)
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    file.seek(names, 1)
    left, got = member.compress_size, 0
    inflater = zlib.decompressobj(-15) if member.compress_type == zipfile.ZIP_DEFLATED else None
    while left and not (inflater and inflater.eof):
        packed = file.read(min(left, _CHUNK))
        if not packed:
            raise ReadError(_DAMAGED)
        left -= len(packed)
        while packed:
            try:
                chunk = inflater.decompress(packed, _CHUNK) if inflater else packed
            except zlib.error as error:
                raise ReadError(_DAMAGED) from error
            packed = inflater.unconsumed_tail if inflater else b""
            got += len(chunk)
            yield chunk
    if inflater:
        while chunk := inflater.decompress(inflater.unconsumed_tail, _CHUNK):
            got += len(chunk)
            yield chunk
    if got != member.file_size:
        raise ReadError(_DAMAGED)


class _CellScan:
    """Parses one part if it is XML; anything else passes.

    A part that stops being XML after its root said `worksheet` is refused, other broken XML
    (drawings of old versions) is not read by anyone and passes.
    """

    def __init__(self, limits: Limits) -> None:
        self._most = limits.sheet_cells
        self._parser: expat.XMLParserType | None = None
        self._first = True
        self._root = ""
        self._row = self._column = 0
        self._span: list[int] | None = None  # lowest and highest row, lowest and highest column
        self._formula = False
        self.error_cells = 0
        self.unsaved_formulas = 0

    def feed(self, chunk: bytes) -> None:
        if self._first and chunk:
            self._first = False
            start = chunk.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            if start == b"<" and b"\0" not in chunk[:4]:
                # Whatever encoding the part declares: the workbook's parser goes by bytes too.
                self._parser = expat.ParserCreate("utf-8", " ")
                self._parser.StartElementHandler = self._element
                self._parser.StartDoctypeDeclHandler = self._doctype
                self._parser.buffer_text = True
            elif b"\0<" in chunk[:8] or b"<\0" in chunk[:8]:
                # UTF-16: no office program writes it, and it would hide cells from this scan.
                raise ReadError(_DAMAGED)
        self._parse(chunk, final=False)

    def finish(self) -> None:
        self._parse(b"", final=True)

    def _parse(self, chunk: bytes, *, final: bool) -> None:
        if self._parser is None:
            return
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as error:
            self._parser = None
            if self._root in ("", "worksheet", "workbook", "sst", "styleSheet", "Relationships"):
                raise ReadError(_DAMAGED) from error

    def _doctype(self, *_: object) -> None:
        raise ReadError("The workbook holds document type declarations, which are not read.")

    def _element(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if local == "c":
            self._cell(attributes)
        elif local == "v" or local == "is":
            self._formula = False
            self._grow()
        elif local == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() and len(number) < 9 else self._row + 1
            self._column = 0
        elif local == "f":
            self._formula = True
            self._grow()
        elif not self._root:
            self._root = local

    def _cell(self, attributes: dict[str, str]) -> None:
        if self._formula:
            self.unsaved_formulas += 1
            self._formula = False
        if attributes.get("t") == "e":
            self.error_cells += 1
        place = attributes.get("r")
        if place is None:
            self._column += 1
            return
        letters = place.rstrip("0123456789")
        digits = place[len(letters) :]
        if not (letters.isascii() and letters.isalpha() and len(letters) <= 3) or not (
            0 < len(digits) < 9
        ):
            raise ReadError(_DAMAGED)
        self._row = int(digits)
        self._column = 0
        for letter in letters.upper():
            self._column = self._column * 26 + ord(letter) - 64

    def _grow(self) -> None:
        row, column = self._row, self._column
        span = self._span
        if span is None:
            self._span = [row, row, column, column]
            return
        if row > span[1]:
            span[1] = row
        elif row < span[0]:
            span[0] = row
        if column > span[3]:
            span[3] = column
        elif column < span[2]:
            span[2] = column
        # The parser's rows begin at 1 and its columns at A whatever the first cell is.
        if span[1] * span[3] > self._most:
            raise ReadError(
                f"The used part of a sheet reaches to row {span[1]:,} and column {span[3]:,}, "
                f"more than {self._most:,} cells. Delete stray cells far from the table, or save "
                "the sheet as CSV."
            )
