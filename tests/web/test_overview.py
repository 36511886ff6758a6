"""The overview: what needs somebody first, gone on a good day."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import JobStatus, Throughput, Worker
from tests.cast import Cast, cast  # noqa: F401
from tests.web.reading import LIVE, queries, text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


def _worker_online() -> None:
    now = timezone.now()
    Worker.objects.create(
        id="c", kind="cluster", host="h", pid=1, version="1", started_at=now, seen_at=now
    )


def test_a_new_team_is_shown_its_first_steps(cast: Cast) -> None:  # noqa: F811
    _worker_online()
    page = cast.client(cast.olivia).get("/")
    assert "Nothing here yet" in text(page)
    assert "Launch a job" in text(page)
    assert "Needs attention" not in text(page)


def test_it_needs_attention_only_while_something_is_wrong(work: Work) -> None:  # noqa: F811
    _worker_online()
    work.job(succeeded=3, status=JobStatus.COMPLETED)
    assert "Needs attention" not in text(work.olivia.get("/"))
    work.job(
        pending=4,
        status=JobStatus.PAUSED,
        status_reason="authentication",
        status_detail="The provider refused the key",
    )
    work.job(succeeded=1, failed=2, status=JobStatus.COMPLETED_WITH_FAILURES)
    page = text(work.olivia.get("/"))
    assert "Key refused" in page
    assert "The provider refused the key. 4 rows wait. Enter a valid key" in page
    assert "2 failed" in page
    assert "2 × model refused" in page
    # What to do is one click away, or said who can do it.
    assert "See the connection" in page
    assert "An admin of the team can do that." in page
    assert "See the causes" in page
    admin = work.cast.client(work.cast.alice)
    assert "An admin of the team can do that." not in text(admin.get("/"))


def test_no_worker_is_told_in_words(work: Work) -> None:  # noqa: F811
    assert "No worker is online" in text(work.olivia.get("/"))


def test_a_running_job_that_was_found_stalled_is_called_so(work: Work) -> None:  # noqa: F811
    _worker_online()
    now = timezone.now()
    job = work.job(succeeded=2, pending=8)
    job.created_at = job.started_at = job.status_at = now - timedelta(minutes=9)
    job.watch = {"settled_at": (now - timedelta(minutes=3)).timestamp(), "stalled_at": 1.0}
    job.save()
    assert "not got on for 3 min" in text(work.olivia.get("/"))
    job.watch = {"settled_at": now.timestamp()}
    job.save()
    Throughput.objects.create(job_id=job.pk, at=now, team_id=job.team_id, succeeded=30, calls=30)
    page = text(work.olivia.get("/"))
    assert "Stalled" not in page
    assert "rows/min" in page or "rows/s" in page


def test_a_poll_of_an_unchanged_overview_is_a_304(work: Work) -> None:  # noqa: F811
    _worker_online()
    work.job(succeeded=2, pending=8)
    first = work.olivia.get("/", headers=LIVE)
    assert "<html" not in first.content.decode()
    again = work.olivia.get("/", headers={**LIVE, "HX-PTag": first["HX-PTag"]})
    assert (again.status_code, again.content) == (304, b"")
    work.job(pending=1)
    assert work.olivia.get("/", headers={**LIVE, "HX-PTag": first["HX-PTag"]}).status_code == 200


def test_its_queries_do_not_grow_with_the_jobs(work: Work) -> None:  # noqa: F811
    _worker_online()
    states = (JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.COMPLETED_WITH_FAILURES)
    for status in states:
        work.job(succeeded=1, failed=1, pending=2, status=status)
    few = queries(work.olivia, "/")
    for status in states * 4:
        work.job(succeeded=1, failed=1, pending=2, status=status)
    assert queries(work.olivia, "/") == few


def test_another_team_sees_none_of_it(work: Work) -> None:  # noqa: F811
    work.job(failed=2, status=JobStatus.COMPLETED_WITH_FAILURES, name="Secret project")
    stranger = work.cast.client(work.cast.charlie)
    assert "Secret project" not in text(stranger.get("/"))
    assert "Secret project" not in text(stranger.get("/jobs/"))
