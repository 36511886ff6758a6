"""A month that was closed stays as it was: what comes later is booked on the day on which it comes."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.failures import FailureClass
from jobs.models import Attempt, ClosedMonth, Correction, CostRollup
from tests.engine.build import check_invariants
from tests.engine.test_job_state_machine import Bench
from tests.engine.test_ledger_lines import CALL, told

pytestmark = pytest.mark.django_db

LAST, TODAY = date(2026, 10, 31), date(2026, 11, 2)


@pytest.fixture
def bench() -> Bench:
    made = Bench(2)
    made.clock.at = datetime(2026, 10, 31, 23, 50, tzinfo=UTC)
    made.claim()
    return made


def close(bench: Bench) -> list[dict[str, Any]]:
    ClosedMonth.objects.create(team=bench.job.team, month=date(2026, 10, 1))
    bench.clock.at = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    return booked(bench, LAST)


def booked(bench: Bench, day: date) -> list[dict[str, Any]]:
    return list(CostRollup.objects.filter(job_id=bench.id, day=day).values())


def test_a_replay_makes_the_former_call_waste_of_the_day_it_was_replayed_on(bench: Bench) -> None:
    bench.settle(told(bench), told(bench))
    before = close(bench)
    bench.replay(1, replayed="succeeded")
    bench.apply_replays()
    bench.claim()
    bench.settle(told(bench))
    assert booked(bench, LAST) == before
    (today,) = booked(bench, TODAY)
    # One call was made and accepted, another lost its place.
    assert (today["calls"], today["accepted"], today["cost"]) == (1, 0, CALL)
    assert (today["wasted_cost"], today["superseded_cost"]) == (CALL, CALL)
    former = Attempt.objects.get(job_id=bench.id, n=1, number=1)
    assert (former.outcome, former.day, former.amended_on) == ("superseded", LAST, TODAY)
    assert check_invariants(bench.id).wasted_cost == CALL


def test_a_late_answer_is_a_correction_and_is_counted_once(bench: Bench) -> None:
    late = told(bench)
    bench.crash()
    before = close(bench)
    doubt = bench.job.in_doubt_cost
    assert doubt > 0
    bench.settle(late)
    bench.settle(late)
    assert booked(bench, LAST) == before
    (today,) = booked(bench, TODAY)
    assert (today["calls"], today["cost"], today["late_cost"]) == (0, CALL, CALL)
    assert (today["in_doubt_calls"], today["in_doubt_cost"]) == (-1, -doubt // 2)
    (line,) = Correction.objects.all()
    assert (line.kind, line.n, line.cost, line.day) == ("reconciled", 1, CALL, TODAY)
    job = check_invariants(bench.id)
    assert (job.cost, job.in_doubt_attempts, job.in_doubt_cost) == (CALL, 1, doubt // 2)


def test_what_was_under_way_when_it_was_closed_is_booked_when_it_ends(bench: Bench) -> None:
    bench.settle(told(bench))
    before = close(bench)
    bench.settle(told(bench, "", FailureClass.REFUSAL))
    assert booked(bench, LAST) == before
    assert booked(bench, TODAY)[0]["failed_cost"] == CALL
    check_invariants(bench.id)


def test_a_worker_that_died_with_a_call_of_it_leaves_its_doubt_today(bench: Bench) -> None:
    before = close(bench)
    late = told(bench)
    bench.crash()
    bench.settle(late)
    assert booked(bench, LAST) == before == []
    assert booked(bench, TODAY)[0]["late_cost"] == CALL
    check_invariants(bench.id)
