"""The estimate of a job, before its launch and after its pilot.

Before the launch it is told from earlier jobs of the same template and model; without any it says so,
and only what is certain is told. After a pilot it is told from the job's own rows. What was told is kept
in `Job.estimate`, and held against what comes: see `jobs.costs.told`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jobs.costs.estimate import FEWEST, Range, Sum, sum_over
from jobs.costs.lengths import Population
from jobs.costs.observed import History, Seen, history_of, seen_in
from jobs.costs.population import EXACT_ROWS, population_of
from jobs.costs.pricing import Tariff, resolve_price
from jobs.datasets.selection import place_of, selection_size
from jobs.models import Connection, Dataset, Job, Price, TemplateVersion
from jobs.prompts.tokens import ESTIMATE_ERROR, estimate_tokens
from jobs.providers.types import Usage

NONE, HISTORY, PILOT = "none", "history", "pilot"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Money in pico-USD. None is unknown: without a version, a price, or any row to go by.

    `input_error`: the share by which the input tokens may be off. `cost_bound`: if every answer is as
    long as allowed, at one call a row.
    """

    rows: int
    basis: str
    seen_rows: int = 0
    seen_jobs: int = 0
    same_version: bool = True
    input_tokens: int | None = None
    input_error: float = ESTIMATE_ERROR
    counted_rows: int = 0
    output_tokens: int | None = None
    output_bound: int | None = None
    calls: int | None = None
    cost: Range | None = None
    cost_floor: int | None = None  # what the input alone costs
    cost_bound: int | None = None
    price: Price | None = None
    unrenderable: int = 0
    saved_rows: int = 0  # that need no call: what is told is without them
    fault: str = ""
    profile: Sequence[float] = ()
    seconds_each: float | None = None  # of one call
    paces: Sequence[float] = ()  # of earlier jobs, rows a second

    @property
    def exact(self) -> bool:
        return self.counted_rows == self.rows

    @property
    def called_rows(self) -> int:
        return self.rows - self.saved_rows

    def without(self, saved_rows: int) -> "Estimate":
        """With so many rows that need no call of their own."""
        if not 0 < saved_rows <= self.rows:
            return self
        share = 1 - saved_rows / self.rows

        def scaled(whole: int | None) -> int | None:
            return None if whole is None else round(whole * share)

        cost = self.cost
        if cost is not None:
            cost = Range(*(round(end * share) for end in (cost.low, cost.expected, cost.high)))
        return replace(
            self,
            saved_rows=saved_rows,
            input_tokens=scaled(self.input_tokens),
            output_tokens=scaled(self.output_tokens),
            output_bound=scaled(self.output_bound),
            calls=scaled(self.calls),
            cost=cost,
            cost_floor=scaled(self.cost_floor),
            cost_bound=scaled(self.cost_bound),
        )

    def kept(self, at: datetime) -> dict[str, Any]:
        """As it stands in `Job.estimate`."""
        return {
            "at": at.isoformat(timespec="seconds"),
            "basis": self.basis,
            "rows": self.rows,
            "saved_rows": self.saved_rows,
            "seen_rows": self.seen_rows,
            "seen_jobs": self.seen_jobs,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": _dumped(self.cost),
            "profile": list(self.profile),
        }


def _dumped(cost: Range | None) -> dict[str, int] | None:
    if cost is None:
        return None
    return {"low": cost.low, "expected": cost.expected, "high": cost.high}


def estimate_launch(
    *,
    dataset: Dataset,
    version: TemplateVersion | None,
    connection: Connection | None,
    model: str,
    selection: Mapping[str, Any],
    max_tokens: int | None,
    at: datetime,
    exact_rows: int = EXACT_ROWS,
) -> Estimate:
    """What is known of a launch so far; makes no call."""
    if version is None:
        return Estimate(rows=selection_size(selection, dataset.rows), basis=NONE)
    population = population_of(dataset, version, selection, exact_rows=exact_rows)
    price = None
    if connection is not None and model:
        price = resolve_price(connection=connection, model=model, at=at)
    history = history_of(version, model, price) if model else None
    return _told(population, history, price, max_tokens, version)


