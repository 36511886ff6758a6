"""A pilot is the first stage of its job: some rows go first, then a person looks."""

import random
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.control.actions import job_cancel, job_pause, job_resume
from jobs.control.filters import RecordFilter
from jobs.control.replays import Overrides, replay_create
from jobs.costs.population import population_of
from jobs.costs.told import forecast_of, told_of
from jobs.datasets.selection import selected_rows
from jobs.engine import tasks
from jobs.engine.pilots import begin_pilot
from jobs.engine.reconcile import sweep
from jobs.engine.replaying import replay_chunk
from jobs.engine.store import Store
from jobs.models import Attempt, Due, Job, Lease, Record, StatusReason
from jobs.money import money_text
from tests.cast import Cast, cast  # noqa: F401
from tests.engine.build import check_invariants, make_job
from tests.engine.drive import run_job
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
FIRST = [7, 20, 33, 60, 61, 62, 90, 99, 120, 150]


def pilot_job(rows: int = 150, first: list[int] = FIRST, **fields: Any) -> Job:
    fields.setdefault("selection", {"pilot": first})
    job = make_job(rows, pilot_rows=len(first), **fields)
    begin_pilot(job, timezone.now())
    job.refresh_from_db()
    return job


def states(job: Job) -> list[int]:
    return list(Record.objects.filter(job_id=job.pk).order_by("n").values_list("status", flat=True))


def test_it_sends_the_pilots_rows_alone_and_then_pauses_and_the_rest_follows_unpaid_twice(
    cast: Cast,  # noqa: F811
) -> None:
    with SimulatorProcess(seed=1) as simulator:
        job = pilot_job(url=simulator.url)
        check_invariants(job.pk)
        tasks.expand(job.pk)  # the background makes the other records meanwhile
        job = run_job(job)
        check_invariants(job.pk)
        assert (job.status, job.status_reason) == ("paused", StatusReason.PILOT)
        assert (job.succeeded, job.pending, job.expanded) == (10, 140, 150)
        lines = Attempt.objects.filter(job_id=job.pk).order_by("n")
        assert list(lines.values_list("n", "purpose")) == [(n, "pilot") for n in FIRST]
        job_resume(actor=cast.actor(cast.olivia), job=job)
        job = run_job(job)
        calls = simulator.stats()["models"][job.model]["calls"]
    check_invariants(job.pk)
    assert (job.status, job.succeeded, job.attempts, calls) == ("completed", 150, 150, 150)
    assert lines.filter(purpose="first").count() == 140
    assert not Due.objects.exists()


