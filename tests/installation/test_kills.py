"""kill -9 in the middle of a job: of workers, of all of it. The job goes on, the books are right."""

import os
import signal
import time

import pytest

from jobs.models import Attempt, AttemptOutcome, Record
from tests.engine.build import INPUT_PRICE, OUTPUT_PRICE, make_job
from tests.engine.test_jobs_against_the_simulator import EVERY_FAULT
from tests.installation.installation import Installation
from tests.installation.processes import wait_until
from tests.installation.reckoning import (
    check_against_provider,
    check_nothing_left,
    counted,
    ended,
    failures_by_class,
    paid,
    settled,
)
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.installation

KILLS = int(os.environ.get("KILLS", "5"))
# What a worker held when it was killed is what the next one takes first: killed again at once, rows come
# under suspicion in hundreds, and are tried one by one. So between many kills there is more to do.
ROWS = 60 * KILLS**2


def test_it_goes_on_when_every_idle_worker_was_killed(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    # One of the idle workers holds the queue's lock, waiting for a message.
    wait_until(installation.is_idle, "two idle workers, pusher and monitor")
    killed = installation.pool()
    for process in killed:
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: len(set(installation.pool()) - set(killed)) == 4, "as many in their places")
    job = installation.launch(50)
    wait_until(lambda: ended(job), "the job's end")
    assert job.succeeded == 50
    assert counted(simulator)["calls"] == 50


def test_it_accounts_for_every_row_and_call_through_kills_and_all_faults(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    """Of two teams with a model each, one of them at a thousand times the other's price."""
    simulator.set_faults(EVERY_FAULT, latency_ms=40.0, jitter=0.5)
    dear = (1_000 * INPUT_PRICE, 1_000 * OUTPUT_PRICE)
    jobs = [
        installation.launch(ROWS, timeout=2),
        make_job(
            ROWS,
            url=simulator.url,
            model="sim-large",
            prices=dear,
            limits={"max_in_flight": 60},
        ),
    ]
    rows = sum(job.total for job in jobs)
    for kill in range(1, KILLS + 1):
        least = kill * rows // (KILLS + 2)
        wait_until(lambda least=least: sum(map(settled, jobs)) >= least, f"{least} rows")
        installation.kill_a_worker()
    for job, prices in zip(jobs, ((INPUT_PRICE, OUTPUT_PRICE), dear), strict=True):
        wait_until(lambda job=job: ended(job), "the job's end")
        job = check_against_provider(job, simulator, prices=prices)
        assert job.status == "completed_with_failures"
        assert job.succeeded + job.failed == job.total
        classes = failures_by_class(job)
        assert sum(classes.values()) == job.failed
        assert not {"rate_limited", "overloaded"} & set(classes)
        check_nothing_left(job)
    assert Attempt.objects.filter(failure_class="worker_lost").exists()


def test_it_goes_on_by_itself_after_everything_was_killed(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    simulator.set_faults({}, latency_ms=200.0)
    job = installation.launch(400, timeout=20)
    wait_until(lambda: settled(job) >= 100, "a quarter of the rows")
    installation.running.kill()
    before = paid(job)
    assert 100 <= len(before) < 400
    installation.start()
    wait_until(lambda: ended(job), "the job's end")

    job = check_against_provider(job, simulator)
    assert (job.status, job.succeeded) == ("completed", 400)
    after = paid(job)
    assert {n: after[n] for n in before} == before
    # Nothing is paid twice but what was in flight.
    assert counted(simulator)["calls"] <= 400 + job.in_doubt_attempts
    check_nothing_left(job)


def test_it_books_late_answers_of_a_frozen_worker_as_cost_and_never_as_results(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    simulator.set_faults({}, latency_ms=1000.0)
    job = installation.launch(160, timeout=60)
    wait_until(lambda: settled(job) >= 20, "the first rows")
    frozen = installation.freeze_a_worker(job)
    wait_until(lambda: ended(job), "the end, by the other worker")
    assert job.succeeded == 160
    outputs = dict(Record.objects.filter(job_id=job.pk).values_list("n", "output"))
    assert job.in_doubt_attempts > 0
    calls = counted(simulator)["calls"]

    installation.wake(frozen)
    late = Attempt.objects.filter(job_id=job.pk, outcome=AttemptOutcome.LATE)
    wait_until(late.exists, "late answers in the ledger")
    # All that the provider answered is confirmed now; what is still in doubt never left.
    confirmed = Attempt.objects.filter(job_id=job.pk).exclude(outcome="in_doubt")
    wait_until(lambda: confirmed.count() == calls, "each answer in the ledger")
    job = check_against_provider(job, simulator)
    assert job.wasted_cost == sum(late.values_list("cost", flat=True)) > 0
    assert counted(simulator)["calls"] == calls  # nothing was sent on the lost lease
    assert dict(Record.objects.filter(job_id=job.pk).values_list("n", "output")) == outputs
    check_nothing_left(job)


def test_it_ends_with_the_server_that_started_it(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    tree = installation.running
    assert len(tree.processes()) >= 10
    tree.signal(signal.SIGKILL)
    started = time.monotonic()
    tree.wait()
    assert time.monotonic() - started < 40
