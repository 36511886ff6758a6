"""Which sums of money are known: what was called at a price nobody knows is unknown, and never 0."""

from dataclasses import dataclass

from django.db.models import Sum

from jobs.models import CostRollup, Job


def known(amount: int, unpriced: int, calls: int = 1) -> int | None:
    """The amount to show of `calls` calls; None where it is nothing only because prices are unknown.

    `unpriced` may count other calls as well: then None is said where 0 cannot be proven.
    """
    return None if calls > 0 and unpriced and not amount else amount


@dataclass(frozen=True, slots=True)
class JobMoney:
    """Of a job, in pico-USD; with unpriced attempts `cost` is at least that."""

    cost: int | None
    wasted_cost: int | None
    in_doubt_cost: int | None


def job_money(job: Job) -> JobMoney:
    answered = job.succeeded - job.shared - job.reused
    fruitless = job.attempts - job.in_doubt_attempts - answered
    return JobMoney(
        cost=known(job.cost, job.unpriced_attempts),
        wasted_cost=known(job.wasted_cost, job.unpriced_attempts, fruitless),
        in_doubt_cost=known(job.in_doubt_cost, job.unpriced_attempts, job.in_doubt_attempts),
    )


def saved_by_taking(job: Job) -> int | None:
    """What the calls had cost whose answers its rows took, in pico-USD."""
    sums = CostRollup.objects.filter(job_id=job.pk).aggregate(saved=Sum("reuse_savings"))
    return known(sums["saved"] or 0, job.unpriced_attempts, job.shared + job.reused)
