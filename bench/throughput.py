"""Rates and what belongs to them: slices against bare clients, with latency and without."""

import time

from bench.figures import Figure, median
from bench.installation import KINDS, Installation, answer, run
from tests.simulator_process import SimulatorProcess

IN_FLIGHT = 128


def bare(client: str, url: str, calls: int, in_flight: int, processes: int = 1) -> dict[str, float]:
    share = calls // processes
    started = [run("bench.bare", client, url, str(share), str(in_flight)) for _ in range(processes)]
    answers = [answer(process) for process in started]
    return {
        "rate": share * processes / max(a["seconds"] for a in answers),
        "cpu_us": sum(a["cpu"] for a in answers) / calls * 1e6,
    }


def durable(
    place: Installation,
    url: str,
    rows: int,
    slices: int = 1,
    max_in_flight: int | None = None,
    limited: bool = False,
) -> dict[str, float]:
    made = place.ask("prepare", rows=rows, url=url, max_in_flight=max_in_flight)
    job = made["job"]
    if limited:
        place.ask("limited", team=made["team"])
    started = [place.start("work") for _ in range(slices)]
    used = [answer(process) for process in started]
    ended = place.ask("outcome", job=job)
    assert ended["succeeded"] == rows, ended
    return {
        "rate": rows / ended["seconds"],
        "cpu_us": sum(one["cpu"] for one in used) / rows * 1e6,
        "peak_mb": max(one["peak_kb"] for one in used) / 1024,
        "tail": ended["tail"],
        "longest": ended["longest"],
    }


def without_latency(runs: int, scale: float) -> list[Figure]:
    """Durable throughput of one slice beside bare aiohttp and a bare `AsyncOpenAI` gather."""
    rows = max(2_000, int(20_000 * scale))
    figures = []
    for kind in KINDS:
        with Installation(kind) as place, SimulatorProcess() as simulator:
            found: dict[str, list[dict[str, float]]] = {"ours": [], "aiohttp": [], "openai": []}
            for _ in range(runs):
                # Side by side in each round, so that a machine that slows down slows all alike.
                found["aiohttp"].append(bare("aiohttp", simulator.url, rows, IN_FLIGHT))
                found["ours"].append(durable(place, simulator.url, rows))
                found["openai"].append(bare("openai", simulator.url, rows // 10, IN_FLIGHT))
        rate = {name: median([one["rate"] for one in all_]) for name, all_ in found.items()}
        cpu = {name: median([one["cpu_us"] for one in all_]) for name, all_ in found.items()}
        share, times = rate["ours"] / rate["aiohttp"], rate["ours"] / rate["openai"]
        wanted = 0.5 if kind == "postgresql" else 0.45
        figures.append(
            Figure(
                f"durable throughput, one slice, {kind}",
                f"{rate['ours']:,.0f}/s, {cpu['ours']:.0f} µs CPU a record",
                f"aiohttp {rate['aiohttp']:,.0f}/s ({cpu['aiohttp']:.0f} µs), "
                f"AsyncOpenAI {rate['openai']:,.0f}/s ({cpu['openai']:.0f} µs)",
                f"≥ {wanted:.0%} of aiohttp: {share:.0%}; ≥ 5 × AsyncOpenAI: {times:.1f} ×",
                share >= wanted and times >= 5,
                {"rows": rows, "runs": found},
            )
        )
    return figures


def with_latency(runs: int, scale: float) -> list[Figure]:
    """200 ms a call, 256 in flight; and what the end of the job takes."""
    rows = max(2_560, int(25_600 * scale))
    with Installation("postgresql") as place, SimulatorProcess(latency_ms=200) as simulator:
        found = [durable(place, simulator.url, rows, max_in_flight=256) for _ in range(runs)]
    rate, ceiling = median([one["rate"] for one in found]), 256 / 0.2
    tail = max(one["tail"] - one["longest"] for one in found)
    return [
        Figure(
            "200 ms latency, 256 in flight, postgresql",
            f"{rate:,.0f}/s",
            f"{ceiling:,.0f}/s",
            f"≥ 95%: {rate / ceiling:.0%}",
            rate >= 0.95 * ceiling,
            {"rows": rows, "runs": found},
        ),
        Figure(
            "straggler tail: from the last claim to the job's end",
            f"longest call {tail:+.2f} s",
            "longest call",
            "≤ longest call + 1 s",
            tail <= 1,
            {"runs": found},
        ),
    ]


def two_slices(runs: int, scale: float) -> list[Figure]:
    """How a second slice process adds up, beside how a second bare client does."""
    rows = max(2_000, int(20_000 * scale))
    ours, bare_clients = [], []
    with Installation("postgresql") as place, SimulatorProcess() as simulator:
        for _ in range(runs):
            one = bare("aiohttp", simulator.url, rows, IN_FLIGHT)["rate"]
            two = bare("aiohttp", simulator.url, rows, IN_FLIGHT, processes=2)["rate"]
            bare_clients.append(two / one)
            alone = durable(place, simulator.url, rows)["rate"]
            both = durable(place, simulator.url, rows, slices=2)["rate"]
            ours.append(both / alone)
    gain, ceiling = median(ours), median(bare_clients)
    return [
        Figure(
            "two slice processes against one, postgresql",
            f"{gain:.2f} ×",
            f"aiohttp {ceiling:.2f} ×",
            f"≥ {ceiling - 0.1:.2f} ×",
            gain >= ceiling - 0.1,
            {"rows": rows, "ours": ours, "aiohttp": bare_clients},
        )
    ]


def memory(runs: int, scale: float) -> list[Figure]:
    """A slice at its most in flight, over slow calls."""
    rows = max(4_096, int(16_384 * scale))
    with Installation("postgresql") as place, SimulatorProcess(latency_ms=500) as simulator:
        peak = max(durable(place, simulator.url, rows)["peak_mb"] for _ in range(runs))
    return [
        Figure(
            "peak memory of a slice at 512 in flight, its most",
            f"{peak:.0f} MB",
            "",
            "≤ 250 MB",
            peak <= 250,
            {"rows": rows},
        )
    ]


def recovery(runs: int, scale: float) -> list[Figure]:
    """From the kill -9 of a slice to the first new call for a row that it held."""
    rows, took = 16, []
    for kind in KINDS:
        with Installation(kind) as place, SimulatorProcess(latency_ms=3_000) as simulator:
            for _ in range(runs):
                simulator.reset()
                place.ask("prepare", rows=rows, url=simulator.url)
                victim = place.start("work")
                _until_called(simulator, rows // 2)
                other = place.start("work", idle=60.0)
                victim.kill()
                killed, before = time.monotonic(), _calls(simulator)
                victim.communicate()
                # The other takes what the victim had not claimed at once; what it held comes later.
                _until_called(simulator, max(rows, before) + 1)
                took.append(time.monotonic() - killed)
                other.kill()
                other.communicate()
    return [
        Figure(
            "recovery after kill -9 of a slice, both databases",
            f"{max(took):.1f} s at most",
            "",
            "≤ 30 s to the first new call",
            max(took) <= 30,
            {"seconds": took},
        )
    ]


def _calls(simulator: SimulatorProcess) -> int:
    return sum(model["calls"] for model in simulator.stats()["models"].values())


def _until_called(simulator: SimulatorProcess, calls: int) -> None:
    while _calls(simulator) < calls:
        time.sleep(0.05)
