"""A job that has nothing more to send says what it waits for, and until when."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.control.actions import job_pause, job_resume
from jobs.control.selectors import job_view
from jobs.models import Job, JobStatus, Throughput, Worker
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


def test_the_time_left_knows_of_silent_calls(work: Work) -> None:  # noqa: F811
    """Whether their rows have been tried before, or others are still to be tried again."""
    now = timezone.now()
    again = work.job(succeeded=40, running=3, status=JobStatus.RUNNING)
    again.watch = {"settled_at": (now - timedelta(seconds=50)).timestamp()}
    tell(again, calls=3, ago=2, left=170)
    pending = work.job(succeeded=40, running=2, pending=1, status=JobStatus.RUNNING)
    pending.watch = {"settled_at": now.timestamp()}
    tell(pending, calls=2, ago=30, left=170)
    for job in (again, pending):
        job.save()
        Throughput.objects.create(
            job_id=job.pk, at=now - timedelta(seconds=55), team_id=job.team_id, succeeded=40,
            failed=0, calls=40, rate_limited=0,
        )  # fmt: skip
        eta = job_view(job).eta
        assert eta is not None
        assert eta[0] < 10 < 160 < eta[1] <= 170


def test_calls_in_flight_stand_beside_the_level_of_what_sends_them(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=4, running=17, pending=3, status=JobStatus.RUNNING)
    lane, other = f"{job.connection_id}:{job.model}", f"{job.connection_id}:other"
    page = f"/jobs/{job.public_id}/"
    # Nobody has told of calls yet.
    assert "In flight 0 " in text(work.olivia.get(page))
    job_pause(actor=work.cast.actor(work.cast.olivia), job=job)
    assert "Up to 17 in flight will finish" in text(work.olivia.get(page))
    job_resume(actor=work.cast.actor(work.cast.olivia), job=job)
    # One that has come down to a smaller level, one with a replay's calls, one that was killed.
    for lanes, calls, level, in_flight, ago in (
        ([lane], 9, 8, 9, 0), ([other], 4, 6, 4, 0), ([lane], 30, 32, 30, 12),
    ):  # fmt: skip
        seen_at = timezone.now() - timedelta(seconds=ago)
        Worker.objects.create(
            id=f"slice {Worker.objects.count()}", kind="slice", host="h", pid=1, version="0",
            in_flight=calls, started_at=seen_at, seen_at=seen_at,
            detail={
                "jobs": {str(job.pk): calls},
                "calls": {
                    str(job.pk): {
                        "calls": calls, "lanes": lanes, "since": seen_at.timestamp(),
                        "until": seen_at.timestamp() + 60,
                    }
                },
                "limits": {
                    lanes[0]: {"level": level, "in_flight": in_flight, "why": "nothing waiting"}
                },
            },
        )  # fmt: skip
    assert "In flight 13 of 15: nothing waiting" in text(work.olivia.get(page))
    job_pause(actor=work.cast.actor(work.cast.olivia), job=job)
    words = text(work.olivia.get(page))
    assert "In flight 13 the job is paused" in words
    assert "13 in flight will finish" in words


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
