"""/datasets"""

from typing import Any

import pytest

from tests.api.caller import CSV, Caller, work
from tests.datasets.uploading import stored_files

pytestmark = pytest.mark.django_db


def test_it_answers_at_once_and_reads_in_the_background(api: Caller) -> None:
    made = api.upload(CSV)
    assert (made["status"], made["name"], made["rows"]) == ("ingesting", "tickets", 0)
    work()
    dataset = api.get(f"/datasets/{made['id']}")
    assert dataset["status"] == "ready"
    assert (dataset["rows"], dataset["bytes"], len(dataset["sha256"])) == (12, len(CSV), 64)
    id_, text = dataset["columns"]
    assert (id_["name"], id_["nulls"], id_["examples"][0]) == ("id", 0, "001")
    assert text["name"] == "text"
    assert dataset["errors"] == []


def test_it_gives_rows_verbatim_page_by_page(api: Caller) -> None:
    content = 'a,b\n007,1e5\n" x ",\n"two\nlines",=1+1\n' + "x,y\n" * 60
    made = api.dataset(content)
    rows = api.items(f"/datasets/{made}/rows")
    assert len(rows) == 63
    assert [row["row"] for row in rows] == list(range(1, 64))
    assert [row["values"] for row in rows[:3]] == [
        {"a": "007", "b": "1e5"},
        {"a": " x ", "b": ""},
        {"a": "two\nlines", "b": "=1+1"},
    ]
    assert [row["line"] for row in rows[:4]] == [2, 3, 4, 6]
    assert len(api.get(f"/datasets/{made}/rows?limit=7")["items"]) == 7


def test_it_refuses_bad_rows_by_line_or_sets_them_aside(api: Caller) -> None:
    ragged = "a,b\n1,2\n1,2,3\n4,5\n"
    refused = api.upload(ragged, name="ragged")["id"]
    kept = api.upload(ragged, name="ragged", bad_rows="set_aside")["id"]
    work()
    answer = api.get(f"/datasets/{refused}")
    assert answer["status"] == "failed"
    # The file as a whole has its say last, without a row.
    assert [error["row"] for error in answer["errors"]] == [3, None]
    answer = api.get(f"/datasets/{kept}")
    assert (answer["status"], answer["rows"], answer["set_aside"]) == ("ready", 2, 1)
    assert [error["row"] for error in answer["errors"]] == [3]


def test_it_takes_encoding_and_delimiter(api: Caller) -> None:
    made = api.dataset("größe;b\nä;1\n".encode("cp1252"), encoding="windows-1252", delimiter=";")
    assert api.items(f"/datasets/{made}/rows")[0]["values"] == {"größe": "ä", "b": "1"}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"bad_rows": "perhaps"}, "bad_rows"),
        ({"encoding": "klingon"}, "encoding"),
        ({"delimiter": "too long"}, "delimiter"),
        ({"sheet": "s" * 101}, "sheet"),
        ({"name": "n" * 201}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"delimeter": ";"}, "delimeter"),
    ],
)
def test_it_names_the_field_that_is_wrong(api: Caller, fields: dict[str, str], place: str) -> None:
    (error,) = api.upload(CSV, status=422, **fields)["errors"]
    assert error["loc"] == [place]
    assert api.items("/datasets") == []


def test_it_refuses_what_is_no_file(api: Caller) -> None:
    (error,) = api.upload("", status=422)["errors"]
    assert (error["loc"], "empty" in error["msg"]) == (["file"], True)
    nothing = api.ask("POST", "/datasets", b"--x--\r\n", "multipart/form-data; boundary=x")
    assert [error["loc"] for error in nothing.json()["errors"]] == [["file"]]


def test_it_says_that_an_upload_was_cut_off(api: Caller) -> None:
    before = stored_files()
    head = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    cut = api.ask("POST", "/datasets", f"{head}{CSV[:40]}", "multipart/form-data; boundary=x")
    assert cut.status_code == 422
    (error,) = cut.json()["errors"]
    assert error["loc"] == ["file"]
    assert "cut off after 40 bytes" in error["msg"]
    assert stored_files() == before


def test_it_lists_the_newest_first(api: Caller) -> None:
    made = [api.upload(CSV, name=name)["id"] for name in ("a", "b", "c")]
    assert [found["id"] for found in api.items("/datasets?limit=2")] == made[::-1]


def test_it_tells_another_teams_dataset_and_an_absent_one_alike(
    api: Caller, stranger: Caller
) -> None:
    made = api.dataset()
    for path in (f"/datasets/{made}", f"/datasets/{made}/rows", "/datasets/none"):
        assert stranger.get(path, 404)["errors"][0]["loc"] == ["path"]
    assert stranger.items("/datasets") == []


def test_it_stores_nothing_of_an_upload_that_is_too_large(api: Caller, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1_000
    (error,) = api.upload("a\n" * 1_000, status=422)["errors"]
    assert error["loc"] == ["file"]
    assert "1,000 bytes" in error["msg"]
