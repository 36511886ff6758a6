"""Replays: what the form tells before, what a second click does, what the replay's page says."""

import pytest
from django.utils import timezone

from jobs.control.filters import SEARCH_ROWS, RecordFilter
from jobs.control.replays import Overrides, replay_preview
from jobs.models import Attempt, Job, JobStatus, Record, RecordStatus, Replay, Role, TemplateVersion
from jobs.teams.access import Actor
from tests.cast import cast  # noqa: F401
from tests.web.reading import LIVE, tag_with, tags, text
from tests.web.work import CALL, Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def ended(work: Work) -> Job:  # noqa: F811
    """Rows 1 and 2 succeeded, 3 to 6 failed; row 6 timed out."""
    job = work.job(succeeded=2, failed=4, status=JobStatus.COMPLETED_WITH_FAILURES)
    Record.objects.filter(job=job, n=6).update(failure_class="timeout", fingerprint="f" * 12)
    return job


def test_the_form_tells_what_it_will_touch(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/replay/"
    page = text(work.olivia.get(url))
    assert "4 records : all failed records of this job" in page
    assert "Replay 4 records" in page
    assert f"${4 * CALL / 10**12:.4f}"[:5] in page
    page = text(work.olivia.get(f"{url}?failure_class=timeout"))
    assert "1 record : failed records of the class “Timed out”" in page
    page = text(work.olivia.get(f"{url}?rows=1,2,3"))
    assert "1 record" in page
    assert "2 chosen rows will be skipped" in page
    page = text(work.olivia.get(f"{url}?rows=1"))
    assert "No failed record matches, so there is nothing to replay." in page


def test_another_model_is_valued_at_its_price_and_unknown_without_one(
    work: Work,  # noqa: F811
    ended: Job,
) -> None:
    url = f"/jobs/{ended.public_id}/replay/"
    page = text(work.olivia.post(url, {"model": "other", "intent": "check"}))
    assert "Expected cost unknown" in page
    price = work.priced()
    price.model = "other"
    price.save()
    page = text(work.olivia.post(url, {"model": "other", "intent": "check"}))
    # 400 tokens in at $0.25 and 90 out at $2 per million, for each of 4 records.
    assert "Expected cost $0.0011" in page
    touch = {"HX-Request": "true", "HX-Target": "section#touch"}
    fragment = work.olivia.post(url, {"model": "other", "intent": "check"}, headers=touch)
    assert "Expected cost $0.0011" in text(fragment)
    assert "<html" not in fragment.content.decode()
    assert not Replay.objects.exists()


def test_a_double_submit_starts_one_replay(work: Work, ended: Job) -> None:  # noqa: F811
    newer = TemplateVersion.objects.create(
        template=work.version.template, version=2, user="Ticket: {{ subject }}!"
    )
    url = f"/jobs/{ended.public_id}/replay/?failure_class=refusal"
    form = {"nonce": "n1", "intent": "create", "template_version": "2", "max_tokens": "400"}
    first = work.olivia.post(url, form, follow=True)
    second = work.olivia.post(url, form, follow=True)
    replay = Replay.objects.get()
    assert first.redirect_chain == second.redirect_chain
    assert first.redirect_chain[0][0] == f"/jobs/{ended.public_id}/replays/{replay.public_id}/"
    assert "Replaying 3." in text(first)
    assert "This replay was started already." in text(second)
    assert (replay.asked, replay.template_version, replay.parameters) == (
        3,
        newer,
        {"max_tokens": 400},
    )
    changed = work.olivia.post(url, {**form, "max_tokens": "500"})
    assert changed.status_code == 302
    assert Replay.objects.count() == 2  # gone back and changed: another replay


def test_faults_are_shown_beside_their_fields(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/replay/"
    answer = work.olivia.post(url, {"intent": "create", "more_parameters": '{"magic": 1}'})
    assert answer.status_code == 422
    assert "Unknown; there are max_tokens" in text(answer)
    answer = work.olivia.post(url, {"intent": "create", "template_version": "99"})
    assert answer.status_code == 422
    assert not Replay.objects.exists()


def test_ticked_rows_are_replayed_and_the_rest_is_told(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/replay/"
    Record.objects.filter(job=ended, n=5).update(status=RecordStatus.PENDING, failure_class=None)
    form = {"nonce": "n1", "intent": "as_is", "selected": ["3", "4", "5"]}
    answer = work.olivia.post(url, form, follow=True)
    assert "Replaying 2, skipped 1 (not failed, or no longer)." in text(answer)
    assert Replay.objects.get().filter == {"rows": [3, 4, 5]}
    other = work.olivia.post(url, {**form, "selected": ["6"]}, follow=True)
    assert "Replaying 1." in text(other)


def test_what_succeeded_is_looked_at_before_it_is_paid_again(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/replay/"
    form = {"nonce": "n1", "intent": "as_is", "selected": ["3", "4", "1"]}
    answer = work.olivia.post(url, form, follow=True)
    chosen = f"{url}?rows=1%2C3%2C4&status=all"
    assert answer.redirect_chain[-1][0] == chosen
    page = text(answer)
    assert "3 records : records that failed or succeeded among the chosen rows 1, 3, 4." in page
    assert (
        "1 of these succeeded already: it is sent and paid again; its present result stays until a "
        "new one is accepted." in page
    )
    assert "?rows=1%2C3%2C4" in [one.get("href") for one in tags(answer, "a")]
    assert not Replay.objects.exists()
    done = work.olivia.post(chosen, {"nonce": "n2", "intent": "create"}, follow=True)
    assert "Replaying 3." in text(done)
    assert Replay.objects.get().filter == {"rows": [1, 3, 4], "status": "all"}


def test_all_that_succeeded_can_be_sent_again_also_of_a_completed_job(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=4, status=JobStatus.COMPLETED)
    url = f"/jobs/{job.public_id}/replay/"
    form = {"intent": "as_is", "all_matching": "1"}
    answer = work.olivia.post(f"{url}?status=succeeded", form, follow=True)
    assert answer.redirect_chain[-1][0] == f"{url}?status=succeeded"
    assert "4 of these succeeded already: they are sent and paid again" in text(answer)
    work.olivia.post(f"{url}?status=succeeded", {"nonce": "n", "intent": "create"})
    replay = Replay.objects.get()
    assert (replay.asked, replay.filter) == (4, {"status": "succeeded"})
    job.refresh_from_db()
    assert job.state is JobStatus.RUNNING
    # Without that said, there is nothing to send.
    page = text(work.olivia.get(f"/jobs/{job.public_id}/replay/"))
    assert "No record has failed" in page
    with_some = RecordFilter(rows=(1, 2), replayed="all")
    actor = Actor(work.cast.olivia, work.cast.team, Role.OPERATOR, False, "session")
    preview = replay_preview(actor=actor, job=job, chosen=with_some, overrides=Overrides())
    assert (preview.records, preview.succeeded) == (2, 2)


def test_a_replays_page_says_what_kept_its_former_result(work: Work, ended: Job) -> None:  # noqa: F811
    replay = Replay.objects.create(
        job=ended, key="k", asked=4, sent=4, applied_to=6, applied_at=timezone.now(),
        filter={"status": "all"}, created_by=work.cast.olivia,
    )  # fmt: skip
    records = Record.objects.filter(job=ended)
    records.filter(n=1).update(replay=replay, kept_from=0)
    records.filter(n=2).update(replay=replay)
    url = f"/jobs/{ended.public_id}/replays/{replay.public_id}/"
    page = text(work.olivia.get(url))
    assert "1 succeeded; 1 kept its former result: nothing new was accepted." in page
    records.filter(n__in=(3, 4)).update(replay=replay)
    page = text(work.olivia.get(url))
    assert "1 succeeded, 2 failed again, 1 kept its former result." in page
    assert "0 skipped (no longer as chosen) · 1 kept its former result" in page


def test_all_that_match_takes_the_filter(work: Work, ended: Job) -> None:  # noqa: F811
    form = {"nonce": "n1", "intent": "as_is", "all_matching": "1"}
    url = f"/jobs/{ended.public_id}/replay/?status=failed&failure_class=refusal"
    work.olivia.post(url, form)
    replay = Replay.objects.get()
    assert (replay.asked, replay.filter) == (3, {"failure_class": "refusal"})


def test_all_that_match_a_search_are_exactly_those(work: Work, ended: Job) -> None:  # noqa: F811
    assert ended.total < SEARCH_ROWS
    form = {"nonce": "n1", "intent": "as_is", "all_matching": "1"}
    work.olivia.post(f"/jobs/{ended.public_id}/replay/?status=failed&q=ticket+4", form)
    assert Replay.objects.get().filter == {"rows": [4]}


def test_ticked_rows_can_be_taken_to_the_form(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/replay/"
    form = {"nonce": "n1", "intent": "change", "selected": ["3", "4"]}
    answer = work.olivia.post(url, form)
    assert answer["Location"] == f"{url}?rows=3%2C4"
    assert not Replay.objects.exists()


def test_nothing_ticked_is_told(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/replay/"
    answer = work.olivia.post(url, {"intent": "as_is"}, follow=True)
    assert "No rows were ticked" in text(answer)


def test_an_unknown_cost_of_a_replay_is_not_nothing(work: Work, ended: Job) -> None:  # noqa: F811
    replay = Replay.objects.create(job=ended, key="k", asked=1, sent=1)
    url = f"/jobs/{ended.public_id}/replays/{replay.public_id}/"
    assert "$0.00 of its calls" in text(work.olivia.get(url))
    Attempt.objects.filter(job=ended, n=3).update(replay=replay, cost=None)
    assert "unknown of its calls, 1 of them at a price nobody knows" in text(work.olivia.get(url))


def test_a_replays_page_polls_until_its_records_are_settled(work: Work, ended: Job) -> None:  # noqa: F811
    Job.objects.filter(pk=ended.pk).update(status=JobStatus.RUNNING)
    replay = Replay.objects.create(job=ended, key="k", asked=3, created_by=work.cast.olivia)
    url = f"/jobs/{ended.public_id}/replays/{replay.public_id}/"
    assert "hx-get" in tag_with(work.olivia.get(url), "section", id="live")
    Record.objects.filter(job=ended, n__in=(3, 4)).update(
        replay=replay, status=RecordStatus.PENDING, failure_class=None
    )
    replay.sent, replay.applied_to, replay.applied_at = 2, 6, timezone.now()
    replay.save()
    page = work.olivia.get(url, headers=LIVE)
    assert "hx-get" in tag_with(page, "section", id="live")
    assert "2 pending" in text(page)
    assert "1 skipped (no longer failed)" in text(page)
    Record.objects.filter(job=ended, n__in=(3, 4)).update(status=RecordStatus.SUCCEEDED)
    done = work.olivia.get(url, headers=LIVE)
    assert "hx-get" not in tag_with(done, "section", id="live")
    assert "2 succeeded" in text(done)
    kept = f"/jobs/{ended.public_id}/?replay={replay.public_id}"
    assert kept in [one.get("href") for one in tags(done, "a")]
    rows = [one for one in tags(work.olivia.get(kept), "a") if "data-row-open" in one]
    assert len(rows) == 2


def test_the_suggestion_for_cut_off_answers_is_filled_in(work: Work) -> None:  # noqa: F811
    job = work.job(
        failed=1, status=JobStatus.COMPLETED_WITH_FAILURES, parameters={"max_tokens": 50}
    )
    Record.objects.filter(job=job).update(failure_class="truncated")
    page = work.olivia.get(f"/jobs/{job.public_id}/failures/")
    assert "Replay this one with max tokens 100" in text(page)
    url = f"/jobs/{job.public_id}/replay/?failure_class=truncated&max_tokens=100"
    assert tag_with(work.olivia.get(url), "input", name="max_tokens")["value"] == "100"


@pytest.mark.parametrize(
    ("failure", "message", "words"),
    [("connection", "Could not connect: Connection refused", "Check the connection's base URL"),
     ("server_error", "The answer is a web page, not an API's; check the base URL",
      "Check the connection's base URL"),
     ("server_error", "HTTP 302: the server redirects elsewhere, which is not followed",
      "Check the connection's base URL"),
     ("connection", "The connection was closed before an answer came", "Replay these rows later"),
     ("server_error", "HTTP 502 without a readable message", "Replay these rows later")],
)  # fmt: skip
def test_the_suggestion_fits_the_message(
    work: Work,  # noqa: F811
    failure: str,
    message: str,
    words: str,
) -> None:
    """In the group, on the record and on the form of its replay."""
    job = work.job(failed=2, status=JobStatus.COMPLETED_WITH_FAILURES)
    Record.objects.filter(job=job).update(failure_class=failure, message=message)
    url = f"/jobs/{job.public_id}/"
    chosen = f"failure_class={failure}&fingerprint=abc123def456"
    for page in (f"{url}failures/", f"{url}records/1/", f"{url}replay/?{chosen}"):
        shown = work.olivia.get(page).content.decode().replace("&#x27;", "'")
        assert words in shown, page
