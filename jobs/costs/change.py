"""Why one period cost more than another: volume, mix, retries, price; exact to the last digit.

The bridge of cost accounting, a sales-volume variance split into quantity and mix, then the rate
variance (Horngren, Datar, Rajan: Cost Accounting, "Flexible budgets" and "Sales-mix and sales-quantity
variances"), over kinds of work i (template, model and connection). Of a kind in a period: R results,
T tokens, K what it cost, U what of that was no waste. 0 is the period before, 1 this one. Each step
asks what this period would have cost had only the things above it changed:

    S0 = sum K0
    S1 = S0 * sum R1 / sum R0          as many results as now, of the former mix
    S2 = sum R1 * K0/R0                the kinds of now, each at its former cost a result
    S3 = sum R1 * U0/R0 * K1/U1        with the waste of now
    S4 = sum T1 * K0/T0                with the tokens of now for each result
    S5 = sum K1                        at what a token costs now

    volume = S1 - S0    mix = (S2 - S1) + (S4 - S3)    retries = S3 - S2    price = S5 - S4

`size` is the part of the mix that lies within the kinds: longer or shorter texts (S4 - S3). Each S is
rounded to a whole pico-USD, so the differences add up to S5 - S0 whatever the rounding did. A kind that
is new costs what it costs in S2 to S4: all of it is mix. Of calls that brought no result at all nothing
can be divided by R: their cost is a matter of retries, in both periods.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from jobs.costs.grouping import Days, Scope, group_sums

# What makes a kind of work, in this order.
KIND = ("template", "model", "connection")
type Kind = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What was done of one kind in one period; money in pico-USD."""

    results: int = 0
    tokens: int = 0
    cost: int = 0
    wasted: int = 0

    @property
    def useful(self) -> int:
        return self.cost - self.wasted

    @property
    def fruitful(self) -> bool:
        return self.results > 0 and (self.useful > 0 or self.cost == 0)

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.results + other.results,
            self.tokens + other.tokens,
            self.cost + other.cost,
            self.wasted + other.wasted,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """In pico-USD: volume + mix + retries + price = after - before. `size` is a part of `mix`."""

    before: int
    after: int
    volume: int
    mix: int
    retries: int
    price: int
    size: int

    @property
    def amount(self) -> int:
        return self.after - self.before

    @property
    def share(self) -> float | None:
        """Of what it cost before; None where that was nothing."""
        return self.amount / self.before if self.before > 0 else None


def explain(before: Mapping[Kind, Work], after: Mapping[Kind, Work]) -> Change:
    """See above; what is in neither mapping was not done."""
    s0 = sum(work.cost for work in before.values())
    s5 = sum(work.cost for work in after.values())
    idle = sum(w.cost for w in after.values() if not w.fruitful)
    idle -= sum(w.cost for w in before.values() if not w.fruitful)
    old = {kind: work for kind, work in before.items() if work.fruitful}
    new = {kind: work for kind, work in after.items() if work.fruitful}
    base = sum(work.cost for work in old.values())
    results = sum(work.results for work in old.values())
    steps = [
        Fraction(base * sum(w.results for w in new.values()), results)
        if results
        else Fraction(base),
        *(
            sum((_at(step, old.get(kind), work) for kind, work in new.items()), Fraction(0))
            for step in (_mixed, _retried, _sized)
        ),
    ]
    s1, s2, s3, s4 = map(round, steps)
    end = s5 - sum(work.cost for work in after.values() if not work.fruitful)
    return Change(
        before=s0,
        after=s5,
        volume=s1 - base,
        mix=s2 - s1 + s4 - s3,
        retries=s3 - s2 + idle,
        price=end - s4,
        size=s4 - s3,
    )


def _at(step: Any, old: Work | None, new: Work) -> Fraction:
    return Fraction(new.cost) if old is None else step(old, new)


def _mixed(old: Work, new: Work) -> Fraction:
    return Fraction(new.results * old.cost, old.results)


def _retried(old: Work, new: Work) -> Fraction:
    """Nothing that cost nothing was wasted."""
    wasted = Fraction(new.cost, new.useful) if new.cost else Fraction(1)
    return Fraction(new.results * old.useful, old.results) * wasted


def _sized(old: Work, new: Work) -> Fraction:
    """Without tokens to compare, texts count as long as before."""
    return Fraction(new.tokens * old.cost, old.tokens) if old.tokens else _retried(old, new)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Both periods by kind: (template, model, connection), as they are in the tables."""

    before: dict[Kind, Work]
    after: dict[Kind, Work]
    unpriced_before: int  # calls of unknown price

    @property
    def each_before(self) -> int | None:
        """What a result cost before; None where that is not known."""
        results = sum(work.results for work in self.before.values())
        cost = sum(work.cost for work in self.before.values())
        return cost // results if results and not self.unpriced_before else None

    @property
    def change(self) -> Change:
        return explain(self.before, self.after)

    def movers(self, most: int) -> list[tuple[Kind, int]]:
        """The kinds whose cost changed most, the ones that grew with the sum first."""
        nothing = Work()
        moved = {
            kind: self.after.get(kind, nothing).cost - self.before.get(kind, nothing).cost
            for kind in {**self.before, **self.after}
        }
        ordered = sorted(moved.items(), key=lambda item: (-abs(item[1]), str(item[0])))
        return [(kind, amount) for kind, amount in ordered[:most] if amount]


_SUMS = (
    "accepted", "shared", "reused", "input_tokens", "output_tokens", "cost", "wasted_cost",
    "unpriced_calls",
)  # fmt: skip


def kinds_of(scope: Scope, before: Days, after: Days) -> Kinds:
    was, unpriced = _kinds(scope, before)
    return Kinds(was, _kinds(scope, after)[0], unpriced)


def _kinds(scope: Scope, days: Days) -> tuple[dict[Kind, Work], int]:
    found, _ = group_sums(scope, days, KIND, _SUMS)
    works = {tuple(row[:3]): _work(row[3:-1]) for row in found}
    return works, sum(int(row[-1]) for row in found)


def _work(values: Iterable[Any]) -> Work:
    accepted, shared, reused, sent, answered, cost, wasted = map(int, values)
    return Work(accepted + shared + reused, sent + answered, cost, wasted)