def test_it_says_what_all_rows_will_cost_and_the_forecast_narrows_to_what_they_did(
    cast: Cast,  # noqa: F811
) -> None:
    with SimulatorProcess(seed=1) as simulator:
        job = run_job(pilot_job(url=simulator.url))
        sweep(Store())
        job.refresh_from_db()
        told = told_of(job)
        assert told is not None
        assert (told.basis, told.seen_rows) == ("pilot", 10)
        assert f"expected to cost {money_text(told.cost.expected)}" in job.status_detail
        assert job.status_detail.startswith("10 of 150 rows are done and cost $")
        assert forecast_of(job) == told.cost
        sweep(Store())  # once is enough
        job_resume(actor=cast.actor(cast.olivia), job=job)
        # Half of the rows, and then a pause.
        Job.objects.filter(pk=job.pk).update(budget=told.cost.expected * 2 // 3)
        job = run_job(job)
        assert job.status_reason == StatusReason.BUDGET
        narrower = forecast_of(job)
        assert narrower is not None
        assert narrower.high - narrower.low < told.cost.high - told.cost.low
        assert narrower.low >= job.cost
        Job.objects.filter(pk=job.pk).update(budget=None)
        job_resume(actor=cast.actor(cast.olivia), job=job)
        job = run_job(job)
    assert (job.status, job.succeeded) == ("completed", 150)
    assert told.cost.holds(job.cost)
    assert forecast_of(job) is None


def test_it_expands_a_sample_around_its_pilot(cast: Cast) -> None:  # noqa: F811
    sample = {"sample": 40, "seed": 3}
    chosen = list(selected_rows(sample, 150, 0, 40))
    first = [chosen[0], chosen[17], chosen[39]]
    with SimulatorProcess(seed=1) as simulator:
        job = pilot_job(
            first=first, selection={**sample, "pilot": first}, url=simulator.url, total=40
        )
        job = run_job(job)
        assert (job.status_reason, job.succeeded) == (StatusReason.PILOT, 3)
        job_resume(actor=cast.actor(cast.olivia), job=job)
        job = run_job(job)
    check_invariants(job.pk)
    numbers = Record.objects.filter(job_id=job.pk).order_by("n").values_list("n", flat=True)
    assert (job.status, list(numbers)) == ("completed", chosen)


def test_it_goes_on_with_the_pilot_after_a_persons_pause_and_after_a_worker_died(
    cast: Cast,  # noqa: F811
) -> None:
    with SimulatorProcess(seed=1) as simulator:
        job = pilot_job(url=simulator.url)
        store = Store()
        store.sync_clock()
        # Four of them are in a worker that is killed.
        dead = store.claim(job.pk, "dead", 4, lambda record: None, allow_suspect=False)
        assert len(dead) == 4
        assert {record.n for record in dead} < set(FIRST)
        Lease.objects.update(until=timezone.now() - timedelta(minutes=5))
        actor = cast.actor(cast.olivia)
        job_pause(actor=actor, job=job)
        job_resume(actor=actor, job=job)
        job.refresh_from_db()
        assert job.pilot_rows == 10
        sweep(store)
        check_invariants(job.pk)
        assert set(Attempt.objects.values_list("purpose", "outcome")) == {("pilot", "in_doubt")}
        job = run_job(job)
    check_invariants(job.pk)
    assert (job.status_reason, job.succeeded, job.cursor) == (StatusReason.PILOT, 10, 0)


def test_failed_rows_of_a_pilot_are_retried_within_it_and_can_be_replayed(
    cast: Cast,  # noqa: F811
) -> None:
    actor = cast.actor(cast.olivia)
    with SimulatorProcess({"invalid_json": 0.5}, seed=4) as simulator:
        job = pilot_job(url=simulator.url, max_attempts=2, tolerated_failure_rate=1.0)
        job = run_job(job, idle=2.0)
        check_invariants(job.pk)
        assert (job.status_reason, job.succeeded + job.failed) == (StatusReason.PILOT, 10)
        assert job.failed
        assert job.attempts > 10
        simulator.set_faults({})
        replay, _ = replay_create(
            actor=actor, job=job, key="k", chosen=RecordFilter(), overrides=Overrides()
        )
        while replay_chunk(Store().dialect, replay.pk, timezone.now()):
            pass
        check_invariants(job.pk)
        job_resume(actor=actor, job=job)
        job = run_job(job)
    # What is sent again lies ahead of the cursor, and is met once.
    check_invariants(job.pk)
    assert (job.status, job.succeeded) == ("completed", 150)
    assert Attempt.objects.filter(job_id=job.pk, purpose="replay").count() == replay.asked


def test_a_cancel_after_the_pilot_keeps_its_results(cast: Cast) -> None:  # noqa: F811
    with SimulatorProcess(seed=1) as simulator:
        job = run_job(pilot_job(url=simulator.url))
    job_cancel(actor=cast.actor(cast.olivia), job=job)
    tasks.cancel(job.pk)
    job = check_invariants(job.pk)
    assert (job.status, job.succeeded, job.cancelled) == ("cancelled", 10, 140)
    assert sorted(states(job)) == [2] * 10 + [4] * 140


def test_a_pilot_of_all_rows_is_the_whole_job() -> None:
    with SimulatorProcess(seed=1) as simulator:
        job = run_job(pilot_job(rows=3, first=[1, 2, 3], url=simulator.url))
    check_invariants(job.pk)
    assert (job.status, job.succeeded) == ("completed", 3)


def test_it_is_drawn_from_short_and_long_rows_in_their_proportion() -> None:
    rows = [{"text": "word " * (n if n % 10 else 40 * n)} for n in range(1, 201)]
    job = make_job(rows)
    population = population_of(job.dataset, job.template_version, {})
    assert (population.rows, population.exact, population.unrenderable) == (200, True, 0)
    for seed in range(5):
        places = population.stratified(10, random.Random(seed))
        assert len(set(places)) == 10
        assert sum(1 for place in places if (place + 1) % 10 == 0) == 1  # a tenth are long
