"""A slice that leaves: nothing it was in the middle of is torn, nothing it holds is forgotten."""

import asyncio
import random
import signal
import time

import pytest

from jobs.engine.records import JobHead
from jobs.engine.slice import Slice, Tuning
from jobs.engine.store import Store
from jobs.engine.workers import register_worker
from jobs.models import Attempt, Lease
from jobs.providers.transport import LeanTransport
from tests.engine.build import MODEL, check_invariants, make_job
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


class BusyStore(Store):
    """Its thread is hardly ever free, so that each write has to wait for its turn."""

    def runnable_jobs(self) -> list[JobHead]:
        time.sleep(0.02)
        return super().runnable_jobs()


def leave_while_calling(tuning: Tuning, *, told: bool) -> None:
    """One slice that is told to stop, or whose life ends, once calls are in flight."""
    store = BusyStore()
    store.sync_clock()
    worker = register_worker("slice", store)

    async def session() -> None:
        transport = LeanTransport(allow_private=True, max_connections=64)
        made = Slice(
            worker=worker,
            store=store,
            transport=transport,
            rng=random.Random(3),
            tuning=tuning,
            told_to_stop=lambda: told and len(made.calls) >= 5,
            on_beat=lambda: None,
            on_leave=lambda: None,
        )
        try:
            await made.run()
        finally:
            await transport.close()

    try:
        asyncio.run(session())
    finally:
        store.sign_off(worker)


def test_it_writes_every_answer_it_waited_for() -> None:
    quick = Tuning(flush_every=0.0, tick=0.001, heartbeat=0.1, idle=0.2, grace=20.0)
    with SimulatorProcess(latency_ms=60, jitter=0.9) as simulator:
        job = make_job(400, url=simulator.url)
        for _ in range(6):
            leave_while_calling(quick, told=True)
            job = check_invariants(job.pk)
            assert (job.running, job.failed, job.in_doubt_attempts) == (0, 0, 0)
            assert job.succeeded == job.attempts == simulator.stats()["models"][MODEL]["calls"]
            assert not Lease.objects.exists()
        assert 0 < job.succeeded < 400


def test_it_leaves_also_in_the_moment_in_which_an_errand_ends() -> None:
    store = Store()

    def fail(*_: object) -> None:
        raise AssertionError("it goes round without end")  # asyncio itself would have no say

    async def session() -> None:
        slice_ = Slice(
            worker="w", store=store, transport=LeanTransport(allow_private=True, max_connections=1),
            rng=random.Random(3), tuning=Tuning(), told_to_stop=lambda: True,
            on_beat=lambda: None, on_leave=lambda: None,
        )  # fmt: skip
        slice_._errand(asyncio.sleep(0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # it has ended, and nobody was told yet
        assert slice_._errands
        signal.setitimer(signal.ITIMER_REAL, 20)
        try:
            await slice_._drain()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            await slice_.transport.close()

    before = signal.signal(signal.SIGALRM, fail)
    try:
        asyncio.run(session())
    finally:
        signal.signal(signal.SIGALRM, before)


def test_it_does_not_give_up_calls_that_outlast_the_end_of_its_minutes() -> None:
    short = Tuning(flush_every=0.02, tick=0.05, heartbeat=0.5, idle=0.2, life=0.3, grace=0.1)
    with SimulatorProcess(latency_ms=900) as simulator:
        job = make_job(6, url=simulator.url)
        leave_while_calling(short, told=False)
    job = check_invariants(job.pk)
    assert job.succeeded == job.attempts == 6
    assert not Attempt.objects.filter(job_id=job.pk).exclude(outcome="accepted").exists()


def test_it_doubts_what_outlasts_the_grace_time_when_told_to_stop() -> None:
    hasty = Tuning(flush_every=0.02, tick=0.05, heartbeat=0.5, idle=0.2, grace=0.1)
    with SimulatorProcess(latency_ms=5_000) as simulator:
        job = make_job(6, url=simulator.url, parameters={"max_tokens": 200, "timeout": 60})
        leave_while_calling(hasty, told=True)
    job = check_invariants(job.pk)
    assert (job.running, job.failed) == (0, 0)
    assert 5 <= job.in_doubt_attempts == job.attempts <= 6
    assert job.pending == 6
