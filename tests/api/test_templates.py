"""/templates"""

from typing import Any

import pytest

from tests.api.caller import SCHEMA, Caller

pytestmark = pytest.mark.django_db
DRAFT = {"name": "Sort", "system": "You sort.", "user": "Sort: {{ text }}"}


def test_it_makes_the_next_version_under_the_same_name_and_none_where_nothing_changed(
    api: Caller,
) -> None:
    first = api.post("/templates", DRAFT)
    assert first["version"] == 1
    again = api.post("/templates", {**DRAFT, "user": DRAFT["user"]})
    assert (again["id"], again["version"]) == (first["id"], 1)
    second = api.post("/templates", {**DRAFT, "output_schema": SCHEMA})
    assert (second["id"], second["version"]) == (first["id"], 2)
    # Versions stay as they were.
    old = api.get(f"/templates/{first['id']}?version=1")
    assert (old["version"], old["output_schema"]) == (1, None)
    assert api.get(f"/templates/{first['id']}")["output_schema"] == SCHEMA
    (listed,) = api.items("/templates")
    assert (listed["id"], listed["version"]) == (first["id"], 2)


def test_it_keeps_what_it_was_given(api: Caller) -> None:
    given = {
        **DRAFT,
        "output_schema": SCHEMA,
        "rules": [{"field": "label", "max_length": 20}],
        "defaults": {"max_tokens": 50, "temperature": 0.5},
    }
    saved = api.post("/templates", given)
    assert {name: saved[name] for name in given} == given


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": " "}, ("name",)),
        ({"name": "n" * 201}, ("name",)),
        ({"kind": "dance"}, ("kind",)),
        ({"kind": "embed"}, ("kind",)),
        ({"user": ""}, ("user",)),
        ({"user": "{{ text"}, ("user",)),
        ({"system": "{% for x in y %}"}, ("system",)),
        ({"user": 5}, ("user",)),
        ({"user": "nul \0"}, ("user",)),
        ({"output_schema": {"type": "array"}}, ("output_schema",)),
        ({"output_schema": "text"}, ("output_schema",)),
        ({"rules": ["x"]}, ("rules", 0)),
        ({"defaults": {"max_tokens": "many"}}, ("defaults", "max_tokens")),
        ({"defaults": {"max_token": 5}}, ("defaults", "max_token")),
        ({"usr": "x"}, ("usr",)),
    ],
)
def test_it_names_the_field_that_is_wrong(
    api: Caller, change: dict[str, Any], place: tuple[str | int, ...]
) -> None:
    faults = api.refused("/templates", {**DRAFT, **change})
    assert [found[: len(place)] for found in faults] == [place]
    assert api.items("/templates") == []


def test_it_says_all_that_is_wrong_at_once(api: Caller) -> None:
    body = {"name": "", "user": "", "output_schema": {}}
    assert set(api.refused("/templates", body)) == {("name",), ("user",), ("output_schema",)}


def test_it_renders_rows_as_the_model_would_see_them(api: Caller) -> None:
    dataset = api.dataset('id,text\n1,"{{ id }} & <b>"\n2,\n')
    template = api.template("{{ id }}: {{ text }}{% if none %}{{ none.x }}{% endif %}")
    body = {"dataset": dataset, "rows": [2, 1, 3]}
    rows = api.post(f"/templates/{template}/preview", body)["rows"]
    assert [row["row"] for row in rows] == [2, 1, 3]
    assert [row["user"] for row in rows] == ["2: ", "1: {{ id }} & <b>", ""]
    assert [row["error"] is None for row in rows] == [True, True, False]
    assert rows[0]["system"] == "You sort tickets."
    assert rows[1]["input_tokens"] > 0


def test_it_says_per_row_why_it_cannot_be_rendered(api: Caller) -> None:
    dataset = api.dataset('{"text": "a"}\n{"other": "b"}\n', "rows.jsonl")
    template = api.template("{{ text }}")
    body = {"dataset": dataset, "rows": [1, 2]}
    one, two = api.post(f"/templates/{template}/preview", body)["rows"]
    assert (one["user"], one["error"]) == ("a", None)
    assert "text" in two["error"]


def test_it_refuses_previews_of_what_is_not_there(api: Caller, stranger: Caller) -> None:
    template = api.template()
    path, dataset = f"/templates/{template}/preview", api.dataset()
    assert set(api.refused(path, {"dataset": "none"}, status=404)) == {("dataset",)}
    absent = api.refused(path, {"dataset": dataset, "version": 9}, status=404)
    assert absent == {("path",): "The template “Sort” has no version 9; its latest is 1."}
    assert set(api.refused(path, {"dataset": dataset, "rows": [0]})) == {("rows", 0)}
    assert set(api.refused(path, {"dataset": dataset, "rows": ["x"]})) == {("rows", 0)}
    assert set(api.refused(path, {"rows": [1]})) == {("dataset",)}
    assert set(api.refused(path, {"dataset": dataset, "rows": [1] * 101})) == {("rows",)}
    stranger.refused(path, {"dataset": dataset}, status=404)
    theirs = stranger.template()
    body = {"dataset": dataset}
    assert set(stranger.refused(f"/templates/{theirs}/preview", body, status=404)) == {("dataset",)}
