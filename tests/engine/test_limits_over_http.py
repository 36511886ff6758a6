"""A provider's limit over real HTTP: with headers it is kept from the first answers on, without them it
is found. How well, minutes long and at many rates, tells `test_limits_in_virtual_time`."""

import pytest

from jobs.engine.pace import KEEP, Pace
from jobs.models import LimitState, Record
from tests.engine.build import MODEL, check_invariants, make_job
from tests.engine.drive import run_job
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("told", [True, False], ids=["headers", "no headers"])
def test_it_works_below_what_the_provider_allows(told: bool) -> None:
    """3,000 a minute, two seconds' worth at once."""
    limit = {"rpm": 3_000, "burst_seconds": 2.0, "limit_headers": told}
    with SimulatorProcess(limit, latency_ms=20) as simulator:
        job = run_job(make_job(200, url=simulator.url))
        stats = simulator.stats()["models"][MODEL]
    assert check_invariants(job.pk).status == "completed"
    # Waiting used up no row's attempts.
    assert not Record.objects.filter(job_id=job.pk, tries__gt=1).exists()
    pace = Pace.load(LimitState.objects.get().state["pace"])
    refused = stats["by_status"].get("429", 0)
    assert stats["calls"] == 200 + refused
    if told:
        assert (pace.told, pace.base) == (3_000, KEEP * 3_000)
        assert refused <= 2
    else:
        assert refused <= 100  # most of them while it was yet to be found
