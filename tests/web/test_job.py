"""A job's page: the live head, its buttons, its tabs, its downloads."""

import csv
import io

import pytest
from django.utils import timezone

from jobs.models import Due, DueReason, JobStatus, LimitState, Worker
from jobs.teams.audit import record
from tests.cast import cast  # noqa: F401
from tests.web.reading import LIVE, assert_harmless, queries, tag_with, tags, text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("status", "polls"),
    [
        (JobStatus.QUEUED, True),
        (JobStatus.RUNNING, True),
        (JobStatus.PAUSED, True),
        (JobStatus.CANCELLING, True),
        (JobStatus.CANCELLED, False),
        (JobStatus.COMPLETED, False),
        (JobStatus.COMPLETED_WITH_FAILURES, False),
        (JobStatus.FAILED, False),
    ],
)
def test_it_polls_until_the_job_has_ended(work: Work, status: JobStatus, polls: bool) -> None:  # noqa: F811
    job = work.job(succeeded=2, failed=1, status=status)
    for url in (f"/jobs/{job.public_id}/", f"/jobs/{job.public_id}/failures/"):
        for headers in ({}, LIVE):
            live = tag_with(work.olivia.get(url, headers=headers), "section", id="live")
            assert ("hx-get" in live) is polls
            assert live.get("hx-get", url) == url


def test_a_poll_answers_with_the_live_part_alone(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=2, pending=2)
    part = work.olivia.get(f"/jobs/{job.public_id}/?status=failed&q=x", headers=LIVE)
    assert "<html" not in part.content.decode()
    assert "Search records" not in part.content.decode()
    live = tag_with(part, "section", id="live")
    assert live["hx-get"] == f"/jobs/{job.public_id}/?status=failed&q=x"
    assert live["hx-ptag"] == part["HX-PTag"]


def test_an_unchanged_poll_is_a_304_and_a_change_is_shown(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=2, pending=2, status=JobStatus.PAUSED)
    url = f"/jobs/{job.public_id}/"
    tag = work.olivia.get(url, headers=LIVE)["HX-PTag"]
    assert work.olivia.get(url, headers={**LIVE, "HX-PTag": tag}).status_code == 304
    type(job).objects.filter(pk=job.pk).update(succeeded=3, pending=1)
    changed = work.olivia.get(url, headers={**LIVE, "HX-PTag": tag})
    assert changed.status_code == 200
    assert "3 succeeded" in text(changed)


def test_waiting_and_retrying_rows_are_told_apart_and_sum_up(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=4, running=1, pending=10)
    now = timezone.now()
    for n in (6, 7):
        Due.objects.create(job=job, n=n, not_before=now, reason=DueReason.RETRY)
    for n in (8, 9, 10):
        Due.objects.create(job=job, n=n, not_before=now, reason=DueReason.RATE_LIMIT)
    until = now.replace(hour=23, minute=59, second=59)
    LimitState.objects.create(connection=work.connection, model=job.model, cooldown_until=until)
    page = text(work.olivia.get(f"/jobs/{job.public_id}/"))
    assert "4 succeeded 1 running 2 retrying 3 waiting 5 pending" in page
    assert "Waiting for the rate limit until 23:59:59 UTC." in page


def test_disabled_actions_say_why(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=2, status=JobStatus.COMPLETED)
    page = text(work.olivia.get(f"/jobs/{job.public_id}/"))
    assert "Pause – not available: The job is completed" in page
    assert "Cancel job – not available: The job is completed" in page
    assert "Replay failed – not available: No record has failed" in page
    running = work.job(succeeded=2, pending=1)
    page = text(work.olivia.get(f"/jobs/{running.public_id}/"))
    assert "Replay failed – not available: No record has failed" in page
    assert "Pause – not available" not in page


def test_cancelling_asks_with_the_exact_consequence(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=2, running=5, pending=1202)
    page = work.olivia.get(f"/jobs/{job.public_id}/")
    assert "Up to 5 in flight will finish" in page.content.decode()  # no worker told yet
    Worker.objects.create(
        id="s", kind="slice", host="h", pid=1, started_at=timezone.now(), seen_at=timezone.now(),
        detail={"jobs": {str(job.pk): 3}},
    )  # fmt: skip
    url = f"/jobs/{job.public_id}/cancel/"
    form = tag_with(work.olivia.get(f"/jobs/{job.public_id}/"), "form", action=url)
    asked = form["data-confirm"]
    assert asked is not None
    assert "1,204 rows that were not sent will be cancelled" in asked
    assert "3 in flight will finish and be charged" in asked
    # Without scripts a page asks, in the same words.
    assert asked.replace("\n", " ") in text(work.olivia.post(url))
    job.refresh_from_db()
    assert job.state is JobStatus.RUNNING
    work.olivia.post(url, {"confirmed": "1"})
    job.refresh_from_db()
    assert job.state is JobStatus.CANCELLING


def test_a_button_of_a_page_grown_old_answers_in_words(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=2, status=JobStatus.COMPLETED)
    url = f"/jobs/{job.public_id}/"
    answer = work.olivia.post(
        f"{url}pause/", headers={"Referer": f"http://testserver{url}"}, follow=True
    )
    assert answer.redirect_chain == [(url, 302)]
    assert "The job is completed and cannot be paused." in text(answer)


