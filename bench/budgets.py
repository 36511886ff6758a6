"""The attack on budgets: 8 slices, 4 jobs of 2 teams at prices up to 1,000 times apart, budgets that end
in the middle, kill -9 among them. And what it costs to hold a budget."""

import random
import time
from subprocess import Popen
from typing import Any

from bench.figures import Figure, median
from bench.installation import KINDS, Installation
from bench.throughput import durable
from tests.simulator_process import SimulatorProcess

SLICES = 8
# Below four sweeps a pause of one is taken for an outage, and leases begin anew.
LEASE_S = 6


def attack(kind: str, *, rows: int, kills: int, at_most: float = 300.0) -> dict[str, Any]:
    rng = random.Random(rows)
    with Installation(kind) as place, SimulatorProcess(latency_ms=60, seed=3) as simulator:
        place.environment["LEASE_SECONDS"] = str(LEASE_S)
        jobs = place.ask("besiege", rows=rows, url=simulator.url)
        slices = [place.start("work", idle=3.0 * LEASE_S) for _ in range(SLICES)]
        until, killed = time.monotonic() + at_most, 0
        # Between the first settled calls and the last that the budgets allow.
        while not (now := place.ask("standing", jobs=jobs))["over"]:
            if time.monotonic() > until:
                raise RuntimeError(f"not over after {at_most:.0f} s: {now}")
            if killed < kills and now["settled"] > rows * 1.6 * killed / kills + 50:
                _kill(slices.pop(rng.randrange(len(slices))))
                slices.append(place.start("work", idle=3.0 * LEASE_S))
                killed += 1
        for one in slices:
            _kill(one)
        found: dict[str, Any] = place.ask("aftermath", jobs=jobs)
        return found | {"killed": killed}


def _kill(process: "Popen[str]") -> None:
    process.kill()
    process.communicate()


def budgets(runs: int, scale: float) -> list[Figure]:
    return [*_attacks(scale), _what_it_costs(runs, scale)]


def _attacks(scale: float) -> list[Figure]:
    figures = []
    for kind in KINDS:
        found = attack(kind, rows=max(1_000, int(4_000 * scale)), kills=8)
        least = min(found["used"].values())
        used = ", ".join(f"{whose} {share:.2%}" for whose, share in found["used"].items())
        beyond = sum(found["beyond"].values())
        figures.append(
            Figure(
                f"the budget attack, {SLICES} slices, {found['killed']} kills, {kind}",
                f"{beyond} writes beyond a stop; used: {used}",
                "",
                "overshoot 0, ≥ 99% used, books right",
                not beyond and least >= 0.99 and found["stopped"] and not found["difference"],
                found,
            )
        )
    return figures


def _what_it_costs(runs: int, scale: float) -> Figure:
    rows, found = max(2_000, int(20_000 * scale)), {False: [], True: []}
    with Installation("postgresql") as place, SimulatorProcess() as simulator:
        for _ in range(runs):
            for held in (False, True):
                found[held].append(durable(place, simulator.url, rows, limited=held)["cpu_us"])
    without, with_ = median(found[False]), median(found[True])
    return Figure(
        "a record within a team's budget, postgresql",
        f"{with_:.0f} µs CPU of the slice",
        f"without {without:.0f} µs",
        f"≤ 3% more: {with_ / without - 1:+.1%}",
        with_ <= 1.03 * without,
        {"rows": rows, "without": found[False], "with": found[True]},
    )
