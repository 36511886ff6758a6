"""The list of jobs: tabs, filters by query string, keyset pages, buttons."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.control.selectors import PAGE
from jobs.models import Job, JobStatus, Replay
from tests.cast import Cast, cast  # noqa: F401
from tests.web.reading import LIVE, Page, queries, tag_with, tags, text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


def _names(page: Page) -> list[str]:
    return re.findall(r'data-row-open href="[^"]+">([^<]+)<', page.content.decode())


def test_nothing_yet_and_nothing_matches_are_two_pages(cast: Cast, work: Work) -> None:  # noqa: F811
    empty = text(work.cast.client(cast.charlie).get("/jobs/"))
    assert "No jobs yet" in empty
    assert "Launch the first job" in empty
    work.job(pending=1)
    page = work.olivia.get("/jobs/?q=zebra")
    assert "No jobs match these filters" in text(page)
    assert "Clear filters" in text(page)


def test_it_filters_by_the_query_string(work: Work) -> None:  # noqa: F811
    work.job(pending=1, name="Alpha", model="big")
    work.job(succeeded=1, status=JobStatus.COMPLETED, name="Beta")
    work.job(pending=1, name="Gamma", created_by=work.cast.alice)
    assert _names(work.olivia.get("/jobs/?model=big")) == ["Alpha"]
    assert _names(work.olivia.get("/jobs/?tab=done")) == ["Beta"]
    assert _names(work.olivia.get("/jobs/?owner=alice")) == ["Gamma"]
    assert _names(work.olivia.get("/jobs/?q=ALPH")) == ["Alpha"]
    assert _names(work.olivia.get("/jobs/?status=completed")) == ["Beta"]
    page = work.olivia.get("/jobs/?tab=nonsense&status=bogus&from=2026-13-40&to=")
    assert _names(page) == ["Gamma", "Beta", "Alpha"]
    assert "which was ignored: tab “nonsense”, status “bogus”, from “2026-13-40”." in text(page)
    assert "ignored" not in text(work.olivia.get("/jobs/?tab=active&from=2026-01-31"))
    chosen = tag_with(work.olivia.get("/jobs/?owner=alice"), "option", value="alice")
    assert "selected" in chosen


def test_the_failures_tab_counts_every_job_with_failed_records(work: Work) -> None:  # noqa: F811
    work.job(failed=1, pending=3, name="Still running")
    work.job(failed=1, status=JobStatus.COMPLETED_WITH_FAILURES, name="Ended")
    work.job(succeeded=1, status=JobStatus.COMPLETED, name="Fine")
    page = work.olivia.get("/jobs/?tab=failures")
    assert _names(page) == ["Ended", "Still running"]
    assert "With failures 2" in text(page)
    # The badge in the header leads here with its own words.
    assert _names(work.olivia.get("/jobs/?status=failed")) == ["Ended", "Still running"]


def test_pages_go_on_where_the_last_one_ended(work: Work) -> None:  # noqa: F811
    for n in range(PAGE + 3):
        work.job(pending=1, name=f"Job {n}")
    first = work.olivia.get("/jobs/")
    following = tag_with(first, "a", rel="next")["href"]
    assert following is not None
    assert len(_names(first)) == PAGE
    assert _names(work.olivia.get(f"/jobs/{following}")) == ["Job 2", "Job 1", "Job 0"]


def test_its_queries_do_not_grow_with_the_rows(work: Work) -> None:  # noqa: F811
    work.job(pending=1)
    few = queries(work.olivia, "/jobs/")
    for _ in range(PAGE + 5):
        work.job(succeeded=1, failed=1, status=JobStatus.COMPLETED_WITH_FAILURES)
    assert queries(work.olivia, "/jobs/") == few


def test_pausing_in_the_list_stays_there_and_says_what_happened(work: Work) -> None:  # noqa: F811
    job = work.job(running=3, pending=5)
    url = f"/jobs/{job.public_id}/pause/"
    answer = work.olivia.post(url, {"back": "jobs"}, follow=True)
    assert answer.redirect_chain == [("/jobs/", 302)]
    assert "“Nightly tags” is paused. Calls in flight will finish." in text(answer)
    job.refresh_from_db()
    assert job.state is JobStatus.PAUSED
    toast = [one for one in tags(answer, "a") if one.get("href") == f"/jobs/{job.public_id}/"]
    assert toast


def test_the_list_follows_running_jobs_and_stands_still_without(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=1, pending=5)
    first = work.olivia.get("/jobs/", headers=LIVE)
    assert "<html" not in first.content.decode()
    assert "hx-trigger" in first.content.decode()
    known = {**LIVE, "HX-PTag": first["HX-PTag"]}
    assert work.olivia.get("/jobs/", headers=known).status_code == 304
    Job.objects.filter(pk=job.pk).update(succeeded=6, pending=0, status=JobStatus.COMPLETED)
    ended = work.olivia.get("/jobs/", headers=known)
    assert "Completed 1" in text(ended)
    assert "hx-trigger" not in ended.content.decode()


def test_the_idle_days_before_a_replay_are_no_time_it_took(work: Work) -> None:  # noqa: F811
    now = timezone.now()
    long_ago = now - timedelta(days=12)
    job = work.job(succeeded=3, status=JobStatus.COMPLETED, started_at=long_ago)
    assert "12 d" in text(work.olivia.get("/jobs/"))
    Replay.objects.create(job=job, key="k", asked=1, sent=1, applied_at=now)
    page = text(work.olivia.get("/jobs/"))
    assert "12 d" not in page
    assert "Elapsed —" in text(work.olivia.get(f"/jobs/{job.public_id}/"))
