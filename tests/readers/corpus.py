"""Builders of the files that people upload: good ones, broken ones and hostile ones."""

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.datasets.readers import BadRow, Limits, Reader, ReadOptions, Row, detect, read

_NS = "http://schemas.openxmlformats.org"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def opened(
    path: Path, *, name: str | None = None, limits: Limits | None = None, **options: Any
) -> Reader:
    """The reader that a file gets, with the options as given."""
    choices = ReadOptions(**options)
    return read(path, detect(path, name or path.name, choices, limits), choices, limits)


def everything(
    path: Path, *, name: str | None = None, limits: Limits | None = None, **options: Any
) -> list[Row | BadRow]:
    with opened(path, name=name, limits=limits, **options) as reader:
        return list(reader)


def values(items: list[Row | BadRow]) -> list[dict[str, Any]]:
    """The good rows' values; fails when there is a bad one."""
    bad = [item for item in items if isinstance(item, BadRow)]
    assert not bad, bad
    return [item.values for item in items if isinstance(item, Row)]


def good(items: list[Row | BadRow]) -> list[Row]:
    return [item for item in items if isinstance(item, Row)]


def bad(items: list[Row | BadRow]) -> list[BadRow]:
    return [item for item in items if isinstance(item, BadRow)]


def file_of(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def json_lines(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    return file_of(folder, name, "".join(json.dumps(row) + "\n" for row in rows))


def cell(
    place: str, value: Any = None, *, kind: str = "", formula: str = "", style: int = 0
) -> str:
    """One cell of a worksheet, as office programs write it."""
    attributes = f'r="{place}"' + (f' t="{kind}"' if kind else "")
    attributes += f' s="{style}"' if style else ""
    inner = f"<f>{formula}</f>" if formula else ""
    if isinstance(value, str) and not kind:
        return f'<c {attributes} t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'
    if value is not None:
        inner += f"<v>{value}</v>"
    return f"<c {attributes}>{inner}</c>"


def rows_of(*rows: list[str]) -> str:
    """Worksheet rows from lists of cells; an empty list is a row that is not there."""
    return "".join(
        f'<row r="{number}">{"".join(cells)}</row>' for number, cells in enumerate(rows, 1) if cells
    )


def table(*rows: list[Any]) -> str:
    """Worksheet rows from plain values."""
    return rows_of(
        *[
            [cell(f"{chr(65 + at)}{number}", value) for at, value in enumerate(row)]
            for number, row in enumerate(rows, 1)
        ]
    )


def workbook(
    folder: Path,
    sheets: dict[str, str],
    *,
    name: str = "book.xlsx",
    parts: dict[str, bytes] | None = None,
    prolog: str = _HEAD,
) -> Path:
    """A workbook of sheets (name: its rows as XML), with styles 1 date, 2 date and time, 3 time."""
    relation = f"{_NS}/officeDocument/2006/relationships"
    main = f"{_NS}/spreadsheetml/2006/main"
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'{_HEAD}<Types xmlns="{_NS}/package/2006/content-types">'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'{_HEAD}<Relationships xmlns="{_NS}/package/2006/relationships"><Relationship Id="r1" '
            f'Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(
            f'<sheet name="{title}" sheetId="{at}" r:id="r{at}"/>'
            for at, title in enumerate(sheets, 1)
        )
        archive.writestr(
            "xl/workbook.xml",
            f'{_HEAD}<workbook xmlns="{main}" xmlns:r="{relation}"><sheets>{listed}</sheets>'
            "</workbook>",
        )
        targets = "".join(
            f'<Relationship Id="r{at}" Type="{relation}/worksheet" Target="worksheets/s{at}.xml"/>'
            for at in range(1, len(sheets) + 1)
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{_HEAD}<Relationships xmlns="{_NS}/package/2006/relationships">{targets}'
            f'<Relationship Id="rs" Type="{relation}/styles" Target="styles.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/styles.xml",
            f'{_HEAD}<styleSheet xmlns="{main}"><cellXfs count="4"><xf numFmtId="0"/>'
            '<xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="20"/></cellXfs></styleSheet>',
        )
        for at, rows in enumerate(sheets.values(), 1):
            archive.writestr(
                f"xl/worksheets/s{at}.xml",
                f'{prolog}<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
            )
        for part, content in (parts or {}).items():
            archive.writestr(part, content)
    return path


def lying_workbook(folder: Path, inflated: int) -> Path:
    """A workbook with a part that says it has 100 bytes and unpacks to `inflated`."""
    path = workbook(folder, {"S": table(["a"], ["x"])}, parts={"xl/media/big.bin": bytes(inflated)})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", inflated), struct.pack("<I", 100)))
    return path


def parquet(folder: Path, columns: dict[str, Any], name: str = "t.parquet", **options: Any) -> Path:
    path = folder / name
    pq.write_table(pa.table(columns), path, **options)
    return path


def parquet_with_huge_page(folder: Path) -> Path:
    """A page that unpacks to some 20 MB in a file of some KB, honest in its own header."""
    buffer = io.BytesIO()
    column = pa.array(["x" * 20_000_000, "y"])
    pq.write_table(pa.table({"a": column}), buffer, compression="zstd", use_dictionary=False)
    return file_of(folder, "page.parquet", buffer.getvalue())


def parquet_with_shared_text(folder: Path, chars: int, rows: int) -> Path:
    """One text that every row refers to: small on disk, small in its pages, huge once decoded."""
    indices = pa.array([0] * rows, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * chars]))
    return parquet(folder, {"a": column}, name="shared.parquet", compression="zstd")


def ole_container(folder: Path, *, encrypted: bool, name: str) -> Path:
    """The beginning of an old Excel file, or of what a password turns a workbook into."""
    stream = "EncryptedPackage" if encrypted else "Workbook"
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000) + stream.encode("utf-16-le")
    return file_of(folder, name, content + bytes(2000))
