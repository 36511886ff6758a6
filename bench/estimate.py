"""How often the estimate holds: virtual populations of which every row's cost is known.

Of each, a pilot is drawn as a launch draws it, the estimate is made as after a pilot, and held against
the sum. Hundreds of seeds; no database, no wire.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean, median

from bench.figures import Figure
from jobs.costs.estimate import Range, sum_over
from jobs.costs.lengths import Population

SEEDS = 400
ROWS = 2_000
MAX_TOKENS = 2_000
PRICES = (150_000, 600_000)  # of a small model of today: pico-USD a token, in and out
RETRIED = 0.04  # of the calls are made once more
Rows = list[
    tuple[int, int]
]  # input and output tokens of one call for each row, in the file's order


def _inputs(rng: random.Random, rows: int) -> list[int]:
    return [round(max(20.0, rng.lognormvariate(log(300), 0.6))) for _ in range(rows)]


def _outputs(rng: random.Random, inputs: Sequence[int], one: Callable[[int, float], float]) -> Rows:
    count = len(inputs)
    return [(x, max(1, min(MAX_TOKENS, round(one(x, i / count))))) for i, x in enumerate(inputs)]


def log_normal(rng: random.Random, rows: int) -> Rows:
    """Nine in ten within a factor of ten."""
    return _outputs(rng, _inputs(rng, rows), lambda x, _: rng.lognormvariate(log(120), 0.70))


def two_kinds(rng: random.Random, rows: int) -> Rows:
    """Half of the answers are short, half ten times as long."""

    def one(_x: int, _at: float) -> float:
        return rng.lognormvariate(log(40 if rng.random() < 0.5 else 400), 0.2)

    return _outputs(rng, _inputs(rng, rows), one)


def few_long(rng: random.Random, rows: int) -> Rows:
    """One answer in five is ten times as long as the others."""

    def one(_x: int, _at: float) -> float:
        return rng.lognormvariate(log(400 if rng.random() < 0.2 else 40), 0.2)

    return _outputs(rng, _inputs(rng, rows), one)


def drifting(rng: random.Random, rows: int) -> Rows:
    """The first rows are the short ones, in their answers alone."""
    return _outputs(rng, _inputs(rng, rows), lambda _, at: 40 * 10**at * rng.lognormvariate(0, 0.3))


def drifting_both(rng: random.Random, rows: int) -> Rows:
    """The first rows are the short ones, in text and answer."""
    inputs = sorted(_inputs(rng, rows))
    return _outputs(rng, inputs, lambda x, _: 0.4 * x * rng.lognormvariate(0, 0.4))


def like_its_input(rng: random.Random, rows: int) -> Rows:
    return _outputs(rng, _inputs(rng, rows), lambda x, _: 0.5 * x * rng.lognormvariate(0, 0.4))


POPULATIONS = {
    "log-normal": log_normal,
    "two kinds": two_kinds,
    "one in five long": few_long,
    "drifting answers": drifting,
    "drifting rows": drifting_both,
    "like its input": like_its_input,
}


@dataclass(slots=True)
class Kept:
    """What came of many estimates of one population."""

    held: int = 0
    too_low: int = 0  # the actual cost was above the range
    widths: list[float] | None = None
    bias: list[float] | None = None

    def note(self, told: Range, actual: int) -> None:
        self.held += told.holds(actual)
        self.too_low += actual > told.high
        self.widths = [*(self.widths or []), told.half_width]
        self.bias = [*(self.bias or []), told.expected / actual - 1]

    @property
    def runs(self) -> int:
        return len(self.widths or [])

    @property
    def coverage(self) -> float:
        return self.held / max(1, self.runs)

    @property
    def width(self) -> float:
        return fmean(self.widths or [0.0])


def cost_of(rng: random.Random, row: tuple[int, int]) -> int:
    """All calls for it: some are made again, with an answer as long."""
    calls = 1
    while calls < 3 and rng.random() < RETRIED:
        calls += 1
    return calls * (row[0] * PRICES[0] + row[1] * PRICES[1])


def told_after_pilot(rows: Rows, costs: Sequence[int], size: int, rng: random.Random) -> Range:
    population = Population(len(rows), range(len(rows)), [x for x, _ in rows])
    places = population.stratified(size, rng)
    lengths = [float(rows[place][0]) for place in places]
    seen = [float(costs[place]) for place in places]
    left = len(rows) - size
    rest = sum_over(lengths, seen, rows=left, mean=(population.total - sum(lengths)) / left)
    assert rest is not None
    return rest.plus(round(sum(seen)))


def told_from_first_rows(costs: Sequence[int], size: int) -> int:
    """What is usual: the first rows, times the number of rows."""
    return round(fmean(costs[:size]) * len(costs))


def measure(name: str, *, size: int = 50, seeds: int = SEEDS, rows: int = ROWS) -> Kept:
    kept = Kept()
    for seed in range(seeds):
        rng = random.Random(f"{name} {seed}")
        made = POPULATIONS[name](rng, rows)
        costs = [cost_of(rng, row) for row in made]
        kept.note(told_after_pilot(made, costs, size, rng), sum(costs))
    return kept


def first_rows_bias(name: str, size: int = 50) -> float:
    rng = random.Random(f"{name} first")
    costs = [cost_of(rng, row) for row in POPULATIONS[name](rng, ROWS)]
    return told_from_first_rows(costs, size) / sum(costs) - 1


def estimate(runs: int, scale: float) -> list[Figure]:
    """Coverage and width after a pilot of 50, beside pilots of 10 and 100."""
    seeds = max(20, int(SEEDS * scale))
    return [
        _figure(name, size, measure(name, size=size, seeds=seeds))
        for name in POPULATIONS
        for size in (50, 10, 100)
    ]


def _figure(name: str, size: int, kept: Kept) -> Figure:
    bias = fmean(kept.bias or [0.0])
    naive = first_rows_bias(name, size)
    asked = size == 50
    return Figure(
        name=f"estimate, {name}, pilot of {size}",
        measured=f"{kept.coverage:.1%} held, ±{kept.width:.1%}, bias {bias:+.1%}",
        ceiling=f"first {size} rows: {naive:+.0%}",
        target="≥ 95% held, ≤ ±25%" if asked else "≥ 90% held",
        met=(kept.coverage >= 0.95 and kept.width <= 0.25) if asked else kept.coverage >= 0.90,
        detail={
            "coverage": kept.coverage,
            "mean_half_width": kept.width,
            "median_half_width": median(kept.widths or [0.0]),
            "bias": bias,
            "above": kept.too_low / max(1, kept.runs),
            "seeds": kept.runs,
        },
    )
