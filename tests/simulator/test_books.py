"""What the simulator counts equals what its clients saw, to the token."""

import asyncio
import hashlib
import json
from collections import Counter
from typing import Any

import aiohttp

from tests.simulator.raw import (
    CHAT,
    MESSAGES,
    RESPONSES,
    connect,
    exchange,
    request_for,
    settled,
)
from tests.simulator_process import SimulatorProcess

MIX = {
    "rate_limited": 0.1,
    "server_error": 0.05,
    "invalid_json": 0.05,
    "refusal": 0.05,
    "truncated": 0.05,
    "connection": 0.1,
    "html_200": 0.05,
    "usage_missing": 0.05,
    "late": {"share": 0.05, "seconds": 0.01},
}


async def _run(url: str, paths: list[str], calls: int) -> tuple[Counter[str], list[str]]:
    """Sends calls and adds up what their answers say; returns the sums and the answers."""
    seen: Counter[str] = Counter()
    answers = [""] * calls
    gate = asyncio.Semaphore(32)

    async def call(n: int, session: aiohttp.ClientSession) -> None:
        path = paths[n % len(paths)]
        body = request_for(path, f"Row {n}: please refund 5 EUR").partition(b"\r\n\r\n")[2]
        headers = {"anthropic-version": "2023-06-01"}
        async with gate:
            try:
                async with session.post(url + path, data=body, headers=headers) as answer:
                    text = await answer.text()
            except aiohttp.ClientError:
                seen["broken"] += 1
                return
        answers[n] = text
        seen[str(answer.status)] += 1
        usage: dict[str, Any] = json.loads(text).get("usage", {}) if text[0] == "{" else {}
        for name in ("prompt_tokens", "input_tokens"):
            seen["input"] += usage.get(name, 0)
        for name in ("completion_tokens", "output_tokens"):
            seen["output"] += usage.get(name, 0)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(call(n, session) for n in range(calls)))
    return seen, answers


def test_it_counts_what_the_clients_saw(simulator: SimulatorProcess) -> None:
    simulator.set_faults(MIX)
    seen, _ = asyncio.run(_run(simulator.url, [CHAT, RESPONSES, MESSAGES], 600))
    model = settled(simulator)["models"]["sim-small"]
    assert model["calls"] == 600
    assert model["input_tokens"] == seen["input"]
    assert model["output_tokens"] == seen["output"]
    assert model["answered_200"] == seen["200"]
    assert model["by_status"]["429"] == seen["429"]
    assert model["by_status"]["500"] == seen["500"]
    assert model["unseen"]["calls"] == seen["broken"] > 30
    assert set(model["by_fault"]) == set(MIX)
    assert sum(model["by_status"].values()) == 600
    free = seen["429"] + seen["500"] + model["by_fault"]["html_200"]
    charged = model["billed_calls"] + model["unseen"]["calls"] + model["unreported"]["calls"]
    assert free + charged == 600


def test_it_repeats_a_whole_run(simulator: SimulatorProcess) -> None:
    simulator.set_faults(MIX)
    first_seen, first = asyncio.run(_run(simulator.url, [CHAT], 200))
    simulator.reset()
    second_seen, second = asyncio.run(_run(simulator.url, [CHAT], 200))
    assert first_seen == second_seen
    bare = [{**json.loads(text), "id": ""} if text[:1] == "{" else text for text in first]
    again = [{**json.loads(text), "id": ""} if text[:1] == "{" else text for text in second]
    assert bare == again


def test_it_counts_the_calls_of_each_prompt(simulator: SimulatorProcess) -> None:
    for prompt in ("a", "b", "a"):
        exchange(simulator, request_for(CHAT, prompt))
    key = hashlib.sha1(b"a").hexdigest()[:16]
    prompts = simulator.stats(prompts=True)["prompts"]
    assert prompts[key] == 2
    assert sorted(prompts.values()) == [1, 2]
    assert "prompts" not in simulator.stats()


def test_it_counts_an_answer_nobody_waited_for_as_unseen(simulator: SimulatorProcess) -> None:
    simulator.set_faults(latency_ms=60_000)
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, "hello"))
        while simulator.stats()["in_flight"] == 0:
            pass
    model = settled(simulator)["models"]["sim-small"]
    assert model["by_status"] == {"disconnected": 1}
    assert model["unseen"]["calls"] == 1
    assert model["unseen"]["input_tokens"] > 0
    assert model["input_tokens"] == 0


def test_it_keeps_what_an_anthropic_request_marks(simulator: SimulatorProcess) -> None:
    simulator.set_faults(prompt_cache=True)

    def asked(n: int, text: str, **mark: object) -> dict[str, int]:
        system = [{"type": "text", "text": text, **mark}]
        found = exchange(simulator, request_for(MESSAGES, f"Row {n}", system=system)).json
        usage: dict[str, int] = found["usage"]
        return usage

    system, mark = "You classify tickets. " * 200, {"type": "ephemeral"}
    prefix = -(-len(system) // 4)
    # Neither what nobody asks to keep nor what is too short is kept.
    for usage in (
        *(asked(n, system) for n in (1, 2)),
        *(asked(n, "Classify.", cache_control=mark) for n in (3, 4)),
    ):
        assert usage["cache_creation_input_tokens"] == usage["cache_read_input_tokens"] == 0
    simulator.reset()
    first, second = (asked(n, system, cache_control=mark) for n in (5, 6))
    assert first["cache_creation_input_tokens"] == prefix
    assert first["cache_read_input_tokens"] == 0
    assert second["cache_creation_input_tokens"] == 0
    assert second["cache_read_input_tokens"] == prefix
    model = simulator.stats()["models"]["sim-small"]
    assert model["cached_input_tokens"] == prefix
    assert model["cache_write_tokens"] == prefix
    total = first["input_tokens"] + second["input_tokens"] + 2 * prefix
    assert model["input_tokens"] == total


def test_it_keeps_what_openai_requests_begin_with(simulator: SimulatorProcess) -> None:
    simulator.set_faults(prompt_cache=True)
    system = "You classify tickets. " * 250  # 1,375 tokens
    details = [
        exchange(simulator, request_for(CHAT, f"{system} Row {n}")).json["usage"] for n in (1, 2)
    ]
    cached = [one["prompt_tokens_details"]["cached_tokens"] for one in details]
    assert cached == [0, 1_024 + 2 * 128]


def test_it_starts_anew_on_reset(simulator: SimulatorProcess) -> None:
    exchange(simulator, request_for(CHAT, "hello"))
    simulator.reset()
    stats = simulator.stats(prompts=True)
    assert stats["models"] == {}
    assert stats["prompts"] == {}
