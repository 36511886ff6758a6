"""Bad input gets a clear answer, and nothing is lost: what is wrong, where, and what to do."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.datasets import ingest
from jobs.datasets.readers import Limits
from jobs.datasets.services import file_of as file_where
from jobs.models import BadRows, DatasetStatus
from tests.cast import cast  # noqa: F401
from tests.datasets.uploading import Uploads, rows_of, stored_files, uploads  # noqa: F401
from tests.readers.corpus import (
    file_of,
    lying_workbook,
    ole_container,
    parquet,
    parquet_with_huge_page,
    table,
    workbook,
)

pytestmark = pytest.mark.django_db
Make = Callable[[Path], Path]


def text(name: str, content: str | bytes) -> Make:
    return lambda folder: file_of(folder, name, content)


def cut_parquet(folder: Path) -> Path:
    path = parquet(folder, {"a": ["x"] * 1000})
    path.write_bytes(path.read_bytes()[:-20])
    return path


BAD: list[tuple[Make, int | None, str]] = [
    (text("a.csv", " \n\n"), None, "The file is empty. Upload one with a header and rows."),
    (text("a.csv", "a,b\n"), 1, "header but no rows. Add rows below the header."),
    (text("a.csv", "a,b,a\n1,2,3\n"), 1, "“a” (columns 1, 3). Rename them"),
    (text("a.csv", "id,a,a,,\n1,2,3,4,5\n"), 1, "“a” (columns 2, 3). Rename them"),
    (text("a.csv", "id,a,a,,\n1,2,3,4,5\n"), 1, "Columns 4, 5 have no name in the header. Give"),
    (text("a.csv", "a,,c,\n1,2,3,4\n"), 1, "Columns 2, 4 have no name in the header. Give every"),
    (text("a.csv", b"a\xff,b\n" + "é,ü\nö,ä\n".encode()), 1, "Line 1, byte 2 is 0xFF"),
    (text("a.csv", 'a,b\n"' + "x\n" * 12_000), 2, "quote opens on line 2 does not end within"),
    (text("a.csv.gz", gzip.compress(b"a,b\n1,2\n")), None, "compressed file (gzip). Unpack it and"),
    (text("a.pdf", b"%PDF-1.7 \x00"), None, "This is a PDF document, not a table. Upload CSV"),
    (text("a.csv", "<!doctype html><title>Log in</title>"), None, "a web page (HTML), not a table"),
    (text("a.bin", b"\x01\x02\x03ab" * 500), None, "binary data. Upload CSV"),
    (text("a.json", '{"rows": [{"a": 1}]}'), 1, "list under “rows”. Upload that list alone"),
    (text("a.json", '[{"a": 1},\n{"a": 2}'), 2, "was the upload cut off?"),
    (text("a.jsonl", "[1]\n[2]\n"), 1, "2 rows cannot be read"),
    (text("a.csv", "a,b\n1,2\n".encode("utf-16")[:-3]), 2, "The file is not UTF-16 from line 2 on"),
    (lambda folder: workbook(folder, {"S": table(["a"])}), 1, "“S” has a header but no rows"),
    (lambda folder: lying_workbook(folder, 2_000_000), None, "workbook"),
    (lambda folder: workbook(folder, {"S": table(["a"], ["x"])}, parts={"b": bytes(2**27)}), None,
     "unpacks to"),
    (lambda folder: ole_container(folder, encrypted=True, name="a.xlsx"), None,
     "protected by a password. Remove the password and upload it again"),
    (lambda folder: ole_container(folder, encrypted=False, name="a.xls"), None,
     "old Excel file (.xls). Save it as .xlsx or CSV"),
    (text("a.xlsx", b"PK\x03\x04" + b"x" * 500), None, ""),
    (cut_parquet, None, "damaged or was cut off"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "row", "words"), BAD)
def test_it_says_what_is_wrong_and_what_to_do(
    uploads: Uploads,  # noqa: F811
    tmp_path: Path,
    make: Make,
    row: int | None,
    words: str,
) -> None:
    path = make(tmp_path)
    dataset = uploads.read(path)
    assert dataset.status == DatasetStatus.FAILED
    first = dataset.errors[0]
    assert words in first["message"]
    assert len(first["message"]) > 20
    told = uploads.program.get(f"/api/v1/datasets/{dataset.public_id}").json()
    assert told["status"] == "failed"
    assert first in told["errors"]
    page = uploads.olivia.get(f"/datasets/{dataset.public_id}/")
    assert page.status_code == 200
    assert "The file could not be read." in page.content.decode()
    if row is not None:
        assert next(error["row"] for error in dataset.errors if error["row"]) == row
    # What was uploaded is kept as it was, to be read again with other options.
    assert file_where(dataset).read_bytes() == path.read_bytes()


def test_a_parquet_bomb_is_refused(
    uploads: Uploads,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Limits.__init__, "__defaults__", _with_page_limit(1_000_000))
    dataset = uploads.read(parquet_with_huge_page(tmp_path))
    assert "page of column “a” unpacks to" in dataset.errors[0]["message"]


def _with_page_limit(limit: int) -> tuple[Any, ...]:
    names = list(Limits.__dataclass_fields__)
    defaults = list(Limits.__init__.__defaults__ or ())
    defaults[names.index("parquet_page_bytes")] = limit
    return tuple(defaults)


def test_an_empty_file_is_refused_at_the_door(uploads: Uploads) -> None:  # noqa: F811
    answer = uploads.post(b"", "a.csv")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"loc": ["file"], "msg": "The file is empty (0 bytes)"}]
    assert stored_files() == uploads.before


@pytest.mark.parametrize(
    ("options", "place", "words"),
    [
        ({"bad_rows": "maybe"}, "bad_rows", "One of refuse, set_aside"),
        ({"encoding": "klingon"}, "encoding", "One of utf-8, utf-16"),
        ({"delimiter": ";;"}, "delimiter", "One character, or “tab”"),
        ({"delimiter": '"'}, "delimiter", "One character"),
        ({"sheet": "x" * 101}, "sheet", "At most 100 characters"),
        ({"name": "x" * 201}, "name", "1 to 200 characters"),
        ({"name": "a\x01b"}, "name", "characters that can be seen"),
    ],
)
def test_wrong_options_are_refused_at_the_door_and_nothing_is_kept(
    uploads: Uploads,  # noqa: F811
    options: dict[str, str],
    place: str,
    words: str,
) -> None:
    answer = uploads.post(b"a\n1\n", "a.csv", **options)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["loc"], words in error["msg"]) == ([place], True)
    page = uploads.submit(b"a\n1\n", "a.csv", **options)
    assert page.status_code == 422
    assert words in page.content.decode()
    assert stored_files() == uploads.before


RAGGED = b'id,text\n1,a\n2\n3,"x\ny",z\n4,d\n'


def test_ragged_rows_are_named_and_the_person_chooses(uploads: Uploads) -> None:  # noqa: F811
    dataset = uploads.read(RAGGED)
    assert dataset.status == DatasetStatus.FAILED
    assert dataset.errors == [
        {
            "row": None,
            "message": "2 rows cannot be read. Mend what is listed, or read the file again with bad "
            "rows set aside.",
        },
        {"row": 3, "message": "The row has 1 field, the header has 2: text missing."},
        {
            "row": 4,
            "message": "The row has 3 fields, the header has 2. Quote cells that hold the delimiter.",
        },
    ]
    page = uploads.page(dataset)
    assert "The row has 1 field, the header has 2: text missing." in page
    again = uploads.read_again(dataset, bad_rows="set_aside")
    assert (again.status, again.set_aside, again.rows) == (DatasetStatus.READY, 2, 2)
    assert [error["row"] for error in again.errors] == [3, 4]
    assert rows_of(again) == [{"id": "1", "text": "a"}, {"id": "4", "text": "d"}]
    # And back: nothing of the other reading stays.
    back = uploads.read_again(again, bad_rows="refuse")
    assert (back.status, rows_of(back), back.set_aside) == (DatasetStatus.FAILED, [], 0)
    one = uploads.read(b"a,b\n1\n")
    assert one.errors[0]["message"].startswith("1 row cannot be read. Mend")


@pytest.mark.parametrize(
    ("content", "name", "line", "words"),
    [
        (b'{"a": 1}\n{"a": \n{"a": 3}\n', "a.jsonl", 2, "not valid JSON"),
        (b'{"a": 1}\n[1, 2]\n{"a": 3}\n', "a.jsonl", 2, "object"),
        (b'[{"a": 1},\n{"a": 01},\n{"a": 3}]', "a.json", 2, "Item 2 (line 2)"),
        ("é\nä\n".encode() + b"\xff\n" + "ü\n".encode(), "a.csv", 3, "byte 1 is 0xFF"),
    ],
)
def test_one_broken_row_costs_one_row(
    uploads: Uploads,  # noqa: F811
    content: bytes,
    name: str,
    line: int,
    words: str,
) -> None:
    refused = uploads.read(content, name)
    assert refused.status == DatasetStatus.FAILED
    kept = uploads.read(content, name, bad_rows="set_aside")
    assert (kept.status, kept.rows, kept.set_aside) == (DatasetStatus.READY, 2, 1)
    for dataset in (refused, kept):
        (error,) = [error for error in dataset.errors if error["row"]]
        assert error["row"] == line
        assert words in error["message"]


def test_when_no_row_can_be_read_it_says_so(uploads: Uploads) -> None:  # noqa: F811
    dataset = uploads.read(b"a,b\n1,2,3\n2,3,4\n", bad_rows="set_aside", delimiter=",")
    assert dataset.status == DatasetStatus.FAILED
    assert dataset.errors[0] == {"row": None, "message": "Not one row of the file can be read."}
    assert [error["row"] for error in dataset.errors[1:]] == [2, 3]


def test_a_thousand_bad_rows_are_told_by_the_first_of_them(uploads: Uploads) -> None:  # noqa: F811
    content = b"a,b\n" + b"1,2,3\n" * 1000 + b"1,2\n"
    refused = uploads.read(content, delimiter=",")
    assert len(refused.errors) == 1 + ingest.MAX_REFUSED_ERRORS
    assert refused.errors[0]["message"].startswith("100 or more rows cannot be read")
    kept = uploads.read(content, bad_rows="set_aside", delimiter=",")
    assert (kept.rows, kept.set_aside, len(kept.errors)) == (1, 1000, ingest.MAX_KEPT_ERRORS)


def test_it_is_read_again_with_another_encoding_or_delimiter(uploads: Uploads) -> None:  # noqa: F811
    dataset = uploads.read("a;b\nЖ;2\n".encode("koi8-r"), encoding="windows-1251")
    assert rows_of(dataset) != [{"a": "Ж", "b": "2"}]
    dataset = uploads.read_again(dataset, encoding="koi8-r")
    assert (dataset.encoding, rows_of(dataset)) == ("koi8-r", [{"a": "Ж", "b": "2"}])
    dataset = uploads.read_again(dataset, encoding="koi8-r", delimiter="tab")
    assert rows_of(dataset) == [{"a;b": "Ж;2"}]
    # Blank: detected anew, not what was chosen the last time.
    dataset = uploads.read_again(dataset, encoding="koi8-r")
    assert (dataset.delimiter, dataset.bad_rows) == (";", BadRows.REFUSE)
    assert rows_of(dataset) == [{"a": "Ж", "b": "2"}]
