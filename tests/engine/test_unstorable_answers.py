"""What the database refuses to store costs its own row, not the batch and not the job."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import DataError

from jobs.engine.records import UNSTORABLE, Settlement
from jobs.engine.store import Store
from jobs.models import Attempt, Record, RecordStatus
from tests.engine.build import check_invariants, make_job
from tests.engine.drive import run_slice
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
POISON = 7


class Fastidious(Store):
    """A store whose database takes no output for one of the rows."""

    refusals = 0

    def settle(
        self, job_id: int, worker: str, settlements: Sequence[Settlement], leases_done: Any
    ) -> Any:
        if any(one.n == POISON and one.output is not None for one in settlements):
            self.refusals += 1
            raise DataError("value out of range")
        return super().settle(job_id, worker, settlements, leases_done)


def test_it_fails_the_row_that_cannot_be_stored_and_no_other() -> None:
    store = Fastidious()
    with SimulatorProcess() as simulator:
        job = make_job(60, url=simulator.url)
        run_slice(store)
    assert store.refusals > 0
    job = check_invariants(job.pk)
    assert (job.status, job.succeeded, job.failed) == ("completed_with_failures", 59, 1)
    record = Record.objects.get(job_id=job.pk, status=RecordStatus.FAILED)
    assert (record.n, record.failure_class, record.message) == (POISON, "unknown", UNSTORABLE)
    # It is paid for all the same.
    assert (Attempt.objects.get(job_id=job.pk, n=POISON).cost or 0) > 0
