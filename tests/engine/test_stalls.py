"""A job that stands still though it has work and live workers is mended, or called stalled; who waits by
rights is let wait."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from jobs.engine.reconcile import sweep
from jobs.engine.stalls import stalled_since
from jobs.failures import FailureClass
from jobs.models import Due, Job, Lease, LimitState, Notice, Record, Worker
from tests.engine.build import check_invariants
from tests.engine.test_job_state_machine import Bench

pytestmark = pytest.mark.django_db


@pytest.fixture
def bench() -> Bench:
    """A job at work: one row of six is done, two are held."""
    bench = Bench(6)
    begin(bench)
    bench.claim(3)
    bench.answer()
    return bench


def begin(bench: Bench) -> None:
    """It was launched at the bench's own time, and a slice looks after it."""
    Job.objects.filter(pk=bench.id).update(created_at=bench.clock.at, status_at=bench.clock.at)
    Worker.objects.create(
        id="w", kind="slice", host="h", pid=1, version="0", started_at=bench.clock.at,
        seen_at=bench.clock.at + timedelta(hours=1), detail={"jobs": {}},
    )  # fmt: skip


def later(bench: Bench, **time: int) -> None:
    bench.wait(**time)
    Lease.objects.update(until=bench.clock.at + timedelta(minutes=1))  # as heartbeats renew them
    sweep(bench.store)


def finish(bench: Bench) -> None:
    bench.held.clear()
    while bench.claim():
        bench.answer(count=10)
    job = check_invariants(bench.id)
    assert (job.status, job.succeeded) == ("completed", 6)


def test_records_under_a_lease_that_is_gone_go_back_in_doubt(bench: Bench) -> None:
    Lease.objects.all().delete()
    later(bench, seconds=100)
    assert bench.job.running == 2
    later(bench, seconds=30)
    job = check_invariants(bench.id)
    assert (job.running, job.pending, job.in_doubt_attempts) == (0, 5, 2)
    assert not Record.objects.filter(job_id=bench.id, deaths__gt=0).exists()
    assert stalled_since(job) is None  # it is mended
    finish(bench)


def test_due_times_that_are_gone_come_back_though_others_wait(bench: Bench) -> None:
    bench.answer(FailureClass.RATE_LIMITED, count=2)
    bench.claim(2)
    bench.answer(FailureClass.RATE_LIMITED, count=2)
    one, other = Due.objects.filter(job_id=bench.id).order_by("n")[:2]
    Due.objects.filter(job_id=bench.id).exclude(n=other.n).delete()
    Due.objects.filter(n=other.n).update(not_before=bench.clock.at + timedelta(hours=1))
    bench.claim(3)
    bench.answer(count=3)
    later(bench, minutes=3)
    assert Due.objects.filter(job_id=bench.id, n=one.n).exists()
    assert Due.objects.get(job_id=bench.id, n=other.n).not_before > bench.clock.at


def test_what_cannot_be_mended_is_said_until_it_gets_on(bench: Bench) -> None:
    stood = bench.clock.at
    later(bench, seconds=100)
    assert stalled_since(bench.job) is None
    later(bench, seconds=30)  # two rows are held, and nobody is calling for them
    assert stalled_since(bench.job) == stood
    later(bench, seconds=30)
    assert Notice.objects.get().kind == "job.stalled"
    bench.answer()
    assert stalled_since(bench.job) is None
    assert bench.job.state.is_runnable


def _call(bench: Bench) -> None:
    Worker.objects.update(detail={"jobs": {str(bench.id): 1}})


def _wait_for_tokens(bench: Bench) -> None:
    job = bench.job
    lane = {"tokens_short": True}
    Worker.objects.update(detail={"limits": {f"{job.connection_id}:{job.model}": lane}})


def _cool_down(bench: Bench) -> None:
    job = bench.job
    LimitState.objects.create(
        connection_id=job.connection_id, model=job.model,
        cooldown_until=bench.clock.at + timedelta(hours=1),
    )  # fmt: skip


def _wait_for_retries(bench: Bench) -> None:
    bench.claim()
    bench.answer(FailureClass.RATE_LIMITED, count=5)
    Due.objects.update(not_before=bench.clock.at + timedelta(hours=1))


def _go_home(bench: Bench) -> None:
    Worker.objects.all().delete()


def _take_turns(bench: Bench) -> None:
    other = Bench(2)
    job = bench.job
    Job.objects.filter(pk=other.id).update(
        connection_id=job.connection_id, created_at=bench.clock.at + timedelta(seconds=150)
    )


@pytest.mark.parametrize(
    "reason",
    [Bench.pause, _call, _cool_down, _wait_for_tokens, _wait_for_retries, _go_home, _take_turns],
)
def test_a_job_that_waits_by_rights_has_not_stalled(
    bench: Bench, reason: Callable[[Bench], object]
) -> None:
    reason(bench)
    later(bench, minutes=4)
    assert stalled_since(bench.job) is None
    check_invariants(bench.id)
