"""Two jobs side by side on the same rows: what each cost, how long its calls took, how it failed, and
where their answers differ.

Over a large dataset the rows are counted in a sample, stretches spread evenly over the file; what is
told of it says so. Listing and downloading the rows that differ walks all of them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import connection as database
from django.db.models import Count

from jobs.models import Attempt, AttemptOutcome, Job, Record

# Rows counted for the figures; as many as a page can wait for.
SAMPLE = 6_000
STRETCHES = 50
LATENCY_ROWS = 2_000
# Of a list's page: rows that differ, and rows looked at to find them.
PAGE, LOOKED_AT = 25, 4_000
_CHUNK = 500

AGREE, DIFFER, ONLY_A, ONLY_B, NEITHER = "agree", "differ", "only_a", "only_b", "neither"
KINDS = (AGREE, DIFFER, ONLY_A, ONLY_B, NEITHER)
TELLING = (DIFFER, ONLY_A, ONLY_B)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job has of a row; `output` is None where it has no result."""

    output: str | None
    status: int
    failure_class: str | None
    cost: int


@dataclass(frozen=True, slots=True)
class Pair:
    n: int
    a: Answer
    b: Answer


@dataclass(frozen=True, slots=True)
class Latency:
    """Of calls that brought a result, in ms, over so many of them."""

    median: int
    p95: int
    calls: int


@dataclass(slots=True)
class SameRows:
    """The rows that both jobs have: how many of each kind, and what they cost either side."""

    counts: Counter[str] = field(default_factory=Counter)
    cost: list[int] = field(default_factory=lambda: [0, 0])
    results: list[int] = field(default_factory=lambda: [0, 0])
    fields: Counter[str] = field(default_factory=Counter)  # of an object, which of them differ
    rows: list[int] = field(default_factory=list)
    sampled: bool = False

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def both(self) -> int:
        return self.counts[AGREE] + self.counts[DIFFER]

    def each(self, side: int) -> int | None:
        return self.cost[side] // self.results[side] if self.results[side] else None


class Judge:
    """Says whether two answers are the same: as values where both jobs have a schema, as texts else."""

    def __init__(self, a: Job, b: Job) -> None:
        self.as_values = None not in (
            a.template_version.output_schema,
            b.template_version.output_schema,
        )

    def kind(self, pair: Pair) -> str:
        first, second = pair.a.output, pair.b.output
        if first is None:
            return NEITHER if second is None else ONLY_B
        if second is None:
            return ONLY_A
        return AGREE if self._same(first, second) else DIFFER

    def _same(self, first: str, second: str) -> bool:
        if first == second:
            return True
        if not self.as_values:
            return first.strip() == second.strip()
        return bool(_value(first) == _value(second))

    def fields(self, pair: Pair) -> list[str]:
        """Of two objects the names whose values differ."""
        if not self.as_values or pair.a.output is None or pair.b.output is None:
            return []
        one, other = _value(pair.a.output), _value(pair.b.output)
        if not isinstance(one, dict) or not isinstance(other, dict):
            return []
        missing = object()
        return [n for n in {**one, **other} if one.get(n, missing) != other.get(n, missing)]


def _value(text: str) -> Any:
    """A replay may have brought a text where the job has a schema: that is what it is then."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def pairs(a: Job, b: Job, after: int, until: int, limit: int) -> list[Pair]:
    """Rows that both have, `after` < n <= `until`, ascending."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT x.n, x.output, x.status, x.failure_class, x.cost, y.output, y.status, "
            "y.failure_class, y.cost FROM jobs_record x JOIN jobs_record y ON y.job_id = %s AND "
            "y.n = x.n WHERE x.job_id = %s AND x.n > %s AND x.n <= %s ORDER BY x.n LIMIT %s",
            [b.pk, a.pk, after, until, limit],
        )
        return [Pair(row[0], Answer(*row[1:5]), Answer(*row[5:9])) for row in cursor.fetchall()]


def all_pairs(a: Job, b: Job, after: int = 0) -> Iterator[Pair]:
    """Walks the key: no cursor is held open while a slow client reads."""
    last = last_row(a)
    while chunk := pairs(a, b, after, last, _CHUNK):
        yield from chunk
        after = chunk[-1].n


def last_row(job: Job) -> int:
    newest = Record.objects.filter(job_id=job.pk).order_by("-n").values_list("n", flat=True)
    return newest.first() or 0


def same_rows(a: Job, b: Job) -> SameRows:
    """Nothing where they run over different datasets: row 7 of one is not row 7 of the other."""
    found = SameRows()
    if a.dataset_id != b.dataset_id:
        return found
    judge = Judge(a, b)
    if min(a.expanded, b.expanded) <= SAMPLE:
        small, large = (a, b) if a.expanded <= b.expanded else (b, a)
        for pair in all_pairs(small, large):
            _count(found, judge, pair if small is a else Pair(pair.n, pair.b, pair.a))
        return found
    found.sampled = True
    last = last_row(a)
    step = -(-last // STRETCHES)
    for start in range(0, last, step):
        for pair in pairs(a, b, start, start + step, SAMPLE // STRETCHES):
            _count(found, judge, pair)
    return found


def _count(found: SameRows, judge: Judge, pair: Pair) -> None:
    kind = judge.kind(pair)
    found.counts[kind] += 1
    found.rows.append(pair.n)
    for side, answer in enumerate((pair.a, pair.b)):
        found.cost[side] += answer.cost
        found.results[side] += answer.output is not None
    if kind == DIFFER:
        found.fields.update(judge.fields(pair))


def latency(job: Job, rows: list[int]) -> Latency | None:
    """Of the calls for some of these rows, evenly chosen."""
    step = -(-len(rows) // LATENCY_ROWS) or 1
    calls = Attempt.objects.filter(
        job_id=job.pk, n__in=rows[::step], outcome=AttemptOutcome.ACCEPTED
    )
    took = sorted(calls.values_list("took_ms", flat=True))
    if not took:
        return None
    return Latency(took[len(took) // 2], took[min(len(took) - 1, len(took) * 95 // 100)], len(took))


def failure_counts(job: Job) -> dict[str, int]:
    groups = Record.objects.filter(job_id=job.pk, failure_class__isnull=False)
    counted = groups.values_list("failure_class").annotate(n=Count("n")).order_by("-n")
    return {str(failure_class): n for failure_class, n in counted}


@dataclass(frozen=True, slots=True)
class Differing:
    """One page of the rows that differ. `next` is the row to go on after; None at the end."""

    found: list[tuple[str, Pair]]
    next: int | None


def differing(a: Job, b: Job, kinds: tuple[str, ...], after: int) -> Differing:
    judge = Judge(a, b)
    found: list[tuple[str, Pair]] = []
    for looked, pair in enumerate(all_pairs(a, b, after), 1):
        kind = judge.kind(pair)
        if kind in kinds:
            found.append((kind, pair))
        if len(found) == PAGE or looked == LOOKED_AT:
            return Differing(found, pair.n)
    return Differing(found, None)


def all_differing(a: Job, b: Job) -> Iterator[tuple[str, Pair]]:
    judge = Judge(a, b)
    for pair in all_pairs(a, b):
        kind = judge.kind(pair)
        if kind in TELLING:
            yield kind, pair
