"""Limits: how much is let through, what the headers say, and when it may be tried again."""

import pytest

from jobs.simulator.limits import Limits
from tests.simulator.raw import CHAT, MESSAGES, connect, exchange, request_for, settled
from tests.simulator_process import SimulatorProcess


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limits(clock: Clock, *, rpm: int = 0, tpm: int = 0, burst: float = 60) -> Limits:
    made = Limits(clock)
    made.set(rpm=rpm, tpm=tpm, output_tpm=0, burst=burst)
    return made


def test_it_lets_a_minute_through_at_once_and_then_the_rate(clock: Clock) -> None:
    bucket = limits(clock, rpm=60)
    taken = [bucket.take("m", 1, None)[0] == 0 for _ in range(61)]
    assert taken == [True] * 60 + [False]
    wait, hit, _ = bucket.take("m", 1, None)
    assert (wait, hit) == (pytest.approx(1), "requests")
    clock.now += 1
    assert bucket.take("m", 1, None)[0] == 0
    assert bucket.take("m", 1, None)[0] > 0


def test_it_lets_less_through_at_once_with_a_shorter_burst(clock: Clock) -> None:
    bucket = limits(clock, rpm=600, burst=1)
    assert [bucket.take("m", 1, None)[0] == 0 for _ in range(11)] == [True] * 10 + [False]


def test_it_takes_nothing_from_one_limit_when_another_refuses(clock: Clock) -> None:
    bucket = limits(clock, rpm=60, tpm=100)
    assert bucket.take("m", 80, None)[0] == 0
    wait, hit, states = bucket.take("m", 80, None)
    assert hit == "tokens"
    assert wait == pytest.approx(36)
    assert states["requests"].remaining == 59
    assert states["tokens"].remaining == 20


def test_it_lets_a_call_through_that_is_larger_than_the_limit(clock: Clock) -> None:
    bucket = limits(clock, tpm=100)
    assert bucket.take("m", 500, None)[0] == 0
    clock.now += 60
    assert bucket.take("m", 500, None)[0] > 0


def test_it_keeps_models_apart(clock: Clock) -> None:
    bucket = limits(clock, rpm=1)
    assert bucket.take("a", 1, None)[0] == 0
    assert bucket.take("a", 1, None)[0] > 0
    assert bucket.take("b", 1, None)[0] == 0


def test_it_tells_openais_clients_where_they_stand(simulator: SimulatorProcess) -> None:
    simulator.set_faults(rpm=2, tpm=100_000)
    heads = [exchange(simulator, request_for(CHAT, f"Row {n}")).head for n in range(3)]
    assert b"x-ratelimit-limit-requests: 2\r\n" in heads[0]
    assert b"x-ratelimit-remaining-requests: 1\r\n" in heads[0]
    assert b"x-ratelimit-limit-tokens: 100000\r\n" in heads[0]
    assert heads[2].startswith(b"http/1.1 429")
    assert b"x-ratelimit-remaining-requests: 0\r\n" in heads[2]
    assert b"retry-after: 30\r\n" in heads[2]
    model = simulator.stats()["models"]["sim-small"]
    assert model["by_status"] == {"200": 2, "429": 1}


def test_it_tells_anthropics_clients_where_they_stand(simulator: SimulatorProcess) -> None:
    simulator.set_faults(rpm=100, tpm=1000, output_tpm=10)
    first = exchange(simulator, request_for(MESSAGES, "Row 1"))
    second = exchange(simulator, request_for(MESSAGES, "Row 2"))
    for name in (b"requests-limit: 100", b"input-tokens-limit: 1000", b"output-tokens-limit: 10"):
        assert b"anthropic-ratelimit-" + name + b"\r\n" in first.head
    assert second.status == 429
    assert b"anthropic-ratelimit-output-tokens-remaining: 0" in second.head
    assert second.json["error"]["type"] == "rate_limit_error"


def test_it_refuses_more_than_so_many_at_once(simulator: SimulatorProcess) -> None:
    simulator.set_faults(max_in_flight=1, latency_ms=60_000)
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, "Row 1"))
        while simulator.stats()["in_flight"] == 0:
            pass
        assert exchange(simulator, request_for(CHAT, "Row 2")).status == 429
    settled(simulator)
    simulator.set_faults(latency_ms=0)
    assert exchange(simulator, request_for(CHAT, "Row 2")).status == 200


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_it_refuses_prompts_that_are_too_long(simulator: SimulatorProcess, path: str) -> None:
    simulator.set_faults(context_tokens=500)
    assert exchange(simulator, request_for(path, "short")).status == 200
    seen = exchange(simulator, request_for(path, "long " * 1000))
    assert seen.status == 400
    assert "500" in seen.json["error"]["message"]


def test_it_does_not_count_refused_calls_as_seen_prompts(simulator: SimulatorProcess) -> None:
    simulator.set_faults(rpm=1)
    for _ in range(3):
        exchange(simulator, request_for(CHAT, "Row 1"))
    assert list(simulator.stats(prompts=True)["prompts"].values()) == [1]


def test_it_may_count_in_minutes_of_the_clock_instead(clock: Clock) -> None:
    counted = Limits(clock)
    counted.set(rpm=60, tpm=0, output_tpm=0, burst=60, minutes=True)
    clock.now = 45.0
    taken = [counted.take("m", 1, None)[0] == 0 for _ in range(61)]
    assert taken == [True] * 60 + [False]
    wait, _, states = counted.take("m", 1, None)
    assert (wait, states["requests"].reset) == (15, 15)
    clock.now = 60.0
    assert all(counted.take("m", 1, None)[0] == 0 for _ in range(60))


def test_it_may_refuse_without_a_word(simulator: SimulatorProcess) -> None:
    simulator.set_faults(rpm=1, limit_headers=False)
    heads = [exchange(simulator, request_for(CHAT, f"Row {n}")).head for n in range(2)]
    assert heads[1].startswith(b"http/1.1 429")
    for head in heads:
        assert b"ratelimit" not in head
        assert b"retry-after" not in head
