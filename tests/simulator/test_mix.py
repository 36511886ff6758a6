"""Which call meets which fault: by share, the same in each run, and as narrow as is asked for."""

import json
from collections import Counter
from typing import Any

import pytest

from jobs.simulator.faults import Mix, UnknownFaultError
from jobs.simulator.wire import Question
from tests.simulator.raw import CHAT, exchange, posted, request_for
from tests.simulator.schemas import said
from tests.simulator_process import SimulatorProcess


def names(
    given: dict[str, Any],
    prompts: int = 2000,
    *,
    occurrence: int = 1,
    seed: int = 0,
    model: str = "m",
) -> list[str]:
    mix = Mix(given)
    chosen = []
    for n in range(prompts):
        prompt = f"row {n}"
        fault = mix.choose(seed, Question(model, "", prompt, prompt), occurrence)
        chosen.append(fault.name if fault else "")
    return chosen


def test_it_befalls_the_shares_that_were_asked_for() -> None:
    counted = Counter(names({"timeout": 0.1, "refusal": 0.3}))
    assert 150 < counted["timeout"] < 250
    assert 530 < counted["refusal"] < 670


def test_it_repeats_itself_for_a_seed() -> None:
    given = {"timeout": 0.2, "refusal": {"share": 0.2, "sticky": True}}
    assert names(given) == names(given)
    assert names(given) != names(given, seed=1)


def test_it_decides_each_call_of_a_prompt_anew() -> None:
    assert names({"timeout": 0.5}) != names({"timeout": 0.5}, occurrence=2)


def test_it_sticks_to_a_prompt_if_told_so() -> None:
    given = {"timeout": {"share": 0.5, "sticky": True}}
    assert names(given) == names(given, occurrence=7)
    assert set(names(given)) == {"", "timeout"}


def test_it_befalls_a_prompt_so_many_times() -> None:
    given = {"timeout": {"share": 0.5, "times": 2}}
    first, second, third = (names(given, occurrence=n) for n in (1, 2, 3))
    assert first == second
    assert set(first) == {"", "timeout"}
    assert set(third) == {""}


def test_it_keeps_to_the_models_and_prompts_it_is_for() -> None:
    given = {"timeout": {"share": 1, "models": ["a"], "match": "row 1"}}
    assert names(given, 2, model="a") == ["", "timeout"]
    assert names(given, 2, model="b") == ["", ""]


@pytest.mark.parametrize(
    "given",
    [
        {"earthquake": 0.1},
        {"timeout": 1.5},
        {"timeout": "often"},
        {"timeout": {"share": 0.1, "models": "m"}},
        {"timeout": 0.6, "refusal": 0.6},
    ],
)
def test_it_refuses_a_mix_it_does_not_understand(given: dict[str, Any]) -> None:
    with pytest.raises(UnknownFaultError):
        Mix(given)


def test_it_takes_a_new_mix_while_it_runs(simulator: SimulatorProcess) -> None:
    assert exchange(simulator, request_for(CHAT, "hello")).status == 200
    simulator.set_faults({"server_error": 1})
    assert exchange(simulator, request_for(CHAT, "hello")).status == 500
    assert simulator.set_faults(latency_ms=1)["faults"] == {"server_error": 1}
    simulator.set_faults({})
    assert exchange(simulator, request_for(CHAT, "hello")).status == 200


def test_it_obeys_a_marker_for_so_many_calls(simulator: SimulatorProcess) -> None:
    request = request_for(CHAT, "Row 5 [[fault:overloaded:2]]")
    assert [exchange(simulator, request).status for _ in range(3)] == [503, 503, 200]


def test_it_ignores_markers_unless_told_otherwise(simulator: SimulatorProcess) -> None:
    request = request_for(CHAT, "Row 6 [[fault:overloaded]]")
    assert exchange(simulator, request).status == 503
    simulator.set_faults(markers=False)
    assert exchange(simulator, request).status == 200


def test_it_writes_a_text_as_long_as_a_marker_asks(simulator: SimulatorProcess) -> None:
    body = {"model": "sim-small", "messages": said("Row 7 [[tokens:321]]")}
    request = posted(CHAT, json.dumps(body).encode())
    assert exchange(simulator, request).json["usage"]["completion_tokens"] == 321
    short = posted(CHAT, json.dumps({**body, "max_tokens": 50}).encode())
    assert exchange(simulator, short).json["choices"][0]["finish_reason"] == "length"
    simulator.set_faults(markers=False)
    assert exchange(simulator, request).json["usage"]["completion_tokens"] < 100


def test_it_points_out_a_marker_it_does_not_know(simulator: SimulatorProcess) -> None:
    seen = exchange(simulator, request_for(CHAT, "[[fault:earthquake]]"))
    assert seen.status == 400
    assert "marker" in seen.json["error"]["message"]
