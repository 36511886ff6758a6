"""Files of every kind, uploaded, read by the queue's task, and seen again through the API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jobs.models import Dataset, DatasetStatus
from tests.cast import cast  # noqa: F401
from tests.datasets.uploading import Uploads, rows_of, uploads  # noqa: F401
from tests.readers.corpus import cell, file_of, parquet, table, workbook
from tests.readers.corpus import rows_of as sheet_rows

pytestmark = pytest.mark.django_db
Make = Callable[[Path], Path]
TABLE = [{"id": "007", "text": " two  words "}, {"id": "1e5", "text": ""}]


def text(name: str, content: str | bytes) -> Make:
    return lambda folder: file_of(folder, name, content)


@pytest.mark.parametrize(
    ("make", "rows", "expected"),
    [
        (text("a.csv", "id,text\n007, two  words \n1e5,\n"), TABLE, {"format": "csv"}),
        (text("a.csv", "\ufeffid,text\r\n007, two  words \r\n1e5,\r\n"), TABLE, {}),
        (text("a.tsv", "id\ttext\n007\t two  words \n1e5\t\n"), TABLE, {"delimiter": "\t"}),
        (text("a.csv", "id;text\n007; two  words \n1e5;\n"), TABLE, {"delimiter": ";"}),
        (text("a.txt", "id|text\n007| two  words \n1e5|\n"), TABLE, {"delimiter": "|"}),
        (text("a.csv", "id,text\n007, two  words \n1e5,\n".encode("utf-16")), TABLE,
         {"encoding": "utf-16"}),
        (text("a.csv", "id,text\n1,Zoë – 5 €\n".encode("windows-1252")),
         [{"id": "1", "text": "Zoë – 5 €"}], {"encoding": "windows-1252"}),
        (text("a.csv", 'id,text\n1,"a\n""b"", c"\n'), [{"id": "1", "text": 'a\n"b", c'}], {}),
        (text("a.csv", 'id,text\n\\N,"\\.\t\\\\n é\u2028\x7f"\n'),
         [{"id": "\\N", "text": "\\.\t\\\\n é\u2028\x7f"}], {}),
        (text("a.jsonl", '{"id":"007","n":1.0}\n\n{"n":null,"x":[]}\n'),
         [{"id": "007", "n": 1.0}, {"n": None, "x": []}], {"format": "jsonl"}),
        (text("a.json", '[{"id":7,"in":{"deep":[1,{"é":null}]}},\n{"id":8}]'),
         [{"id": 7, "in": {"deep": [1, {"é": None}]}}, {"id": 8}], {"format": "json"}),
        (lambda folder: parquet(folder, {"id": ["007", None], "n": pa.array([1, 2**60])}),
         [{"id": "007", "n": 1}, {"id": None, "n": 2**60}], {"format": "parquet"}),
        (lambda folder: workbook(folder, {"S": sheet_rows(
            [cell("A1", "id"), cell("B1", "sum")],
            [cell("A2", "007"), cell("B2", 3, formula="1+2")])}),
         [{"id": "007", "sum": 3}], {"format": "xlsx", "sheet": "S"}),
    ],
)  # fmt: skip
def test_it_reads_values_as_they_stand(
    uploads: Uploads,  # noqa: F811
    tmp_path: Path,
    make: Make,
    rows: list[dict[str, Any]],
    expected: dict[str, str],
) -> None:
    path = make(tmp_path)
    dataset = uploads.read(path)
    assert (dataset.status, dataset.errors, dataset.set_aside) == (DatasetStatus.READY, [], 0)
    assert rows_of(dataset) == rows
    assert {name: getattr(dataset, name) for name in expected} == expected
    told = uploads.program.get(f"/api/v1/datasets/{dataset.public_id}").json()
    assert (told["status"], told["rows"], told["bytes"]) == (
        "ready",
        len(rows),
        path.stat().st_size,
    )
    names = list(dict.fromkeys(name for row in rows for name in row))
    assert [column["name"] for column in told["columns"]] == names
    listed = uploads.program.get(f"/api/v1/datasets/{dataset.public_id}/rows").json()["items"]
    assert [item["values"] for item in listed] == rows
    page = uploads.page(dataset)
    assert all(f'<td class="name">{name}</td>' in page for name in names)


def test_columns_tell_their_type_fill_and_examples(uploads: Uploads) -> None:  # noqa: F811
    lines = "".join(f"{n},{'x' if n % 4 else ''},2024-01-0{n % 9 + 1}\n" for n in range(8))
    dataset = uploads.read(b"n,mostly,day\n" + lines.encode())
    told = uploads.program.get(f"/api/v1/datasets/{dataset.public_id}").json()["columns"]
    assert [(one["name"], one["type"], one["nulls"]) for one in told] == [
        ("n", "integer", 0),
        ("mostly", "text", 2),
        ("day", "date", 0),
    ]
    assert told[0]["examples"] == ["0", "1", "2"]
    assert "75%" in uploads.page(dataset)


def test_a_sheet_is_chosen_before_or_after(uploads: Uploads, tmp_path: Path) -> None:  # noqa: F811
    book = workbook(
        tmp_path, {"Cover": "", "Data": table(["a"], ["x"]), "More": table(["b"], ["y"])}
    )
    dataset = uploads.read(book)
    assert dataset.status == DatasetStatus.FAILED
    assert dataset.errors[0]["message"] == (
        "The sheet “Cover” is empty. Choose another one: “Data”, “More”."
    )
    # The sheets are there to choose from, although the file was refused.
    assert '<option value="More">More</option>' in uploads.page(dataset)
    again = uploads.read_again(dataset, sheet="More")
    assert (again.status, rows_of(again)) == (DatasetStatus.READY, [{"b": "y"}])
    assert rows_of(uploads.read(book, sheet="Data")) == [{"a": "x"}]
    wrong = uploads.read(book, sheet="Nope")
    assert "no sheet “Nope”. It has: “Cover”, “Data”, “More”" in wrong.errors[0]["message"]


def test_content_decides_over_the_name(uploads: Uploads) -> None:  # noqa: F811
    dataset = uploads.read(b'{"a": 1}\n{"a": 2}\n', "export.csv")
    assert (dataset.format, rows_of(dataset)) == ("jsonl", [{"a": 1}, {"a": 2}])
    notice = "The name ends in .csv, but the content is JSONL (one object a line)"
    assert notice in dataset.notices[0]
    assert notice in uploads.page(dataset)


def test_a_cell_of_a_megabyte_is_a_cell(uploads: Uploads) -> None:  # noqa: F811
    large = "é " * 500_000
    dataset = uploads.read(f'a,b\n1,"{large}"\n'.encode())
    assert rows_of(dataset) == [{"a": "1", "b": large}]
    assert dataset.columns[1]["max_length"] == 1_000_000
    assert len(uploads.page(dataset)) < 100_000


def test_the_same_bytes_are_noticed(uploads: Uploads) -> None:  # noqa: F811
    first = uploads.read(b"a\n1\n", name="first.csv")
    second = uploads.send(b"a\n1\n", name="second.csv")
    assert second.sha256 == first.sha256
    other = Dataset.objects.create(
        team=uploads.cast.other_team, name="theirs", filename="x", sha256=first.sha256
    )
    page = uploads.page(uploads.read(b"a\n1\n", name="third.csv"))
    assert "Same content:" in page
    assert f"/datasets/{first.public_id}/" in page
    assert f"/datasets/{other.public_id}/" not in page
