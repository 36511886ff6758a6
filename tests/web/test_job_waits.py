"""A job that has nothing more to send says what it waits for, and until when."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Job, JobStatus, Worker
from tests.cast import cast  # noqa: F401
from tests.web.reading import text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db

WAITS = re.compile(
    r"Waiting for 3 calls\. The first of them left at [\d:]{8} UTC; at [\d:]{8} UTC at the latest "
    r"they are given up\."
)


def tell(job: Job, *, calls: int, ago: float, left: float) -> None:
    """As a slice's heartbeat does."""
    now = timezone.now()
    told = {
        "calls": calls,
        "since": (now - timedelta(seconds=ago)).timestamp(),
        "until": (now + timedelta(seconds=left)).timestamp(),
    }
    Worker.objects.create(
        id=f"slice {Worker.objects.count()}", kind="slice", host="h", pid=1, version="0",
        in_flight=calls, started_at=now, seen_at=now,
        detail={"jobs": {str(job.pk): calls}, "calls": {str(job.pk): told}},
    )  # fmt: skip


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.CANCELLING])
def test_it_names_the_calls_it_waits_for_and_their_deadline(work: Work, status: JobStatus) -> None:  # noqa: F811
    job = work.job(succeeded=4, running=3, status=status)
    tell(job, calls=1, ago=20, left=100)
    tell(job, calls=2, ago=40, left=170)
    page = text(work.olivia.get(f"/jobs/{job.public_id}/"))
    assert WAITS.search(page)
    assert "up to 3 min" in page  # the time left: to the deadline at most


def test_it_says_nothing_while_rows_are_sent_or_calls_are_young(work: Work) -> None:  # noqa: F811
    sending = work.job(succeeded=4, running=3, pending=2, status=JobStatus.RUNNING)
    tell(sending, calls=3, ago=40, left=170)
    young = work.job(succeeded=4, running=3, status=JobStatus.RUNNING)
    tell(young, calls=3, ago=1, left=170)
    for job in (sending, young):
        assert "Waiting for" not in text(work.olivia.get(f"/jobs/{job.public_id}/"))


def test_it_says_that_it_stalled(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=4, running=3, pending=2, status=JobStatus.RUNNING)
    now = timezone.now()
    Worker.objects.create(
        id="cluster", kind="cluster", host="h", pid=1, version="0", started_at=now, seen_at=now,
        detail={"workers": 2},
    )  # fmt: skip
    job.watch = {"settled_at": now.timestamp(), "stalled_at": now.timestamp()}
    job.save()
    page = work.olivia.get(f"/jobs/{job.public_id}/")
    assert f"Stalled since {now:%H:%M:%S} UTC." in text(page)
