"""What a file is, by its content; what is none of the formats gets words that help."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from jobs.datasets.readers import ReadError, ReadOptions, detect
from tests.readers.corpus import file_of, ole_container, parquet, table, workbook


def build(folder: Path, kind: str) -> Path:
    if kind == "xlsx":
        return workbook(folder, {"S": table(["a"], ["x"])})
    if kind == "parquet":
        return parquet(folder, {"a": [1]})
    text = {"csv": "a,b\n1,2\n", "jsonl": '{"a": 1}\n{"a": 2}\n', "json": '[\n {"a": 1}\n]'}[kind]
    return file_of(folder, f"file.{kind}", text)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet", "xlsx"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet", "xlsx", "", "upload"])
def test_it_goes_by_content_and_tells_when_the_name_differs(
    tmp_path: Path, kind: str, ending: str
) -> None:
    found = detect(build(tmp_path, kind), f"Some.file.{ending}", ReadOptions())
    assert found.format == kind
    disagrees = ending not in (kind, "", "upload")
    assert [told for told in found.notices if "but the content is" in told] == (
        list(found.notices[:1]) if disagrees else []
    )
    assert bool(found.notices) == disagrees


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"a,b\n1,2\n"), "compressed file (gzip)"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n....", "an image"),
        (b"SQLite format 3\0....", "SQLite database"),
        (b"ARROW1\0\0", "Feather"),
        (b"\n <!DOCTYPE html><html>", "web page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "XML document"),
        (bytes(range(1, 32)) * 50, "binary data"),
        (b"PAR1", "cut off"),
        (b"PARE....", "encrypted"),
        (b"PK\x03\x04 and no more", "damaged or was cut off"),
    ],
)
def test_it_says_what_a_foreign_file_is(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ReadError) as error:
        detect(file_of(tmp_path, "a.csv", content), "a.csv", ReadOptions())
    assert words in error.value.message


@pytest.mark.parametrize("text", ["ORC,b\n1,2\n", "BZh;x\n1;2\n", "[id],n\n1,2\n", "{id},n\n1,2\n"])
def test_it_does_not_take_a_column_name_for_a_signature(tmp_path: Path, text: str) -> None:
    assert detect(file_of(tmp_path, "a.csv", text), "a.csv", ReadOptions()).format == "csv"


def test_it_tells_a_password_from_an_old_format(tmp_path: Path) -> None:
    locked = ole_container(tmp_path, encrypted=True, name="locked.xlsx")
    with pytest.raises(ReadError, match="protected by a password"):
        detect(locked, locked.name, ReadOptions())
    old = ole_container(tmp_path, encrypted=False, name="old.xls")
    with pytest.raises(ReadError, match="old Excel file"):
        detect(old, old.name, ReadOptions())


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["table.csv"], "a zip archive"),
        (["mimetype", "content.xml"], "OpenDocument"),
        (["xl/workbook.bin"], "binary workbook"),
        ([], "a zip archive"),
    ],
)
def test_it_tells_other_archives_from_workbooks(
    tmp_path: Path, members: list[str], words: str
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in members:
            archive.writestr(name, "content")
    with pytest.raises(ReadError, match=words):
        detect(file_of(tmp_path, "a.xlsx", buffer.getvalue()), "a.xlsx", ReadOptions())


def test_it_takes_a_broken_first_line_for_a_broken_line(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a.jsonl", '"a": 1}\n{"a": 2}\n')
    assert detect(path, "a.jsonl", ReadOptions()).format == "jsonl"
