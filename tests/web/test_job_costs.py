"""What a job cost: its sums, the lines of the ledger behind them, their proofs, and valuing it anew."""

import pytest

from jobs.engine.reconcile import sweep
from jobs.engine.store import Store
from jobs.models import Attempt, Correction, CostRollup, Job, JobStatus, Record
from tests.cast import cast  # noqa: F401
from tests.web.reading import text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db

RATES = "250000/25000/250000/250000/2000000"
COST = 200 * 250_000 + 200 * 25_000 + 90 * 2_000_000


@pytest.fixture
def job(work: Work) -> Job:  # noqa: F811
    """Two rows succeeded, one was refused; of each call's input half was cached."""
    made = work.job(
        succeeded=2, failed=1, status=JobStatus.COMPLETED_WITH_FAILURES, cost=3 * COST,
        wasted_cost=COST, cached_input_tokens=600,
    )  # fmt: skip
    lines = Attempt.objects.filter(job=made)
    lines.update(rates=RATES, cost=COST, cached_input_tokens=200, price=work.priced())
    lines.filter(outcome="failed").update(waste="failed")
    Record.objects.filter(job=made).update(cost=COST)
    CostRollup.objects.create(
        job_id=made.pk, template_version_id=work.version.pk, connection_id=work.connection.pk,
        model=made.model, day=lines[0].day, team_id=made.team_id, calls=3, accepted=2,
        input_tokens=1200, cached_input_tokens=600, output_tokens=270, cost=3 * COST,
        wasted_cost=COST, failed_cost=COST, cache_savings=600 * 225_000,
    )  # fmt: skip
    return made


def test_any_figure_opens_the_lines_behind_it_and_their_proof(work: Work, job: Job) -> None:  # noqa: F811
    url = f"/jobs/{job.public_id}/"
    tab = work.olivia.get(f"{url}?tab=costs")
    assert "Failed for good $0.00024" in text(tab)
    assert f"{url}ledger/?kind=failed" in tab.content.decode()
    lines = work.olivia.get(f"{url}ledger/?kind=failed")
    assert "Row 3, attempt 1" in text(lines)
    assert "Row 1, attempt 1" not in text(lines)
    assert f"{url}records/3/#proof-1" in lines.content.decode()
    assert "ignored: kind=x" in text(work.olivia.get(f"{url}ledger/?kind=x"))
    proof = text(work.olivia.get(f"{url}records/3/"))
    for line in (
        "Plain input 200 0.25 1 0.00005",
        "Cached input 200 0.025 1 0.000005",
        "Output 90 2 1 0.00018",
        "Sum 0.000235",
    ):
        assert line in proof
    assert "Price: sim-mini, from" in proof


def test_an_admin_sees_what_it_would_change_and_then_values_it_anew(work: Work, job: Job) -> None:  # noqa: F811
    url = f"/jobs/{job.public_id}/"
    alice = work.cast.client(work.cast.alice)
    day = Attempt.objects.filter(job=job).values_list("day", flat=True)[0]
    new = {"model": job.model, "input": "1", "output": "1", "effective_from": "2026-01-01T00:00"}
    alice.post("/settings/prices/new/", {**new, "connection": work.connection.public_id})
    each = 490_000_000 - COST
    seen = text(alice.get(f"{url}revalue/?from={day}"))
    assert f"3 lines corrected, ${3 * each / 10**12:.5f}" in seen
    assert not Correction.objects.exists()
    refused = alice.get(f"{url}revalue/?from=2999-01-01")
    assert refused.status_code == 422
    assert "A day that has come" in text(refused)
    assert work.olivia.post(f"{url}revalue/", {"from": f"{day}"}).status_code == 403
    page = alice.post(f"{url}revalue/", {"from": f"{day}"}, follow=True)
    assert "being valued anew" in text(page)
    sweep(Store())
    sweep(Store())
    job.refresh_from_db()
    assert (job.cost, job.wasted_cost) == (3 * 490_000_000, 490_000_000)
    assert "Revalued at another price 3 lines" in text(work.olivia.get(f"{url}?tab=costs"))
    proof = text(work.olivia.get(f"{url}records/3/"))
    assert "Revalued at another price on" in proof
    assert "With its corrections: 0.00049 USD." in proof
    assert "Row 3, attempt 1" in text(work.olivia.get(f"{url}ledger/?kind=corrected"))
