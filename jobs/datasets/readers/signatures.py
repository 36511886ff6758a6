"""Files that are no tables, told by their first bytes, each with what to do instead."""

import re
from pathlib import Path

from jobs.datasets.readers.rows import ReadError

_PACKED = "This is a compressed file ({}). Unpack it and upload the file that is inside."
_OTHER = "This is {}, not a table. Upload CSV, JSONL, JSON, Parquet or XLSX."
_FOREIGN = (
    (b"\x1f\x8b", _PACKED.format("gzip")),
    (b"BZh", _PACKED.format("bzip2")),
    (b"\xfd7zXZ\0", _PACKED.format("xz")),
    (b"\x28\xb5\x2f\xfd", _PACKED.format("zstd")),
    (b"7z\xbc\xaf\x27\x1c", _PACKED.format("7z")),
    (b"Rar!\x1a\x07", _PACKED.format("rar")),
    (b"PARE", "The Parquet file is encrypted. Write it again without encryption."),
    (b"ARROW1", "This is an Arrow (Feather) file. Write the table as Parquet."),
    (b"ORC", "This is an ORC file. Write the table as Parquet."),
    (b"Obj\x01", "This is an Avro file. Write the table as Parquet or JSONL."),
    (b"SQLite format 3\0", "This is an SQLite database. Export the table as CSV."),
    (b"%PDF", _OTHER.format("a PDF document")),
    (b"\x89PNG", _OTHER.format("an image")),
    (b"\xff\xd8\xff", _OTHER.format("an image")),
    (b"GIF8", _OTHER.format("an image")),
    (b"{\\rtf", _OTHER.format("a text document (RTF)")),
    (b"\x7fELF", _OTHER.format("a program")),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARKUP = re.compile(rb"\s*<(!doctype html|html|head|body|table|\?xml)", re.IGNORECASE)
_CHUNK = 1024 * 1024


def refuse_foreign(path: Path, head: bytes) -> None:
    """Raise ReadError for a file that is known to be something else."""
    for start, told in _FOREIGN:
        # Short signatures are words too: a CSV column may be called ORC or BZh.
        if head.startswith(start) and (len(start) > 3 or not _printable(head[:64])):
            raise ReadError(told)
    if head.startswith(_OLE):
        if _holds(path, "EncryptedPackage".encode("utf-16-le")):
            raise ReadError(
                "The workbook is protected by a password. Remove the password and upload it again."
            )
        raise ReadError("This is an old Excel file (.xls). Save it as .xlsx or CSV.")
    if found := _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
        kind = "an XML document" if found.group(1) == b"?xml" else "a web page (HTML)"
        raise ReadError(
            f"This is {kind}, not a table. Was it saved from a browser, or a log-in page "
            "downloaded instead of the file? Upload CSV, JSONL, JSON, Parquet or XLSX."
        )


def _printable(data: bytes) -> bool:
    return all(code >= 32 or code in (9, 10, 13) for code in data)


def _holds(path: Path, wanted: bytes) -> bool:
    """Whether the bytes stand anywhere in the file: its directory has no fixed place."""
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if wanted in tail + chunk:
                return True
            tail = chunk[-len(wanted) :]
    return False
