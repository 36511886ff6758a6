"""The books of a job held against what the provider counted."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Sum

from jobs.models import Attempt, Due, Job, Lease, Record
from tests.engine.build import INPUT_PRICE, MODEL, OUTPUT_PRICE, check_invariants
from tests.simulator_process import SimulatorProcess

# What a call of these tests can have taken at most, in tokens.
INPUT_AT_MOST, OUTPUT_AT_MOST = 1_000, 200


def settled(job: Job) -> int:
    job.refresh_from_db()
    return job.succeeded + job.failed


def ended(job: Job) -> bool:
    job.refresh_from_db()
    return job.state.is_terminal


def counted(simulator: SimulatorProcess, model: str = MODEL) -> dict[str, Any]:
    """The provider's figures, all zero before the first call."""
    nothing = {"calls": 0, "input_tokens": 0, "output_tokens": 0}
    found = simulator.stats()["models"].get(model)
    return found or {**nothing, "unseen": nothing}


def check_against_provider(
    job: Job,
    simulator: SimulatorProcess,
    beside: Sequence[Job] = (),
    prices: tuple[int, int] = (INPUT_PRICE, OUTPUT_PRICE),
) -> Job:
    """Everything adds up, and `confirmed <= counted by the provider <= confirmed + in doubt`, for the
    job's model. Of jobs `beside` it, whose calls the provider counted as well, nothing is in doubt."""
    job = check_invariants(job.pk)
    stats = counted(simulator, job.model)
    attempts = Attempt.objects.filter(job_id__in=[job.pk, *(other.pk for other in beside)])
    confirmed = attempts.exclude(outcome="in_doubt")
    doubtful = job.in_doubt_attempts
    assert confirmed.count() <= stats["calls"] <= confirmed.count() + doubtful
    sums = confirmed.filter(usage_estimated=False).aggregate(
        input=Sum("input_tokens", default=0), output=Sum("output_tokens", default=0)
    )
    for kind, at_most in (("input", INPUT_AT_MOST), ("output", OUTPUT_AT_MOST)):
        billed = stats[f"{kind}_tokens"]
        unseen = stats["unseen"][f"{kind}_tokens"]
        assert sums[kind] <= billed
        assert billed + unseen <= sums[kind] + doubtful * at_most
    known = confirmed.filter(usage_estimated=False).aggregate(n=Sum("cost", default=0))["n"]
    assert known <= _money(stats, prices)
    assert _money(stats, prices) + _money(stats["unseen"], prices) <= known + job.in_doubt_cost
    return job


def _money(counted: dict[str, Any], prices: tuple[int, int]) -> int:
    money: int = counted["input_tokens"] * prices[0] + counted["output_tokens"] * prices[1]
    return money


def check_nothing_left(job: Job) -> None:
    assert not Lease.objects.filter(job_id=job.pk).exists()
    assert not Due.objects.filter(job_id=job.pk).exists()


def failures_by_class(job: Job) -> dict[str, int]:
    found = Record.objects.filter(job_id=job.pk, failure_class__isnull=False)
    return dict(found.values_list("failure_class").annotate(n=Count("n")))


def paid(job: Job) -> dict[int, int]:
    """The calls of each row that has succeeded."""
    done = Record.objects.filter(job_id=job.pk, output__isnull=False)
    return dict(done.values_list("n", "calls"))
