"""Records: the list's filters and pages, one record's page, editing and replaying it."""

import json
import re

import pytest
from django.utils import timezone

from jobs.control.selectors import PAGE
from jobs.models import (
    Attempt,
    Dataset,
    DatasetRow,
    Job,
    JobStatus,
    Record,
    RecordStatus,
    Replay,
    RowEdit,
)
from tests.cast import cast  # noqa: F401
from tests.web.reading import LIVE, RECORDS, Page, assert_harmless, queries, tag_with, tags, text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


def _rows(page: Page) -> list[int]:
    opened = [one for one in tags(page, "a") if "data-row-open" in one]
    return [int((one["href"] or "").split("/records/")[1].split("/")[0]) for one in opened]


@pytest.fixture
def ended(work: Work) -> Job:  # noqa: F811
    """Rows 1 and 2 succeeded, 3 to 5 failed."""
    return work.job(succeeded=2, failed=3, status=JobStatus.COMPLETED_WITH_FAILURES)


def test_it_filters_by_the_query_string(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/"
    Record.objects.filter(job=ended, n=5).update(failure_class="timeout", fingerprint="f" * 12)
    assert _rows(work.olivia.get(url)) == [1, 2, 3, 4, 5]
    assert _rows(work.olivia.get(f"{url}?status=failed")) == [3, 4, 5]
    assert _rows(work.olivia.get(f"{url}?status=succeeded")) == [1, 2]
    assert _rows(work.olivia.get(f"{url}?failure_class=timeout")) == [5]
    assert _rows(work.olivia.get(f"{url}?fingerprint={'f' * 12}")) == [5]
    assert _rows(work.olivia.get(f"{url}?q=ticket+4")) == [4]
    page = work.olivia.get(f"{url}?status=nonsense&failure_class=%27--")
    assert _rows(page) == [1, 2, 3, 4, 5]
    assert "was ignored: status “nonsense”, failure_class “&#x27;--”." in text(page)


def test_nothing_matches_offers_to_clear_the_filters(work: Work, ended: Job) -> None:  # noqa: F811
    page = work.olivia.get(f"/jobs/{ended.public_id}/?failure_class=timeout")
    assert "No records match these filters" in text(page)
    assert "Clear filters" in text(page)


def test_a_job_whose_rows_are_not_ready_says_so(work: Work) -> None:  # noqa: F811
    job = work.job(status=JobStatus.QUEUED)
    assert "No rows yet" in text(work.olivia.get(f"/jobs/{job.public_id}/"))


def test_pages_walk_the_rows_and_keep_the_filter(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=PAGE + 7, status=JobStatus.COMPLETED)
    url = f"/jobs/{job.public_id}/"
    following = tag_with(work.olivia.get(f"{url}?status=succeeded"), "a", rel="next")["href"]
    assert following == f"?status=succeeded&after={PAGE}"
    assert _rows(work.olivia.get(url + following)) == list(range(PAGE + 1, PAGE + 8))


def test_hostile_input_and_output_stay_text(work: Work, ended: Job) -> None:  # noqa: F811
    for n in (1, 3):
        assert_harmless(work.olivia.get(f"/jobs/{ended.public_id}/records/{n}/"))
    assert_harmless(work.olivia.get(f"/jobs/{ended.public_id}/"))


def test_a_record_shows_input_prompt_output_and_attempts(work: Work, ended: Job) -> None:  # noqa: F811
    page = text(work.olivia.get(f"/jobs/{ended.public_id}/records/3/"))
    for words in (
        "Row 3",
        "You tag tickets.",
        "Ticket: Ticket 3",
        "Model refused",
        "No result",
        "Answer of attempt 1",
        "Request as it would be sent now",
    ):
        assert words in page


def test_previous_and_next_stay_within_the_filter(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/records"
    page = work.olivia.get(f"{url}/4/?status=failed")
    assert tag_with(page, "a", rel="prev")["href"] == f"{url}/3/?status=failed"
    assert tag_with(page, "a", rel="next")["href"] == f"{url}/5/?status=failed"
    first = work.olivia.get(f"{url}/3/?status=failed")
    assert not [one for one in tags(first, "a") if one.get("rel") == "prev"]


def test_a_record_that_succeeded_is_sent_again_only_by_who_saw_that_it_had(
    work: Work,  # noqa: F811
    ended: Job,
) -> None:
    url = f"/jobs/{ended.public_id}/records/1/"
    page = work.olivia.get(url)
    assert "This row succeeded already: it is sent and paid again" in text(page)
    links = [one.get("href") for one in tags(page, "a")]
    assert f"/jobs/{ended.public_id}/replay/?rows=1&status=all" in links
    # A page from when it had not ended yet.
    stale = work.olivia.post(url, {"nonce": "n1"})
    assert "No failed record matches (any more)" in text(stale)
    assert not Replay.objects.exists()
    form = {"nonce": "n2", "replayed": "all", "column-0": "A kinder subject", "column-1": "1"}
    assert "Row 1 is sent again as edited." in text(work.olivia.post(url, form, follow=True))
    assert Replay.objects.get().filter == {"rows": [1], "status": "all"}


def test_a_record_that_is_sent_again_shows_the_result_that_stays(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/records/1/"
    records = Record.objects.filter(job=ended, n=1)
    records.update(kept_from=0, status=RecordStatus.PENDING, generation=1)
    page = text(work.olivia.get(url))
    assert "It is sent again. Its present result stays until a new one is accepted." in page
    assert "The record is pending; what has ended is replayed" in page
    records.update(status=RecordStatus.SUCCEEDED, message="The words of the refusal.")
    page = text(work.olivia.get(url))
    assert (
        "Its last replay brought no result; the former one stays. The words of the refusal." in page
    )
    assert "Accepted result" in page


def test_an_edited_row_is_replayed_and_only_the_changes_count(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/records/3/"
    typed = {"nonce": "n1", "column-0": "A kinder subject", "column-1": "3"}
    answer = work.olivia.post(url, typed, follow=True)
    assert "Row 3 is sent again as edited." in text(answer)
    assert RowEdit.objects.get().data == '{"subject":"A kinder subject","priority":3}'
    again = work.olivia.post(url, typed, follow=True)
    assert "Row 3 was sent again already." in text(again)
    assert Replay.objects.count() == 1


def test_what_nobody_touched_stays_to_the_letter(work: Work, ended: Job) -> None:  # noqa: F811
    """A browser drops a line break after the tag, shows each CR as LF and sends all as CR LF."""
    url = f"/jobs/{ended.public_id}/records/3/"
    row = DatasetRow.objects.get(dataset=work.dataset, n=3)
    row.data = json.dumps({"subject": "\n\rOne\r\ntwo\rthree ", "priority": None})
    row.save()
    names = ["subject", "priority", "note"]
    columns = [{"name": name, "type": "text"} for name in names]
    Dataset.objects.filter(pk=work.dataset.pk).update(columns=columns)
    page = work.olivia.get(url)
    assert re.search(r'name="column-0"[^>]*>\n\n\rOne\r\ntwo', page.content.decode())
    assert "null in this row" in text(page)
    assert "This row does not have the column" in text(page)
    shown = "\r\n\r\nOne\r\ntwo\r\nthree "
    form = {"nonce": "n1", "column-0": shown, "column-1": "", "column-2": ""}
    assert "Row 3 is sent again." in text(work.olivia.post(url, form, follow=True))
    assert not RowEdit.objects.exists()
    url = url.replace("/3/", "/4/")
    DatasetRow.objects.filter(dataset=work.dataset, n=4).update(data=row.data)
    answer = text(work.olivia.post(url, {**form, "column-2": "seen\r\nit"}, follow=True))
    assert "Row 4 is sent again as edited." in answer
    assert "in the dataset: —" in answer
    assert json.loads(RowEdit.objects.get().data) == {**json.loads(row.data), "note": "seen\nit"}


def test_a_number_that_became_words_is_refused_beside_its_column(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/records/3/"
    answer = work.olivia.post(url, {"nonce": "n1", "column-1": "many"})
    assert answer.status_code == 422
    assert "This column holds a number, list or object: write it as JSON" in text(answer)
    assert "many" in answer.content.decode()  # what was typed stays
    assert not Replay.objects.exists()


def test_its_queries_do_not_grow_with_the_attempts(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/records/3/"
    few = queries(work.olivia, url)
    Attempt.objects.bulk_create(
        work.attempt(ended, 3, accepted=False, number=number) for number in range(2, 20)
    )
    assert queries(work.olivia, url) == few


def test_a_row_that_is_not_there_is_a_404(work: Work, ended: Job) -> None:  # noqa: F811
    for n in (0, 6, 10**30):
        assert work.olivia.get(f"/jobs/{ended.public_id}/records/{n}/").status_code == 404


def test_rows_that_have_ended_can_be_ticked(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/"
    page = work.olivia.get(url)
    ticks = [one for one in tags(page, "input") if one.get("name") == "selected"]
    assert [one["value"] for one in ticks] == ["1", "2", "3", "4", "5"]
    # What succeeded is not among those that are ticked together, unless it is what was filtered for.
    assert [one["value"] for one in ticks if "data-bulk-apart" in one] == ["1", "2"]
    assert "All 3 failed records that match" in text(page)
    page = work.olivia.get(f"{url}?status=succeeded")
    assert "All 2 succeeded records that match" in text(page)
    assert not [one for one in tags(page, "input") if "data-bulk-apart" in one]
    page = work.olivia.get(f"{url}?status=pending")
    assert not [one for one in tags(page, "input") if one.get("name") == "selected"]
    # A text search cannot be handed on to a replay: there is no "all" then.
    searched = work.olivia.get(f"/jobs/{ended.public_id}/?q=ticket")
    assert not [one for one in tags(searched, "input") if one.get("name") == "all_matching"]
    done = work.job(succeeded=2, status=JobStatus.COMPLETED)
    page = work.olivia.get(f"/jobs/{done.public_id}/")
    names = [one.get("name") for one in tags(page, "input")]
    assert (names.count("selected"), names.count("all_matching")) == (2, 0)


def test_the_list_polls_while_rows_can_change(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=1, pending=2)
    url = f"/jobs/{job.public_id}/?status=pending"
    part = work.olivia.get(url, headers=RECORDS)
    assert "<html" not in part.content.decode()
    assert _rows(part) == [2, 3]
    assert tag_with(part, "section", id="records")["hx-get"] == url
    unchanged = {**RECORDS, "HX-PTag": part["HX-PTag"]}
    assert work.olivia.get(url, headers=unchanged).status_code == 304
    Record.objects.filter(job=job, n=2).update(status=RecordStatus.SUCCEEDED)
    assert _rows(work.olivia.get(url, headers=unchanged)) == [3]
    searched = work.olivia.get(f"{url}&q=ticket")
    assert "hx-get" not in tag_with(searched, "section", id="records")
    Job.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED)
    ended = work.olivia.get(url, headers=unchanged)
    assert "hx-get" not in tag_with(ended, "section", id="records")


def test_a_record_polls_from_its_replay_to_its_end(work: Work, ended: Job) -> None:  # noqa: F811
    url = f"/jobs/{ended.public_id}/records/3/"
    assert 'hx-trigger="every 2s' not in work.olivia.get(url).content.decode()
    page = work.olivia.post(url, {"nonce": "n"}, follow=True)
    # Nobody has put it back to pending yet.
    assert "A replay is being applied" in text(page)
    assert 'hx-trigger="every' in page.content.decode()
    other = work.olivia.get(f"/jobs/{ended.public_id}/records/4/")
    assert "A replay is being applied" not in text(other)
    tag = work.olivia.get(url, headers=LIVE)["HX-PTag"]
    assert work.olivia.get(url, headers={**LIVE, "HX-PTag": tag}).status_code == 304
    Replay.objects.update(applied_at=timezone.now())
    Record.objects.filter(job=ended, n=3).update(
        status=RecordStatus.SUCCEEDED, failure_class=None, fingerprint=None, output="{}"
    )
    done = work.olivia.get(url, headers={**LIVE, "HX-PTag": tag})
    assert "succeeded" in text(done)
    assert "hx-trigger" not in done.content.decode()


def test_an_unknown_cost_is_unknown_in_the_list_too(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=1, pending=1)
    Attempt.objects.filter(job=job).update(cost=None)
    Record.objects.filter(job=job).update(cost=0)
    page = text(work.olivia.get(f"/jobs/{job.public_id}/"))
    assert re.search(r" 1 unknown .* 0 \$0.00 ", page)
