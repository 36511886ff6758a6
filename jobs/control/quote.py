"""What a launch would come to, before the button is pressed: its size and cost, how long it will take at
the connection's limits, and what it leaves of the budgets. Makes no call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from jobs.control.parameters import MAX_TOKENS
from jobs.control.repeats import Repeats, repeats
from jobs.costs.estimates import Estimate, estimate_launch
from jobs.costs.grouping import Days, Scope
from jobs.costs.outlook import budgets_ahead
from jobs.costs.selectors import cost_by_day
from jobs.models import Budget, Connection, Dataset, Job, Team, TemplateVersion

# A provider's limit is used to nineteen parts in twenty, and the last calls take their time.
_SLOWER = 1.3


@dataclass(frozen=True, slots=True)
class Left:
    """Of a budget, if the job costs what is expected; below 0 it does not suffice. Pico-USD."""

    budget: Budget
    now: int
    after: int


@dataclass(frozen=True, slots=True)
class Quote:
    """`seconds`: at least and at most; None where neither limits nor earlier jobs tell it."""

    estimate: Estimate
    seconds: tuple[float, float] | None
    left: list[Left]
    repeats: Repeats  # rows that need no call: the estimate is without them
    saved: int | None = None  # what they would cost, as expected

    @property
    def least_left(self) -> Left | None:
        return min(self.left, key=lambda one: one.after, default=None)


def quote(
    *,
    team: Team,
    dataset: Dataset,
    version: TemplateVersion | None,
    connection: Connection | None,
    model: str,
    selection: Mapping[str, Any],
    parameters: Mapping[str, Any],
    share_duplicates: bool,
    reuse: bool,
) -> Quote:
    """Each part is None as long as what it needs is missing."""
    defaults = version.defaults if version is not None else {}
    limit = parameters.get("max_tokens") or defaults.get("max_tokens")
    longest = limit if isinstance(limit, int) and 0 < limit <= MAX_TOKENS else None
    estimate = estimate_launch(
        dataset=dataset,
        version=version,
        connection=connection,
        model=model,
        selection=selection,
        max_tokens=longest,
        at=timezone.now(),
    )
    found = repeats(
        team=team,
        dataset=dataset,
        version=version,
        connection=connection,
        model=model,
        selection=selection,
        parameters=parameters,
        share_duplicates=share_duplicates,
        reuse=reuse,
    )
    whole, estimate = estimate.cost, estimate.without(found.saved_rows)
    saved = whole.expected - estimate.cost.expected if whole and estimate.cost else None
    left = []
    if connection is not None and estimate.cost is not None:
        left = _left(team, connection, estimate.cost.expected)
    return Quote(estimate, duration(estimate, connection), left, found, saved)


def quote_of(job: Job) -> Quote:
    """Of a job as it would be launched."""
    return quote(
        team=job.team,
        dataset=job.dataset,
        version=job.template_version,
        connection=job.connection,
        model=job.model,
        selection=job.selection,
        parameters=job.parameters,
        share_duplicates=job.share_duplicates,
        reuse=job.reuse,
    )


def duration(estimate: Estimate, connection: Connection | None) -> tuple[float, float] | None:
    """Seconds, told from the limits of the connection; where it has none, from the pace of earlier
    jobs."""
    paced = [estimate.called_rows / pace for pace in estimate.paces if pace > 0]
    limited = _at_limits(estimate, connection) if connection is not None else 0.0
    if limited:
        return limited, limited * _SLOWER
    if paced:
        return min(paced) / _SLOWER, max(paced) * _SLOWER
    return None


def _at_limits(estimate: Estimate, connection: Connection) -> float:
    calls = estimate.called_rows if estimate.calls is None else estimate.calls
    minutes = [
        need / limit
        for need, limit in (
            (calls, connection.rpm),
            (estimate.input_tokens, connection.input_tpm),
            (estimate.output_tokens or estimate.output_bound, connection.output_tpm),
        )
        if need and limit
    ]
    seconds = [60 * one for one in minutes]
    if connection.max_in_flight and estimate.seconds_each:
        seconds.append(calls * estimate.seconds_each / connection.max_in_flight)
    return max(seconds, default=0.0)


def _left(team: Team, connection: Connection, expected: int) -> list[Left]:
    today = timezone.now().date()
    month = Days(today.replace(day=1), today)
    costs = cost_by_day(Scope((team.pk,)), month)
    found = []
    for one in budgets_ahead(team.pk, costs, None, today):
        stop = one.budget.stop_at
        if stop is None or one.budget.connection_id not in (None, connection.pk):
            continue
        found.append(Left(one.budget, stop - one.spent, stop - one.spent - expected))
    return found
