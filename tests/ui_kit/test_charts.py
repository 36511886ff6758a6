"""The geometry of bars and charts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.templatetags.charts import (
    BAR_WIDTH,
    CHART_HEIGHT,
    Chart,
    bar_segments,
    chart_context,
    nice_top,
    sparkline_points,
)
from jobs.templatetags.statuses import BAR_ORDER


@given(st.dictionaries(st.sampled_from(BAR_ORDER), st.integers(0, 10**7), min_size=1))
def test_it_fills_the_bar_and_hides_no_count(counts: dict[str, int]) -> None:
    segments = bar_segments(counts, {})
    assert {one.key: one.count for one in segments} == {k: n for k, n in counts.items() if n}
    if segments:
        assert sum(one.width for one in segments) == pytest.approx(BAR_WIDTH, abs=0.1)
        assert min(one.width for one in segments) > 9


def test_it_draws_nothing_for_no_records() -> None:
    assert bar_segments({"succeeded": 0, "failed": None}, {}) == []


def test_it_shows_one_failure_among_a_million() -> None:
    failed = bar_segments({"succeeded": 10**6, "failed": 1}, {"failed": "/f/"})[1]
    assert (failed.key, failed.href, failed.count) == ("failed", "/f/", 1)
    assert failed.width > 9


def test_it_shows_a_status_it_does_not_know() -> None:
    assert [one.words for one in bar_segments({"on_hold": 3}, {})] == ["on hold"]


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 1), (1, 1), (3, 5), (10, 10), (11, 20), (4001, 5000)]
)
def test_it_ends_the_axis_at_a_round_number(largest: int, top: int) -> None:
    assert nice_top(largest) == top


def a_chart(**changes: object) -> Chart:
    chart = {
        "title": "Rows",
        "buckets": ["Mon", "Tue"],
        "series": [
            {"name": "Good", "values": [3, 0], "tone": "green"},
            {"name": "Bad", "values": [2, 1], "tone": "red"},
        ],
    }
    return {**chart, **changes}  # type: ignore[return-value,typeddict-item]


def test_it_stacks_a_column_from_the_ground_up() -> None:
    monday = chart_context(a_chart())["bars"][0]  # type: ignore[index]
    good, bad = monday["rects"]
    assert float(good["y"]) + float(good["height"]) == CHART_HEIGHT
    assert float(bad["y"]) + float(bad["height"]) == float(good["y"])
    assert float(bad["y"]) == 0  # 5 of an axis that ends at 5
    assert monday["words"] == "Mon: 5 (Good 3, Bad 2)"


def test_its_table_says_what_its_bars_show() -> None:
    shown = chart_context(a_chart())
    assert shown["table"] == [("Mon", ["3", "2"], "5", ""), ("Tue", ["0", "1"], "1", "")]
    assert shown["total"] == "6"


def test_it_refuses_values_that_do_not_match_their_buckets() -> None:
    with pytest.raises(ValueError, match="3 buckets"):
        chart_context(a_chart(buckets=["Mon", "Tue", "Wed"]))


def test_it_draws_an_empty_chart() -> None:
    assert chart_context(a_chart(buckets=[], series=[]))["bars"] == []


@pytest.mark.parametrize(
    ("values", "points"),
    [([], ""), ([0], "0.0,23.0 100.0,23.0"), ([1, 2], "0.0,12.0 100.0,1.0")],
)
def test_it_draws_a_sparkline(values: list[float], points: str) -> None:
    assert sparkline_points(values) == points
