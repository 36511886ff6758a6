"""A row that kills its worker: parked at the third death, and its neighbours are not blamed.

The deaths are leases that ran out; the process is this one.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobs.engine import claiming, reclaiming
from jobs.engine.plan import make_plan
from jobs.engine.records import Claimed
from jobs.engine.store import Store
from jobs.models import Attempt, Due, Job, Lease, Record, RecordStatus
from tests.engine.build import check_invariants, make_job
from tests.engine.drive import run_job
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

POISON = 3


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess() as started:
        yield started


def claim(store: Store, job: Job, limit: int) -> list[Claimed]:
    plan = make_plan(job.pk, None, now=store.clock.now(), monotonic=0.0)
    return store.claim(job.pk, "doomed", limit, plan.prepare, allow_suspect=True)


def all_workers_die(store: Store) -> None:
    later = store.clock.now() + claiming.LEASE + timedelta(seconds=1)
    reclaiming.reclaim_expired(store.dialect, later)
    # The clock was only thought forward: what is due then is due now.
    Due.objects.update(not_before=store.clock.now() - timedelta(seconds=1))


def test_it_parks_a_row_that_kills_three_workers_and_no_other(
    simulator: SimulatorProcess,
) -> None:
    job = make_job(6, url=simulator.url)
    store = Store()
    for _ in range(2):
        assert len(claim(store, job, 6)) == 6
        all_workers_die(store)
    # All six are suspects now: each is tried with none of the others beside it.
    assert len(claim(store, job, 6)) == 1
    record = Record.objects.get(job_id=job.pk, status=RecordStatus.RUNNING)
    all_workers_die(store)

    check_invariants(job.pk)
    record.refresh_from_db(from_queryset=Record.objects.filter(job_id=job.pk, n=record.n))
    assert (record.status, record.failure_class) == (RecordStatus.FAILED, "worker_lost")
    assert "3 times" in (record.message or "")
    job = run_job(job)
    assert (job.status, job.succeeded, job.failed) == ("completed_with_failures", 5, 1)
    check_invariants(job.pk)
    # Whether the provider was asked before the deaths is unknown, and said for each claim.
    assert Attempt.objects.filter(job_id=job.pk, outcome="in_doubt").count() == 13
    assert job.in_doubt_cost > 0


def test_it_blames_the_suspect_alone_when_a_worker_dies_with_neighbours_in_hand(
    simulator: SimulatorProcess,
) -> None:
    job = make_job(8, url=simulator.url)
    store = Store()
    assert len(claim(store, job, 8)) == 8
    Record.objects.filter(job_id=job.pk, n=POISON).update(deaths=1)
    all_workers_die(store)
    held = claim(store, job, 8)
    assert POISON in {record.n for record in held}  # beside those that died only once
    all_workers_die(store)
    deaths = dict(Record.objects.filter(job_id=job.pk).values_list("n", "deaths"))
    assert deaths == {n: 3 if n == POISON else 1 for n in range(1, 9)}
    job = run_job(job)
    assert (job.succeeded, job.failed) == (7, 1)
    check_invariants(job.pk)


def test_it_drops_a_lease_whose_job_is_gone() -> None:
    store = Store()
    past = store.clock.now() - timedelta(hours=1)
    Lease.objects.create(
        token="t", job_id=9_999, worker="w", until=past, day=past.date(), records=[1]
    )
    assert reclaiming.reclaim_expired(store.dialect, store.clock.now()) == 0
    assert not Lease.objects.exists()