def test_a_paused_job_says_why_and_what_to_do(work: Work) -> None:  # noqa: F811
    job = work.job(
        running=2,
        pending=2,
        status=JobStatus.PAUSED,
        status_reason="quota_exhausted",
        status_detail="insufficient_quota",
    )
    page = text(work.olivia.get(f"/jobs/{job.public_id}/"))
    assert "Paused: credit exhausted." in page
    assert "Top up the account at the provider" in page
    assert "2 in flight will finish and count." in page
    assert "Resume" in page


def test_an_unknown_price_is_never_zero(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=3, cost=0, wasted_cost=0, unpriced_attempts=3)
    cost = text(work.olivia.get(f"/jobs/{job.public_id}/")).split(" Cost ")[1][:40]
    assert "unknown" in cost
    assert "$0" not in cost


def test_the_config_shows_the_exact_prompt_and_the_price(work: Work) -> None:  # noqa: F811
    job = work.job(pending=1, parameters={"max_tokens": 123}, tags={"campaign": "autumn"})
    url = f"/jobs/{job.public_id}/?tab=config"
    page = text(work.olivia.get(url))
    assert "You tag tickets." in page
    assert "Ticket: {{ subject }}" in page
    assert "max_tokens 123" in page
    assert "campaign autumn" in page
    assert "unknown : the cost of these calls cannot be told" in page
    work.priced()
    assert "$0.25 per million tokens" in text(work.olivia.get(url))


def test_the_activity_says_who_did_what(work: Work) -> None:  # noqa: F811
    job = work.job(pending=1)
    record(work.cast.actor(work.cast.bob), "job.pause", job)
    other = work.job(pending=1, name="Other")
    record(work.cast.actor(work.cast.alice), "job.resume", other)
    page = text(work.olivia.get(f"/jobs/{job.public_id}/?tab=activity"))
    assert "Paused bob" in page
    assert "alice" not in page


def test_a_download_streams_and_is_named_partial_while_it_is(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=2, failed=1, pending=1)
    url = f"/jobs/{job.public_id}/results/?format=csv&include=failed"
    answer = work.olivia.get(url)
    assert answer.streaming
    assert answer["Content-Disposition"] == 'attachment; filename="nightly-tags-failed-partial.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
    assert [(row["_row"], row["_status"]) for row in rows] == [("3", "failed")]
    assert "Download (partial)" in text(work.olivia.get(f"/jobs/{job.public_id}/"))
    type(job).objects.filter(pk=job.pk).update(status=JobStatus.COMPLETED_WITH_FAILURES)
    assert "partial" not in work.olivia.get(url)["Content-Disposition"]
    assert work.olivia.get(f"{url}&format=exe").status_code == 404


def test_its_queries_do_not_grow_with_the_records(work: Work) -> None:  # noqa: F811
    small = work.job(succeeded=1, failed=1)
    large = work.job(succeeded=60, failed=60)
    for tail in ("", "?status=failed", "?tab=activity", "?tab=config", "failures/"):
        few = queries(work.olivia, f"/jobs/{small.public_id}/{tail}")
        assert queries(work.olivia, f"/jobs/{large.public_id}/{tail}") == few
    assert queries(work.olivia, f"/jobs/{large.public_id}/", headers=LIVE) <= 12


def test_another_teams_job_is_not_there(work: Work) -> None:  # noqa: F811
    job = work.job(failed=1)
    stranger = work.cast.client(work.cast.charlie)
    for tail in ("", "failures/", "records/1/", "replay/", "results/"):
        assert stranger.get(f"/jobs/{job.public_id}/{tail}").status_code == 404
    assert stranger.post(f"/jobs/{job.public_id}/pause/").status_code == 404
    job.refresh_from_db()
    assert job.state is JobStatus.RUNNING


def test_failures_are_grouped_with_what_to_do(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=1, failed=3, status=JobStatus.COMPLETED_WITH_FAILURES)
    page = work.olivia.get(f"/jobs/{job.public_id}/failures/")
    assert "1 cause, 3 failures" in text(page)
    assert "Model refused" in text(page)
    assert "Change the template, or replay with another model." in text(page)
    assert_harmless(page)
    links = [one.get("href") or "" for one in tags(page, "a")]
    query = "failure_class=refusal&fingerprint=abc123def456"
    assert f"/jobs/{job.public_id}/?status=failed&{query}" in links
    assert f"/jobs/{job.public_id}/replay/?{query}" in links


def test_a_job_without_failures_says_so(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=1, status=JobStatus.COMPLETED)
    assert "No record has failed" in text(work.olivia.get(f"/jobs/{job.public_id}/failures/"))


def test_money_that_nobody_knows_is_not_nothing(work: Work) -> None:  # noqa: F811
    unknown = {"cost": 0, "wasted_cost": 0, "unpriced_attempts": 3, "in_doubt_attempts": 1}
    job = work.job(succeeded=1, failed=2, attempts=4, **unknown)
    page = text(work.olivia.get(f"/jobs/{job.public_id}/"))
    assert "no budget set · unknown wasted · unknown in doubt" in page
