"""What a claim costs, whatever the size of the job."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.engine import tasks
from jobs.engine.store import Store
from jobs.models import Dataset, DatasetRow, Job, Record, RecordStatus
from tests.engine.build import make_job

pytestmark = pytest.mark.django_db(transaction=True)


def claimed(job: Job, limit: int) -> list[int]:
    store = Store()
    store.sync_clock()
    records = store.claim(job.pk, "w", limit, lambda record: None, allow_suspect=False)
    return [record.n for record in records]


def test_it_takes_the_next_records_of_a_sample_however_far_they_are() -> None:
    job = make_job(10)
    last = DatasetRow.objects.get(dataset_id=job.dataset_id, n=10)
    chosen = [3, 4, 200, 5_000, 9_000_000]
    for n in chosen[2:]:
        DatasetRow.objects.create(dataset_id=job.dataset_id, n=n, line=n, data=last.data)
    Dataset.objects.filter(pk=job.dataset_id).update(rows=9_000_000)
    Job.objects.filter(pk=job.pk).update(total=5, pending=5, expanded=5)
    Record.objects.bulk_create(
        Record(job_id=job.pk, n=n, status=RecordStatus.PENDING) for n in chosen
    )
    assert claimed(job, 1) == [3]
    assert claimed(job, 2) == [4, 200]
    assert claimed(job, 50) == [5_000, 9_000_000]
    assert claimed(job, 50) == []


def test_it_reads_no_more_records_than_it_takes() -> None:
    """Also where the database has not yet counted the rows of a new job."""
    job = make_job(5_000)
    tasks.expand(job.pk)
    assert claimed(job, 40) == list(range(1, 41))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert claimed(job, 40) == list(range(41, 81))
    (ahead,) = (q["sql"] for q in queries if "r.n > 40" in q["sql"])
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + ahead)
            plan = cursor.fetchone()[0][0]["Plan"]
        while "Plans" in plan:
            plan = plan["Plans"][0]
        assert plan["Actual Rows"] <= 40