def _told(
    population: Population,
    history: History | None,
    price: Price | None,
    max_tokens: int | None,
    version: TemplateVersion,
) -> Estimate:
    seen = history.seen if history is not None else []
    counted = len(population.tokens)
    bad = population.unrenderable * population.rows / counted if counted else 0
    rows = population.rows - round(bad)  # that can be asked for
    schema = estimate_tokens(str(version.output_schema)) if version.output_schema else 0
    plain = population.total + schema * rows if counted else None
    inputs, input_error = _inputs(population, seen, rows)
    floor = bound = None
    if price is not None and plain is not None:
        rates = Tariff(price).at(0)
        floor = rates.cost(Usage(input_tokens=plain))
        if max_tokens:
            usage = Usage(input_tokens=plain, output_tokens=rows * max_tokens)
            bound = rates.cost(usage)
    cost = output = calls = None
    jobs = [one.job for one in seen]
    if seen and counted:
        output = _sum([one.output for one in seen], seen, population, jobs)
        calls = _sum([one.calls for one in seen], seen, population, jobs)
        if price is not None:
            cost = _sum([one.cost for one in seen], seen, population, jobs)
    return Estimate(
        rows=population.rows,
        basis=HISTORY if cost is not None or output is not None else NONE,
        seen_rows=len(seen),
        seen_jobs=history.jobs if history else 0,
        same_version=history.same_version if history else True,
        input_tokens=inputs if inputs is not None else plain,
        input_error=input_error,
        counted_rows=counted,
        output_tokens=_whole(output),
        output_bound=rows * max_tokens if max_tokens else None,
        calls=_whole(calls),
        cost=cost.plus(0) if cost is not None else None,
        cost_floor=floor,
        cost_bound=bound,
        price=price,
        unrenderable=population.unrenderable,
        fault=population.fault,
        profile=population.profile() if counted else (),
        seconds_each=_seconds(seen),
        paces=history.paces if history else (),
    )


def _whole(found: Sum | None) -> int | None:
    return None if found is None else round(found.expected)


def _seconds(seen: Sequence[Seen]) -> float | None:
    calls = sum(one.calls for one in seen)
    return sum(one.took_ms for one in seen) / calls / 1000 if calls else None


def _sum(
    values: Sequence[float], seen: Sequence[Seen], population: Population, jobs: Sequence[int]
) -> Sum | None:
    return sum_over(
        [one.tokens for one in seen],
        values,
        rows=population.rows,
        mean=population.mean,
        mean_error=population.mean_error,
        jobs=jobs,
    )


def _inputs(population: Population, seen: Sequence[Seen], rows: int) -> tuple[int | None, float]:
    """Input tokens of one call for each row, and the share by which that may be off: what the provider
    counted of earlier requests against what was told from their characters."""
    counted = [one for one in seen if one.first_input and one.tokens]
    sampled = population.mean_error / population.mean if population.mean else 0.0
    if len(counted) < FEWEST or not population.mean:
        return None, max(ESTIMATE_ERROR, 2 * sampled)
    found = sum_over(
        [one.tokens for one in counted],
        [one.first_input for one in counted],
        rows=rows,
        mean=population.mean,
        mean_error=population.mean_error,
    )
    assert found is not None
    return round(found.expected), found.plus(0).half_width


def estimate_pilot(job: Job, at: datetime) -> dict[str, Any]:
    """What is told once the rows of the pilot have ended, to be kept in `Job.estimate["pilot"]`: with
    what came of them, since it is told anew while the others run. Without a cost where it cannot be."""
    price = resolve_price(connection=job.connection, model=job.model, at=at)
    numbers = list(job.selection.get("pilot", ()))
    seen = seen_in(job, numbers, price)
    population = population_of(job.dataset, job.template_version, job.selection)
    whole: dict[str, Any] = {"at": at.isoformat(timespec="seconds"), "seen_rows": len(seen)}
    if len(seen) < FEWEST or not population.tokens:
        return whole
    left = population.rows - len(numbers)
    known = sum(one.tokens for one in seen)
    mean = max(0.0, population.mean * population.rows - known) / left if left else 0.0
    told = {
        name: sum_over(
            [one.tokens for one in seen],
            values,
            rows=max(0, left - job.borrows),  # the others take a result, as far as is known
            mean=mean,
            mean_error=population.mean_error,
        )
        for name, values in (
            ("cost", [one.cost for one in seen]),
            ("output", [one.output for one in seen]),
            ("input", [one.input for one in seen]),
        )
    }
    cost, output, inputs = told["cost"], told["output"], told["input"]
    assert cost is not None
    assert output is not None
    assert inputs is not None
    return whole | {
        "rows": population.rows,
        "input_tokens": sum(one.input for one in seen) + round(inputs.expected),
        "output_tokens": sum(one.output for one in seen) + round(output.expected),
        "cost": _dumped(cost.plus(job.cost)) if price is not None else None,
        "profile": population.profile(),
        "seen": [[round(place, 5), one.tokens, one.cost] for place, one in _placed(job, seen)],
    }


def _placed(job: Job, seen: Sequence[Seen]) -> list[tuple[float, Seen]]:
    """Each with its place in the file, from 0 to 1: rows are sent in its order."""
    return [(place_of(job.selection, job.dataset.rows, one.n) / job.total, one) for one in seen]
