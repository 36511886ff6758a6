"""A provider's limit over real HTTP: with headers it is kept from the first answers on, without them it
is found, and the next job begins there. How well, minutes long and at many rates, tells
`test_limits_in_virtual_time`."""

import pytest

from jobs.engine.pace import KEEP, Pace
from jobs.models import Connection, Job, LimitState, Record
from tests.engine.build import MODEL, check_invariants, make_job
from tests.engine.drive import run_job
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
# Two seconds' worth at once.
LIMIT = {"rpm": 3_000, "burst_seconds": 2.0}


def run(rows: int, url: str, connection: Connection | None = None) -> Job:
    job = make_job(rows, url=url)
    if connection is not None:
        job.connection = connection
        job.save()
    job = run_job(job, tick=0.5)
    assert check_invariants(job.pk).status == "completed"
    # Waiting used up no row's attempts.
    assert not Record.objects.filter(job_id=job.pk, tries__gt=1).exists()
    return job


def test_it_keeps_below_what_the_provider_tells() -> None:
    with SimulatorProcess(LIMIT | {"limit_headers": True}, latency_ms=20) as simulator:
        run(200, simulator.url)
        stats = simulator.stats()["models"][MODEL]
    refused = stats["by_status"].get("429", 0)
    assert stats["calls"] == 200 + refused
    assert refused <= 2
    pace = Pace.load(LimitState.objects.get().state["pace"])
    assert (pace.told, pace.base) == (3_000, KEEP * 3_000)


def test_it_finds_what_the_provider_does_not_tell_and_the_next_job_begins_there() -> None:
    with SimulatorProcess(LIMIT | {"limit_headers": False}, latency_ms=20) as simulator:
        first = run(400, simulator.url)
        cold = simulator.stats()["models"][MODEL]["by_status"].get("429", 0)
        run(400, simulator.url, first.connection)
        stats = simulator.stats()["models"][MODEL]
    refused = stats["by_status"].get("429", 0)
    assert stats["calls"] == 800 + refused
    assert refused - cold < cold / 2
    found = Pace.load(LimitState.objects.get().state["pace"]).rate()
    assert found is not None
    assert 2_000 <= found <= 6_000
