"""How slices share limits and find them: the engine's lanes and the simulator's limits under a clock
that jumps from event to event, so that minutes of thousands of calls take moments."""

import pytest

from bench.virtual_limits import BEGIN, Provider, Run, levels
from jobs.engine.limits import GRANT_S, Limits

UNLIMITED = Provider(0, latency=0.4)
# Every rate with every way of telling; the ways of counting and the numbers of slices take turns.
MATRIX = [
    (rpm, kind, headers, slices)
    for rpm in (60, 300, 1000, 6000)
    for headers in ("all", "none")
    for kind, slices in (("bucket", 1), ("minutes", 2), ("tight", 4))
]


@pytest.mark.parametrize(("rpm", "kind", "headers", "slices"), MATRIX)
def test_it_finds_the_level_of_any_provider(rpm: int, kind: str, headers: str, slices: int) -> None:
    """From cold, when the limit is doubled, and when it is halved."""
    for row in levels(rpm, kind, headers, slices):
        told = f"{row}"
        assert row["used"] >= 0.95, told
        assert row["refused"] < 0.01, told
        assert row["seconds"] is not None, told
        if row["phase"] == "cold":
            assert row["seconds"] <= 60, told


@pytest.mark.parametrize("rpm", [60, 600])
@pytest.mark.parametrize("slices", [1, 4])
def test_it_never_exceeds_a_configured_rate_in_any_minute(rpm: int, slices: int) -> None:
    run = Run(UNLIMITED, slices, 240.0, limits=Limits(rpm=rpm)).run()
    assert run.most_a_minute() <= rpm
    assert len(run.sent) >= 0.95 * rpm * 4
    # Evenly, too: no second holds a burst.
    most = max(run.sent_by[name, s] for name in "0123" for s in range(240))
    assert most <= rpm / 60 + 2
    assert any(f"limit of {rpm:,} requests/min" in why for why in run.whys)


def test_a_slice_that_dies_gives_its_share_back_within_seconds() -> None:
    run = Run(
        UNLIMITED, 2, 120.0, limits=Limits(rpm=600, max_in_flight=8), deaths=((60.0, 0),)
    ).run()  # fmt: skip
    before = run.sent_by["1", 50]
    after = sum(run.sent_by["1", s] for s in range(60 + int(GRANT_S) + 1, 100)) / 39
    assert before <= 6
    assert after >= 8
    assert run.most_a_minute() <= 600


def test_it_never_has_more_in_flight_than_configured() -> None:
    run = Run(UNLIMITED, 4, 60.0, limits=Limits(max_in_flight=32)).run()
    assert 28 <= run.most_in_flight <= 32
    assert any("max in flight 32" in why for why in run.whys)


def test_it_has_no_more_in_flight_after_a_lull() -> None:
    """Jobs are cancelled and others launched: for a while slices have nothing to send."""
    lulls = ((10.0, 10.4), (15.0, 16.1), (20.0, 22.0), (30.0, 33.0))
    slow = Provider(0, latency=1.0)
    run = Run(slow, 2, 60.0, limits=Limits(max_in_flight=16), lulls=lulls).run()
    assert run.most_in_flight == 16
    assert all(sum(run.sent_by[name, s] for name in "01") >= 12 for s in (14, 19, 26, 36, 50))


def test_it_keeps_to_tokens_and_learns_what_a_call_takes() -> None:
    """The text is thought to take 30 tokens and takes 100; one of four slices dies on the way."""
    run = Run(
        UNLIMITED, 4, 300.0, limits=Limits(input_tpm=60_000, output_tpm=100_000), thought=30,
        deaths=((150.0, 0),),
    ).run()  # fmt: skip
    for begin in range(60, 240, 7):
        used = [t for t in run.used_tokens if BEGIN + begin <= t[0] < BEGIN + begin + 60]
        assert 0.9 * 60_000 <= sum(t[1] for t in used) <= 60_000
        assert sum(t[2] for t in used) <= 100_000


def test_it_reaches_the_ceiling_at_once_where_there_is_no_limit() -> None:
    run = Run(Provider(0, latency=0.2, jitter=0.0), 1, 3.0).run()
    # 8, 16, 32, 64, 128, 256, 512: six round trips and the first tick.
    assert run.most_in_flight == 512
    assert sum(run.sent_by["0", s] for s in (2,)) > 1_000


@pytest.mark.parametrize("latency", [0.02, 8.0])
def test_it_finds_the_level_however_long_an_answer_takes(latency: float) -> None:
    """Of a call that takes long, what matters is known soon: that it was not sent away."""
    run = Run(Provider(300, "tight", "none", latency), 1, 420.0).run()
    assert run.used(60, 420, 300) >= 0.95
    assert run.refused_share(60, 420) < 0.01


def test_what_was_found_outlives_those_who_found_it() -> None:
    """A job that starts later begins at the level, and what came of it is kept by the minute."""
    provider = Provider(600, "bucket", "none")
    first = Run(provider, 2, 180.0).run()
    past = [one[1:3] for one in first.state.past]
    assert len(past) == 4  # begun within a minute
    calls = sum(first.accepted.values()) + sum(first.refused.values())
    assert calls - first.in_flight - 20 <= sum(map(sum, past)) <= calls
    assert first.state.past[-1][3] == pytest.approx(600, rel=0.1)
    later = Run(provider, 1, 300.0, begin=240.0, state=first.state).run()
    assert later.used(240, 300, 600) >= 0.9
    assert later.refused_share(240, 300) < 0.01


def test_it_tells_a_slow_provider_from_a_small_limit() -> None:
    slow = Run(Provider(0, latency=9.0), 1, 120.0).run()
    assert not any("limit" in why for why in slow.whys)
    small = Run(Provider(300, "bucket", "none"), 1, 120.0).run()
    assert any("provider limit about 2" in why or "about 3" in why for why in small.whys)


def test_a_minute_that_is_used_up_is_waited_out_and_said() -> None:
    run = Run(Provider(300, "minutes", "retry-after"), 2, 60.0).run()
    assert any(why.startswith("waiting for Retry-After until 08:01:00 UTC") for why in run.whys), (
        run.whys
    )
    # It was told once, and nobody asked again before the time.
    assert sum(run.refused.values()) < 60


def test_teams_take_turns_where_calls_are_rationed() -> None:
    run = Run(UNLIMITED, 2, 60.0, limits=Limits(rpm=300), teams=(1, 2, 3)).run()
    shares = [run.by_team[team] for team in (1, 2, 3)]
    assert max(shares) - min(shares) <= 6, shares


@pytest.mark.parametrize("rpm", [0, 3_000])
def test_it_is_not_misled_by_a_provider_that_sheds_load_at_random(rpm: int) -> None:
    """Two of a hundred are sent away whatever is asked for: with no limit, or with one that is told."""
    run = Run(Provider(rpm, sheds=0.02), 2, 300.0).run()
    sent = sum(run.sent_by[name, s] for name in "01" for s in range(60, 300)) / 4
    assert sent >= (50_000 if rpm == 0 else 0.6 * rpm)
