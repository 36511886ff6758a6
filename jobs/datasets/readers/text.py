"""Text files, opened so that lines stay bounded and progress can be told."""

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from jobs.datasets.readers.rows import Detected

_BUFFER = 256 * 1024


class TextFile:
    """An open text file. Bytes that are not the encoding become surrogates U+DC80–U+DCFF
    (UTF-16 raises UnicodeDecodeError instead, because there is no going on after it)."""

    def __init__(self, path: Path, detected: Detected) -> None:
        encoding = detected.encoding or "utf-8"
        self._raw = io.FileIO(path)
        self._total = path.stat().st_size
        self.text = io.TextIOWrapper(
            io.BufferedReader(self._raw, _BUFFER),
            encoding="utf-8-sig" if encoding == "utf-8" else encoding,
            errors="strict" if encoding.startswith("utf-16") else "surrogateescape",
            newline=detected.newline,
        )

    @property
    def position(self) -> int:
        """Bytes read so far, some 100 KB ahead of the lines given out."""
        return self._total if self._raw.closed else self._raw.tell()

    def lines(self, limit: int) -> Iterator[str]:
        """Lines with their ends; a longer line comes in pieces of `limit` characters."""
        return iter(partial(self.text.readline, limit), "")

    def close(self) -> None:
        self.text.close()
