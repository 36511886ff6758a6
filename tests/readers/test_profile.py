"""Column profiles: exact counts, types and examples from a sample."""

from typing import Any

import pytest

from jobs.datasets.profile import ColumnProfiler


def profile(rows: list[dict[str, Any]]) -> dict[str, Any]:
    profiler = ColumnProfiler()
    for row in rows:
        profiler.add(row)
    return {column["name"]: column for column in profiler.result()}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-20", "0"], "integer"),
        (["007", "1"], "text"),
        (["1", "2.5", "1e5"], "number"),
        ([1, 2], "integer"),
        ([1, 2.5], "number"),
        (["true", "FALSE"], "boolean"),
        ([True, False], "boolean"),
        (["2024-01-31", "2024-02-29"], "date"),
        (["2024-01-31", "2024-02-29T10:00:00Z"], "datetime"),
        (["2024-02-30", "2024-01-01"], "text"),
        ([{"a": 1}, [1]], "json"),
        (["a", ["b"]], "json"),
        (["x", "1"], "text"),
        (["", None], "empty"),
        (["", "5", None], "integer"),
        (["٣"], "text"),
    ],
)
def test_it_names_the_type_of_a_column(values: list[Any], kind: str) -> None:
    assert profile([{"c": value} for value in values])["c"]["type"] == kind


def test_it_counts_null_missing_and_empty_alike() -> None:
    found = profile([{"a": "x"}, {"a": "", "b": 1}, {"a": None, "b": 2}, {}])
    assert (found["a"]["nulls"], found["a"]["fill_rate"]) == (3, 0.25)
    assert (found["b"]["nulls"], found["b"]["fill_rate"]) == (2, 0.5)


def test_it_counts_exactly_behind_the_sample() -> None:
    rows: list[dict[str, Any]] = [{"a": "x"}] * 30_000 + [{"a": ""}] * 3 + [{"a": "y" * 500}]
    found = profile(rows)["a"]
    assert (found["nulls"], found["max_length"]) == (3, 500)
    assert found["fill_rate"] == 0.9999  # never 1 while something is missing


def test_it_keeps_three_different_short_examples() -> None:
    found = profile([{"a": value} for value in ["x", "x", "", "y" * 200, "z", "w"]])["a"]
    assert found["examples"] == ["x", "y" * 79 + "…", "z"]
    assert profile([{"a": {"b": [1]}}])["a"]["examples"] == ['{"b":[1]}']


def test_it_lists_columns_that_never_came() -> None:
    profiler = ColumnProfiler(["a", "b"])
    profiler.add({"a": "1"})
    assert [(column["name"], column["nulls"]) for column in profiler.result()] == [
        ("a", 0),
        ("b", 1),
    ]
    assert ColumnProfiler(["a"]).result()[0]["fill_rate"] == 0.0
