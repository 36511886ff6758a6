"""The change between two periods, split: exact whatever the figures, and in the right place."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.costs.change import Kind, Work, explain

amounts = st.integers(0, 10**15)


@st.composite
def works(draw: st.DrawFn) -> Work:
    """Also the odd ones: free, fruitless, without tokens, corrected below nothing."""
    cost = draw(st.one_of(st.just(0), amounts, st.integers(-(10**9), 0)))
    wasted = draw(st.one_of(st.just(0), st.just(cost), st.integers(0, max(cost, 0))))
    counts = st.integers(0, 10**7)
    return Work(draw(counts), draw(counts), cost, wasted)


periods = st.dictionaries(
    st.tuples(st.integers(0, 3), st.sampled_from(["small", "large"])), works(), max_size=6
)


@given(periods, periods)
def test_it_adds_up_to_the_last_digit(before: dict[Kind, Work], after: dict[Kind, Work]) -> None:
    change = explain(before, after)
    assert change.before == sum(work.cost for work in before.values())
    assert change.after == sum(work.cost for work in after.values())
    assert change.volume + change.mix + change.retries + change.price == change.amount


def _parts(before: dict[Kind, Work], after: dict[Kind, Work]) -> dict[str, int]:
    change = explain(before, after)
    names = ("volume", "mix", "retries", "price", "size")
    return {name: getattr(change, name) for name in names if getattr(change, name)}


SMALL, LARGE = ("classify", "small"), ("classify", "large")
BEFORE = {SMALL: Work(100, 10_000, 1_000, 0), LARGE: Work(10, 1_000, 1_000, 0)}


def test_it_finds_the_one_thing_that_changed() -> None:
    twice = {kind: Work(w.results * 2, w.tokens * 2, w.cost * 2, 0) for kind, w in BEFORE.items()}
    assert _parts(BEFORE, twice) == {"volume": 2_000}
    dearer = {**BEFORE, SMALL: Work(100, 10_000, 1_500, 0)}
    assert _parts(BEFORE, dearer) == {"price": 500}
    longer = {**BEFORE, SMALL: Work(100, 15_000, 1_500, 0)}
    assert _parts(BEFORE, longer) == {"mix": 500, "size": 500}
    failing = {**BEFORE, SMALL: Work(100, 15_000, 1_500, 500)}
    assert _parts(BEFORE, failing) == {"retries": 500}
    # As many results, but each of the dear model: 110 x 100 instead of 100 x 10 and 10 x 100.
    assert _parts(BEFORE, {LARGE: Work(110, 11_000, 11_000, 0)}) == {"mix": 9_000}
    # New work is mix, and calls that brought nothing at all are waste.
    assert _parts({SMALL: BEFORE[SMALL]}, BEFORE) == {"volume": 100, "mix": 900}
    fruitless = {**BEFORE, ("extract", "small"): Work(0, 500, 70, 70)}
    assert _parts(BEFORE, fruitless) == {"retries": 70}
    assert _parts(BEFORE, BEFORE) == {}


def test_it_has_no_volume_where_nothing_was_done_before() -> None:
    assert _parts({}, BEFORE) == {"mix": 2_000}
    assert _parts(BEFORE, {}) == {"volume": -2_000}
