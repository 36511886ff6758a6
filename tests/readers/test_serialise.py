"""Row values to JSON text that both databases take."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets.readers import row_json


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"a": "007", "b": None, "c": ["é", 1.5, True]}, '{"a":"007","b":null,"c":["é",1.5,true]}'),
        ({"a": "x\0y"}, '{"a":"x\ufffdy"}'),
        ({"a\0": ["\ud800"]}, '{"a\ufffd":["\ufffd"]}'),
        ({"a": "\\u0000"}, '{"a":"\\\\u0000"}'),
        ({"a": 2**64, "b": 2**64 - 1, "c": True}, f' {{"a":{2**64},"b":{2**64 - 1},"c":true}}'),
    ],
)
def test_it_writes_what_can_be_stored(values: dict[str, Any], text: str) -> None:
    assert row_json(values) == text


@pytest.mark.parametrize("values", [{"a": object()}, {"a\0": 1, "a\ufffd": 2}])
def test_it_refuses_what_json_does_not_have(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        row_json(values)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters()))
def test_it_never_lets_through_what_postgresql_refuses(text: str) -> None:
    written = row_json({"a": text})
    written.encode("utf-8")
    (read,) = json.loads(written).values()
    assert "\0" not in read
    assert len(read) == len(text)
