"""How long calls are waited for: learned from the answers, generous, never above the job's timeout."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import connection
from django.utils import timezone

from jobs.control.actions import job_cancel
from jobs.engine.answers import latest_answers
from jobs.engine.dialect import dialect_of
from jobs.engine.flights import Flights
from jobs.engine.patience import ENOUGH, MARGIN, MEMORY, SHORTEST_S, Patience
from jobs.engine.plan import Plan, make_plan
from jobs.engine.records import Claimed
from jobs.engine.store import Store
from jobs.models import Attempt, Worker
from tests.cast import Cast, cast  # noqa: F401
from tests.engine.build import check_invariants, make_job
from tests.engine.drive import run_job, run_slice
from tests.simulator_process import SimulatorProcess

CEILING = 300.0


def wait(patience: Patience, tries: int = 0, ceiling: float = CEILING) -> float:
    return patience.seconds(ceiling, tries=tries, max_attempts=3)


def answered(times: int, took: float, tokens: int = 50, max_tokens: int = 200) -> Patience:
    patience = Patience(max_tokens)
    for _ in range(times):
        patience.answered(took, tokens)
    return patience


def test_it_waits_up_to_the_ceiling_until_it_has_seen_enough() -> None:
    assert wait(Patience(200)) == CEILING
    assert wait(answered(ENOUGH - 1, 0.5)) == CEILING
    assert wait(answered(ENOUGH, 0.5)) == SHORTEST_S


@pytest.mark.parametrize("took", [0.0, 0.001, 0.5, 7.0, 20.0, 90.0, 5_000.0])
def test_it_waits_several_times_as_long_as_answers_take_and_never_above_the_ceiling(
    took: float,
) -> None:
    patience = answered(100, took)
    assert min(CEILING, max(SHORTEST_S, MARGIN * took)) <= wait(patience)
    assert wait(patience) <= min(CEILING, max(SHORTEST_S, 1.2 * MARGIN * took))
    assert wait(patience, ceiling=5.0) == 5.0


def test_it_waits_longer_for_a_row_that_was_given_up_and_fully_for_its_last_attempt() -> None:
    patience = answered(100, 0.5)
    assert [wait(patience, tries) for tries in (0, 1, 2)] == [SHORTEST_S, 4 * SHORTEST_S, CEILING]
    assert patience.seconds(CEILING, tries=0, max_attempts=1) == CEILING


def test_it_waits_for_the_longest_answer_that_the_job_allows() -> None:
    # 50 tokens a second: 4,000 of them take 80 seconds, however short the others were.
    assert wait(answered(100, 1.0, tokens=50, max_tokens=4_000)) == pytest.approx(80.0)


def test_it_gives_up_few_honest_calls_of_a_heavy_tail() -> None:
    rng, patience, given_up = random.Random(4), Patience(200), 0
    for _ in range(20_000):
        took = rng.lognormvariate(1.5, 1.0)  # median 4.5 s, one in a thousand above 98 s
        if took > wait(patience):
            patience.gave_up()
            given_up += 1
        else:
            patience.answered(took, 50)
    assert given_up < 20


def test_a_provider_that_becomes_slow_for_all_is_waited_for() -> None:
    patience = answered(MEMORY * 3, 1.0)
    lost = 0
    while wait(patience) < CEILING:
        patience.gave_up()
        lost += 1
    assert lost <= MEMORY * 0.12
    # Its slow answers are the usual ones soon, and what is given up then has hung.
    for _ in range(MEMORY * 3):
        patience.answered(60.0, 50)
    assert 240.0 <= wait(patience) < CEILING


def test_the_odd_hanging_call_does_not_make_it_wait() -> None:
    patience = answered(100, 1.0)
    for n in range(1_000):
        patience.answered(1.0, 50)
        if n % 20 == 0:
            patience.gave_up()
        assert wait(patience) == SHORTEST_S


@pytest.fixture
def silent() -> Iterator[SimulatorProcess]:
    """Some calls are never answered; the others are at once."""
    with SimulatorProcess({"timeout": {"share": 0.05, "times": 1}}, seed=2) as simulator:
        yield simulator


@pytest.mark.django_db(transaction=True)
def test_calls_that_hang_end_long_before_the_timeout_also_those_that_left_first(
    silent: SimulatorProcess,
) -> None:
    job = make_job(300, url=silent.url, parameters={"max_tokens": 200, "timeout": 120})
    started = time.monotonic()
    job = run_job(job, shortest_wait=1.0)
    assert time.monotonic() - started < 60
    check_invariants(job.pk)
    assert (job.status, job.succeeded) == ("completed", 300)
    given_up = Attempt.objects.filter(job_id=job.pk, failure_class="timeout")
    assert 3 <= given_up.count() == job.in_doubt_attempts
    assert set(given_up.values_list("outcome", flat=True)) == {"in_doubt"}


@pytest.mark.django_db(transaction=True)
def test_what_was_learned_outlives_the_slice(silent: SimulatorProcess) -> None:
    job = make_job(220, url=silent.url, parameters={"max_tokens": 200, "timeout": 120})
    job = run_job(job, shortest_wait=1.0)
    assert job.succeeded == 220
    plan = make_plan(job.pk, None, now=timezone.now(), monotonic=0.0)
    answers = latest_answers(dialect_of(connection), plan)
    given_up = Attempt.objects.filter(job_id=job.pk, failure_class="timeout").count()
    assert 0 < sum(tokens is None for _, tokens in answers) <= given_up
    # A slice that begins then waits as long as the one that ended did, from its first call on.
    record = Claimed(
        job_id=job.pk, n=1, lease="", number=1, tries=0, generation=0, replay_id=None, deaths=0,
        reserved=0, claimed_at=0.0, day=timezone.now().date(), values={}, sent_at=0.0,
    )  # fmt: skip

    async def first_call(plan: Plan) -> float:
        flights = Flights(shortest=SHORTEST_S, enough=ENOUGH, cancelled_wait=1.0)
        return flights.make(record, plan).until()

    assert asyncio.run(first_call(plan)) == 120.0
    assert asyncio.run(first_call(replace(plan, answers=answers))) == SHORTEST_S
    # What another model took says nothing of this one.
    assert latest_answers(dialect_of(connection), replace(plan, lane=(plan.lane[0], "other"))) == []


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_job_leaves_silent_calls_in_doubt_after_a_while(cast: Cast) -> None:  # noqa: F811
    told: list[dict[str, float]] = []

    class Watching(Store):
        """Cancels once the calls are on their way, and keeps what is said of them."""

        def heartbeat(self, worker: str, **said: object) -> set[str]:  # type: ignore[override]
            lost = super().heartbeat(worker, **said)  # type: ignore[arg-type]
            calls = Worker.objects.get(pk=worker).detail["calls"].get(str(job.pk))
            if calls:
                told.append(calls)
            if calls and calls["calls"] == 6 and len(told) == 1:
                job_cancel(actor=cast.actor(cast.alice), job=job)
            return lost

    with SimulatorProcess({"timeout": 1.0}) as simulator:
        job = make_job(
            6, url=simulator.url, team=cast.team, parameters={"max_tokens": 200, "timeout": 120}
        )
        run_slice(Watching(), heartbeat=0.1, cancelled_wait=1.5, idle=1.0)
    job = check_invariants(job.pk)
    assert (job.status, job.cancelled, job.in_doubt_attempts) == ("cancelled", 6, 6)
    # How long they are waited for is known, and shorter once the job is cancelled.
    assert told[0]["until"] - told[0]["since"] >= 119
    assert told[-1]["until"] - told[-1]["since"] < 30
