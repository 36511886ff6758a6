"""What a job will cost, as a range: pure statistics, told from rows that were seen.

Of each row of the job the length of its request is known, of some what came of it. A line through those
(cost against length) gives what the others take on average; how far the seen rows lie from it, each
weighed by how much it bent it towards itself, gives the error. The range is taken on a
logarithmic scale, since costs err upwards: a few rows that take ten times as much are missed more
easily than met.

Said to hold the actual cost nine times in ten, it is built for more, and for more above than below: what
it keeps on lengths that are log-normal, of two kinds, or drifting along the file, shows
`python -m bench estimate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist, fmean

# The quantiles of both ends.
BELOW, ABOVE = 0.965, 0.9915
# Below so many rows nothing is told.
FEWEST = 5
# Of jobs that were alike one differs from another by about so much, which is believed as firmly as if it
# had been seen in so many jobs.
USUAL_SPREAD, USUAL_JOBS = 0.07, 8
# e^1.5: a range wider than from a fifth to five times says nothing.
_WIDEST = 1.5


@dataclass(frozen=True, slots=True)
class Range:
    """In whole units of what is told: pico-USD, or tokens."""

    low: int
    expected: int
    high: int

    @property
    def half_width(self) -> float:
        """Half of it, as a share of what is expected."""
        return (self.high - self.low) / 2 / self.expected if self.expected else 0.0

    def holds(self, actual: int) -> bool:
        return self.low <= actual <= self.high


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum over rows not seen: what is expected, its standard error, and how firmly that is known."""

    expected: float
    error: float
    freedom: float

    def plus(self, known: int) -> Range:
        """With what is known already: the range of the whole."""
        if self.expected <= 0:
            return Range(known, known, known)
        share = self.error / self.expected
        down, up = (min(_WIDEST, _student(end, self.freedom) * share) for end in (BELOW, ABOVE))
        return Range(
            known + round(self.expected * exp(-down)),
            known + round(self.expected),
            known + round(self.expected * exp(up)),
        )


def sum_over(
    lengths: Sequence[float],
    values: Sequence[float],
    *,
    rows: int,
    mean: float,
    mean_error: float = 0.0,
    jobs: Sequence[int] = (),
) -> Sum | None:
    """What `rows` rows of `mean` length come to together, told from rows of these lengths and values.

    `jobs` says of each seen row in which earlier job it was, where they are not the job's own: then one
    job differs from another, too. None where too few rows were seen.
    """
    seen = len(values)
    if seen < FEWEST:
        return None
    if rows <= 0:
        return Sum(0.0, 0.0, seen)
    line = _Line.through(lengths, values)
    each = max(0.0, line.at(mean))
    spread = sqrt(line.variance * (1 / seen + 1 / rows + line.far(mean)))
    error = sqrt(spread**2 + (line.slope * mean_error) ** 2)
    freedom = max(1.0, seen - 2.0)
    if jobs:
        among, firmly = _among_jobs(line, lengths, values, jobs)
        error, freedom = _together(error, freedom, each * among, firmly)
    return Sum(rows * each, rows * error, freedom)


@dataclass(frozen=True, slots=True)
class _Line:
    """By least squares. `variance` is that of a row around it, each residual as if the line had been
    drawn without the row (HC3): a long row draws the line to itself, and hides how far off it is."""

    middle: float
    height: float
    slope: float
    width: float
    variance: float

    @classmethod
    def through(cls, lengths: Sequence[float], values: Sequence[float]) -> "_Line":
        middle, height, count = fmean(lengths), fmean(values), len(values)
        width = sum((x - middle) ** 2 for x in lengths)
        slope = 0.0
        if width > 0:
            both = zip(lengths, values, strict=True)
            slope = sum((x - middle) * (y - height) for x, y in both) / width
        squares = 0.0
        for x, y in zip(lengths, values, strict=True):
            pull = 1 / count + ((x - middle) ** 2 / width if width > 0 else 0.0)
            squares += ((y - height - slope * (x - middle)) / (1 - min(0.9, pull))) ** 2
        return cls(middle, height, slope, width, squares / count)

    def at(self, length: float) -> float:
        return self.height + self.slope * (length - self.middle)

    def far(self, length: float) -> float:
        """How much less is known of the line there than in its middle."""
        return (length - self.middle) ** 2 / self.width if self.width > 0 else 0.0


def _among_jobs(
    line: _Line, lengths: Sequence[float], values: Sequence[float], jobs: Sequence[int]
) -> tuple[float, float]:
    """By what share another job may differ from these, one standard deviation, and how firmly that is
    known: what was seen of it beside what is usual."""
    off = []
    for job in set(jobs):
        mine = [i for i, one in enumerate(jobs) if one == job]
        told = sum(line.at(lengths[i]) for i in mine)
        if told > 0:
            off.append(sum(values[i] for i in mine) / told - 1)
    firmly = USUAL_JOBS + max(0, len(off) - 1)
    variance = (USUAL_JOBS * USUAL_SPREAD**2 + sum(one**2 for one in off)) / firmly
    return sqrt(variance * (1 + 1 / max(1, len(off)))), firmly


def _together(one: float, freedom: float, other: float, others: float) -> tuple[float, float]:
    """Two errors that have nothing to do with each other, and the freedom of their sum (Welch)."""
    both = one**2 + other**2
    if both == 0:
        return 0.0, freedom
    return sqrt(both), both**2 / (one**4 / freedom + other**4 / others)


def _student(share: float, freedom: float) -> float:
    """The quantile of Student's distribution, by the expansion around the normal one: to a hundredth
    from three degrees of freedom on."""
    z, f = NormalDist().inv_cdf(share), max(3.0, freedom)
    return (
        z
        + (z**3 + z) / (4 * f)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * f**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * f**3)
    )
