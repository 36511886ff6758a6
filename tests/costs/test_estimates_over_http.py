"""Estimates of real jobs against the simulator: what is told is held against the ledger."""

import random
from collections.abc import Callable

import pytest
from django.utils import timezone

from jobs.control.actions import job_resume
from jobs.costs.calibration import calibration, outcomes
from jobs.costs.estimates import estimate_launch
from jobs.costs.population import population_of
from jobs.costs.told import told_of
from jobs.engine.pilots import begin_pilot
from jobs.engine.reconcile import sweep
from jobs.engine.store import Store
from jobs.models import Job
from tests.cast import Cast, cast  # noqa: F401
from tests.engine.build import check_invariants, make_job
from tests.engine.drive import run_job
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = 600


def drifting(rng: random.Random, at: float) -> float:
    """The classic trap: the first rows are the short ones."""
    return 30 * 10**at * rng.lognormvariate(0, 0.3)


def two_kinds(rng: random.Random, at: float) -> float:
    return (30 if rng.random() < 0.5 else 300) * rng.lognormvariate(0, 0.2)


def rows_of(length: Callable[[random.Random, float], float], seed: int) -> list[dict[str, str]]:
    rng = random.Random(seed)
    return [
        {
            "text": "The parcel is late. " * rng.randint(5, 60),
            "long": str(max(1, min(900, round(length(rng, n / ROWS))))),
        }
        for n in range(ROWS)
    ]


def launched(simulator: SimulatorProcess, rows: list[dict[str, str]], pilot: int) -> Job:
    job = make_job(
        rows,
        url=simulator.url,
        user="{{ text }} [[tokens:{{ long }}]]",
        schema=None,
        parameters={"max_tokens": 1_000, "timeout": 5},
        pilot_rows=pilot,
    )
    population = population_of(job.dataset, job.template_version, {})
    places = population.stratified(pilot, random.Random(3))
    job.selection = {"pilot": [place + 1 for place in places]}
    job.save()
    begin_pilot(job, timezone.now())
    return job


@pytest.mark.parametrize("length", [drifting, two_kinds])
def test_what_is_told_after_a_pilot_of_fifty_holds_what_the_job_costs(
    cast: Cast,  # noqa: F811
    length: Callable[[random.Random, float], float],
) -> None:
    # Some calls are made again, and are paid again.
    with SimulatorProcess({"usage_missing": 0.02, "empty_output": 0.04}, markers=True) as simulator:
        job = run_job(launched(simulator, rows_of(length, 5), 50), idle=2.0)
        assert job.status_reason == "pilot"
        sweep(Store())
        job.refresh_from_db()
        told = told_of(job)
        assert told is not None
        assert told.cost.half_width < 0.3
        job_resume(actor=cast.actor(cast.olivia), job=job)
        job = run_job(job, idle=2.0)
        check_invariants(job.pk)
        assert job.finished_at
        assert told.cost.holds(job.cost)
        assert job.cost > ROWS / 50 * 5  # and it is not the pilot alone that was paid
        (kept,) = calibration(outcomes(job.team))
        assert (kept.basis, kept.jobs, kept.held) == ("pilot", 1, 1)
        # What it came to tells of the next job of its template.
        price = estimate_launch(
            dataset=job.dataset,
            version=job.template_version,
            connection=job.connection,
            model=job.model,
            selection={},
            max_tokens=1_000,
            at=timezone.now(),
        )
    assert (price.basis, price.seen_jobs, price.exact) == ("history", 1, True)
    assert price.cost is not None
    assert price.cost.holds(job.cost)
    assert price.input_tokens is not None
    assert price.input_error < 0.05
    assert abs(price.input_tokens * 1.04 / job.input_tokens - 1) < 0.06
