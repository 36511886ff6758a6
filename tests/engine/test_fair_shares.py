"""Who is served when teams compete for one connection: seen from the order in which calls left."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from jobs.engine.records import Settlement
from jobs.engine.store import Store
from jobs.models import Attempt, Job, JobStatus
from tests.engine.build import check_invariants, make_job
from tests.engine.drive import run_slice
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def order_of_calls() -> list[int]:
    """The job of each call, in the order in which they left."""
    return list(Attempt.objects.order_by("started_at", "n").values_list("job_id", flat=True))


def beside(job: Job, rows: int, **fields: Any) -> Job:
    """Another team's job on the same connection."""
    other = make_job(rows, **fields)
    Job.objects.filter(pk=other.pk).update(connection=job.connection)
    return other


@pytest.mark.parametrize(
    "limits", [{"max_in_flight": 8}, {"rpm": 12_000}], ids=["in flight", "rate"]
)
def test_teams_share_equally_whatever_the_sizes_of_their_jobs(limits: dict[str, int]) -> None:
    with SimulatorProcess(latency_ms=20) as simulator:
        large = make_job(600, url=simulator.url, limits=limits)
        small = beside(large, 150)
        run_slice()
    calls = order_of_calls()
    # While both have rows, each has every other call; a claim of the first job's may come first.
    until = max(n for n, job_id in enumerate(calls) if job_id == small.pk) + 1
    shares = Counter(calls[:until])
    assert shares[small.pk] == 150
    assert shares[large.pk] <= 150 + 100, shares
    for job in (large, small):
        assert check_invariants(job.pk).status == "completed"


class LaunchesLater(Store):
    """Launches another team's job of ten rows when some of the first are done."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.late: Job | None = None

    def settle(
        self, job_id: int, worker: str, settlements: Sequence[Settlement], done: Sequence[str]
    ) -> JobStatus | None:
        status = super().settle(job_id, worker, settlements, done)
        if self.late is None and Attempt.objects.count() >= 200:
            self.late = beside(self.job, 10)
        return status


@pytest.mark.parametrize(
    "limits", [{"max_in_flight": 8}, {"rpm": 12_000}], ids=["in flight", "rate"]
)
def test_a_small_job_beside_a_large_one_is_served_at_once(limits: dict[str, int]) -> None:
    with SimulatorProcess(latency_ms=20) as simulator:
        large = make_job(1_000, url=simulator.url, limits=limits)
        store = LaunchesLater(large)
        run_slice(store)
    assert store.late is not None
    created = Attempt.objects.filter(job_id=store.late.pk).order_by("started_at")
    first, last = created.first(), created.last()
    assert first is not None
    assert last is not None
    # From its first call on it has every other call, and it is done when the large one is not.
    between = Attempt.objects.filter(
        job_id=large.pk, started_at__gte=first.started_at, started_at__lte=last.started_at
    )
    assert between.count() <= 10 + 60
    assert Attempt.objects.filter(job_id=large.pk, started_at__gt=last.started_at).count() > 300


def test_priority_orders_the_jobs_of_one_team() -> None:
    with SimulatorProcess(latency_ms=5) as simulator:
        ordinary = make_job(200, url=simulator.url, limits={"rpm": 12_000})
        urgent = beside(ordinary, 100, team=ordinary.team, priority=5)
        run_slice()
    calls = order_of_calls()
    last_urgent = max(n for n, job_id in enumerate(calls) if job_id == urgent.pk)
    assert calls[: last_urgent + 1].count(ordinary.pk) <= 8  # looked ahead before it was known
    assert len(calls) == 300  # and the other is not forgotten
