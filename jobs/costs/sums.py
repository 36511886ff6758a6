"""Sums of the roll-ups: of a group, a day, or all of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from jobs.costs.known import known


@dataclass(slots=True)
class CostSums:
    """Every field is a column of `CostRollup`. Money in pico-USD. `cost` is what is known; with
    `unpriced_calls` it is not the whole. What is in doubt is no part of it.
    """

    calls: int = 0
    accepted: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    wasted_cost: int = 0
    failed_cost: int = 0
    retried_cost: int = 0
    repaired_cost: int = 0
    superseded_cost: int = 0
    late_cost: int = 0
    in_doubt_cost: int = 0
    in_doubt_calls: int = 0
    unpriced_calls: int = 0
    estimated_calls: int = 0
    estimated_cost: int = 0
    cache_savings: int = 0
    batch_savings: int = 0
    shared: int = 0
    reused: int = 0
    reuse_savings: int = 0

    @classmethod
    def of(cls, values: Iterable[Any]) -> "CostSums":
        """From a row of the database, in the order of `SUMMED`; PostgreSQL sums to decimals."""
        return cls(*map(int, values))

    def add(self, other: "CostSums") -> None:
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def less(self, other: "CostSums") -> "CostSums":
        return CostSums(*(getattr(self, name) - getattr(other, name) for name in SUMMED))

    @property
    def results(self) -> int:
        """Records with a result: one called for, or taken from a like row or an earlier job."""
        return self.accepted + self.shared + self.reused

    @property
    def cost_per_result(self) -> int | None:
        """The waste shared among them; None where it is not known."""
        return self.cost // self.results if self.results and not self.unpriced_calls else None

    @property
    def cached_share(self) -> float | None:
        """Of the tokens sent, those that the provider had cached."""
        return self.cached_input_tokens / self.input_tokens if self.input_tokens else None

    @property
    def savings(self) -> int:
        return self.cache_savings + self.batch_savings + self.reuse_savings

    @property
    def waste(self) -> dict[str, int]:
        """By cause, each line its own; what was booked without a cause is told as such."""
        causes = {cause: getattr(self, f"{cause}_cost") for cause in CAUSES}
        return {**causes, "other": self.wasted_cost - sum(causes.values())}

    @property
    def known_cost(self) -> int | None:
        """The cost to show: None where nothing but unpriced calls stand behind it."""
        return known(self.cost, self.unpriced_calls)

    @property
    def known_wasted_cost(self) -> int | None:
        fruitless = self.calls - self.in_doubt_calls - self.accepted
        return known(self.wasted_cost, self.unpriced_calls, fruitless)

    @property
    def known_in_doubt_cost(self) -> int | None:
        return known(self.in_doubt_cost, self.unpriced_calls, self.in_doubt_calls)


SUMMED = tuple(one.name for one in fields(CostSums))
CAUSES = ("failed", "retried", "repaired", "superseded", "late")
# As many as a chart of days shows; each sum costs the database its time.
CHARTED = ("cost", "wasted_cost", "in_doubt_cost", *(f"{cause}_cost" for cause in CAUSES))


@dataclass(slots=True)
class CostRow(CostSums):
    """`key` is the group's public id (or the model, the day, the tag's value); `label` its name for
    people. `id` is what the group is in the tables; None for what has none."""

    key: str = ""
    label: str = ""
    id: Any = None

    @classmethod
    def of_group(cls, sums: CostSums, key: str, label: str, pk: Any) -> "CostRow":
        row = cls(key=key, label=label, id=pk)
        row.add(sums)
        return row


@dataclass(frozen=True, slots=True)
class CostTable:
    """`rest` sums the groups that a limit left out, `left_out` of them: rows and rest are the total.
    `by_day` has what `CHARTED` names; all of it only where it is needed."""

    rows: list[CostRow]
    total: CostSums
    by_day: dict[date, CostSums] = field(default_factory=dict)
    rest: CostSums = field(default_factory=CostSums)
    left_out: int = 0
