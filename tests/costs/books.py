"""Lines of the ledger written to the tables with their roll-ups, as a settled call leaves them."""

from datetime import date
from typing import Any

from django.utils import timezone

from jobs.costs.pricing import Rates
from jobs.models import Attempt, Connection, Correction, CostRollup, DirectCall, Job, Team
from jobs.providers.types import Usage

RATES = Rates(input=250_000, cached_input=25_000, cache_write=312_500, cache_write_1h=500_000,
              output=2_000_000)  # fmt: skip
BATCH = Rates(input=250_000, cached_input=25_000, cache_write=312_500, cache_write_1h=500_000,
              output=2_000_001, discount_ppm=500_000)  # fmt: skip
USAGE = Usage(
    input_tokens=1_000,
    cached_input_tokens=300,
    cache_write_tokens=200,
    cache_write_1h_tokens=100,
    output_tokens=77,
)


def write_call(
    job: Job,
    day: date,
    *,
    usage: Usage = USAGE,
    rates: Rates | None = RATES,
    outcome: str = "accepted",
    **fields: Any,
) -> Attempt:
    """One call of the job, of a row of its own."""
    cost = fields.pop("cost", rates.cost(usage) if rates else None)
    attempt = Attempt.objects.create(
        job=job,
        n=Attempt.objects.filter(job=job).count() + 1,
        number=1,
        outcome=outcome,
        purpose="first",
        template_version=job.template_version,
        connection=fields.pop("connection", job.connection),
        model=fields.pop("model", job.model),
        worker="w",
        day=day,
        started_at=timezone.now(),
        rates=rates.text if rates else "",
        cost=cost,
        usage_estimated=usage.estimated,
        **_tokens(usage),
        **fields,
    )
    _book(attempt, job.team, job.pk, job.template_version_id)
    return attempt


def write_direct_call(team: Team, connection: Connection, model: str, day: date) -> DirectCall:
    """A template try."""
    call = DirectCall.objects.create(
        team=team,
        purpose="try",
        outcome="accepted",
        connection=connection,
        model=model,
        day=day,
        rates=RATES.text,
        cost=RATES.cost(USAGE),
        **_tokens(USAGE),
    )
    _book(call, team, 0, 0)
    return call


def write_correction(attempt: Attempt, day: date, cost: int) -> Correction:
    job = attempt.job
    made = Correction.objects.create(
        team=job.team,
        kind="revalued",
        act="a",
        job=job,
        n=attempt.n,
        number=attempt.number,
        template_version_id=attempt.template_version_id,
        connection_id=attempt.connection_id,
        model=attempt.model,
        day=day,
        cost=cost,
    )
    rollup = _rollup(made, job.team, job.pk, attempt.template_version_id)
    rollup.cost += cost
    rollup.save()
    return made


def _tokens(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_tokens": usage.output_tokens,
    }


def _rollup(line: Any, team: Team, job_id: int, version_id: int) -> CostRollup:
    return CostRollup.objects.get_or_create(
        team_id=team.pk,
        job_id=job_id,
        template_version_id=version_id,
        connection_id=line.connection_id,
        model=line.model,
        day=line.day,
    )[0]


def _book(line: Attempt | DirectCall, team: Team, job_id: int, version_id: int) -> None:
    rollup = _rollup(line, team, job_id, version_id)
    rollup.calls += 1
    if line.outcome == "in_doubt":
        rollup.in_doubt_calls += 1
        rollup.in_doubt_cost += line.cost or 0
    else:
        for name in ("input_tokens", "cached_input_tokens", "output_tokens"):
            setattr(rollup, name, getattr(rollup, name) + getattr(line, name))
        rollup.cost += line.cost or 0
        rollup.accepted += line.outcome == "accepted"
        if line.outcome != "accepted":
            rollup.wasted_cost += line.cost or 0
        waste = getattr(line, "waste", "")
        if waste:
            setattr(rollup, f"{waste}_cost", getattr(rollup, f"{waste}_cost") + (line.cost or 0))
        rollup.unpriced_calls += line.cost is None
    rollup.save()
