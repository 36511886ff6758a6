"""A JSON array of objects, read item by item: only one item and one chunk are in memory.

`Row.line` is the number of the item, because such files often are a single line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.datasets.readers.json_lines import ObjectReader
from jobs.datasets.readers.rows import BadRow, ReadError, Row, size
from jobs.datasets.readers.text import TextFile

_CHUNK = 256 * 1024
_SPACE = b" \t\r\n"
# Up to and with the next bracket that is not inside a text.
_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+[{}\[\]]', re.DOTALL)
# A plain value, up to and without what ends it.
_PLAIN = re.compile(rb'(?:[^",\]]++|"(?:[^"\\]++|\\.)*+")*+(?=[,\]])', re.DOTALL)


@dataclass
class JsonArrayReader(ObjectReader):
    _buffer: bytes = b""
    _place: int = 0  # in the buffer: everything before it is done
    _counted: int = 0  # up to here the line breaks are counted
    _newlines: int = 0

    def _rows(self) -> Iterator[Row | BadRow]:
        if self.detected.encoding in (None, "utf-8"):
            self._file = self.path.open("rb")
        else:
            self._file = TextFile(self.path, self.detected)
        count = 0
        try:
            for item, line in self._items():
                count += 1
                yield self._row(count, item, f"Item {count:,} (line {line:,}): ")
        except UnicodeDecodeError as error:
            raise ReadError(
                "The file is cut off or not in its encoding. Upload it again, or choose its "
                "encoding."
            ) from error
        finally:
            assert self._file is not None
            self._file.close()
        self._finish(count)

    def _items(self) -> Iterator[tuple[bytes, int]]:
        """Each item's text and the line on which it begins."""
        self._more(_CHUNK)
        if self._buffer.startswith(b"\xef\xbb\xbf"):
            self._place = 3
        if self._next_sign() != b"[":
            raise ReadError("The file is not a list: it has to begin with [.", 1)
        self._place += 1
        if self._next_sign() == b"]":
            self._place += 1
        else:
            while True:
                if self._next_sign() in (b",", b"]", b""):
                    raise self._misplaced("an item")
                line = self._line()
                yield self._item(), line
                sign = self._next_sign()
                if sign not in (b",", b"]"):
                    raise self._misplaced("a comma or ] after an item")
                self._place += 1
                if sign == b"]":
                    break
        if self._next_sign():
            raise ReadError(
                f"Line {self._line():,}: text follows the closing ]. A JSON file holds one list; "
                "for one object a line, write no brackets and no commas (JSONL).",
                self._line(),
            )

    def _item(self) -> bytes:
        """The whole text of the item that begins at the current place."""
        if self._buffer[self._place : self._place + 1] in (b"{", b"["):
            depth, end = 0, self._place
            while True:
                end = self._match_end(_TO_BRACKET, end)
                depth += 1 if self._buffer[end - 1 : end] in (b"{", b"[") else -1
                if not depth:
                    break
        else:
            end = self._match_end(_PLAIN, self._place)
        begin, self._place = self._place, end
        return self._buffer[begin:end].rstrip(_SPACE)

    def _match_end(self, pattern: re.Pattern[bytes], place: int) -> int:
        """End of the match at `place`, in a buffer that is filled as far as it takes.

        The item begins at `_place`, which filling moves to 0; the end fits the new buffer.
        """
        wanted = _CHUNK
        while (found := pattern.match(self._buffer, place)) is None:
            if len(self._buffer) - self._place > self.limits.row_bytes + _CHUNK:
                raise self._too_long()
            moved = self._place
            if not self._more(wanted):
                raise ReadError(
                    f"The file ends in the middle of the item that begins on line "
                    f"{self._line():,}. Was the upload cut off?",
                    self._line(),
                )
            place -= moved
            wanted *= 2  # a long text is matched again from its beginning: keep that linear
        if found.end() - self._place > self.limits.row_bytes:
            raise self._too_long()
        return found.end()

    def _too_long(self) -> ReadError:
        return ReadError(
            f"The item that begins on line {self._line():,} does not end within "
            f"{size(self.limits.row_bytes)}. Is a quote or a bracket missing?",
            self._line(),
        )

    def _next_sign(self) -> bytes:
        """The next byte that is not a space, not consumed; empty at the end of the file."""
        while True:
            rest = self._buffer[self._place : self._place + 64].lstrip(_SPACE)
            if rest:
                self._place += min(64, len(self._buffer) - self._place) - len(rest)
                return rest[:1]
            self._place = min(self._place + 64, len(self._buffer))
            if self._place >= len(self._buffer) and not self._more(_CHUNK):
                return b""

    def _more(self, wanted: int) -> bool:
        """Drop what is done and read on; False at the end of the file."""
        if isinstance(self._file, TextFile):
            chunk = self._file.text.read(wanted).encode("utf-8", "surrogateescape")
        else:
            assert self._file is not None
            chunk = self._file.read(wanted)
        self._line()
        self._buffer = self._buffer[self._place :] + chunk
        self._place = self._counted = 0
        return bool(chunk)

    def _line(self) -> int:
        self._newlines += self._buffer.count(b"\n", self._counted, self._place)
        self._counted = self._place
        return self._newlines + 1

    def _misplaced(self, expected: str) -> ReadError:
        found = self._buffer[self._place : self._place + 1].decode("utf-8", "replace")
        what = f"“{found}”" if found else "the end of the file"
        return ReadError(
            f"Line {self._line():,}: expected {expected}, found {what}. Correct the list, or "
            "was the upload cut off?",
            self._line(),
        )
