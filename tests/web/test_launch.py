"""Launching: one page, one job a click, faults beside their fields, a rough size before."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.costs.told import told_of
from jobs.models import Connection, Due, Job, JobStatus, Team
from jobs.money import money_text
from tests.cast import cast, make_connection  # noqa: F401
from tests.web.reading import queries, tag_with, tags, text
from tests.web.work import MODEL, Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def form(work: Work) -> dict[str, str]:  # noqa: F811
    """What the page sends when only the needful is filled in."""
    return {
        "nonce": "n1",
        "action": "launch",
        "mode": "realtime",
        "dataset": work.dataset.public_id,
        "template": work.version.template.public_id,
        "connection": work.connection.public_id,
        "model": MODEL,
        "rows": "all",
        "max_attempts": "3",
        "max_repairs": "1",
        "tolerated": "30",
        "priority": "0",
    }


def test_it_launches_and_leads_to_the_job(work: Work, form: dict[str, str]) -> None:  # noqa: F811
    more = {
        "tags": "campaign=autumn\nteam = a=b",
        "more_parameters": '{"seed": 5}',
        "temperature": "0.5",
        "tolerated": "12.5",
        "rows": "limit",
        "row_count": "40",
    }
    answer = work.olivia.post("/jobs/new/", {**form, **more}, follow=True)
    job = Job.objects.get()
    assert answer.redirect_chain == [(f"/jobs/{job.public_id}/", 302)]
    assert "is launched with 40 rows." in text(answer)
    assert job.tags == {"campaign": "autumn", "team": "a=b"}
    assert job.parameters == {"max_tokens": 200, "seed": 5, "temperature": 0.5}
    assert (job.total, job.tolerated_failure_rate, job.pilot_rows) == (40, 0.125, 0)


def test_a_double_click_launches_one_job(work: Work, form: dict[str, str]) -> None:  # noqa: F811
    first = work.olivia.post("/jobs/new/", form)
    second = work.olivia.post("/jobs/new/", form)
    assert first["Location"] == second["Location"]
    assert Job.objects.count() == 1
    assert "was launched already" in text(work.olivia.get(second["Location"]))
    # Gone back and changed: that is another job.
    work.olivia.post("/jobs/new/", {**form, "priority": "5"})
    assert Job.objects.count() == 2
    pages = [work.olivia.get("/jobs/new/") for _ in range(2)]
    nonces = {tag_with(page, "input", name="nonce")["value"] for page in pages}
    assert len(nonces) == 2


@pytest.mark.parametrize("nonce", ["n1", "n2"])  # the page as it was left, or loaded anew
def test_the_same_launch_once_more_is_asked_about(
    work: Work,  # noqa: F811
    form: dict[str, str],
    nonce: str,
) -> None:
    work.olivia.post("/jobs/new/", form)
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    first = Job.objects.get()
    for _ in range(2):
        asked = work.olivia.post("/jobs/new/", {**form, "nonce": nonce})
        assert asked.status_code == 409
        assert f"This job was launched already: {first.name} , 3 min ago" in text(asked)
        assert Job.objects.count() == 1
    again = {
        **form,
        "nonce": str(tag_with(asked, "input", name="nonce")["value"]),
        "action": str(tag_with(asked, "button", name="action", value="launch_again")["value"]),
    }
    for _ in range(2):  # a double click
        work.olivia.post("/jobs/new/", again)
    assert Job.objects.count() == 2
    # A colleague's wish is another, and so is one of tomorrow.
    work.cast.client(work.cast.bob).post("/jobs/new/", {**form, "nonce": "b1"})
    Job.objects.update(created_at=timezone.now() - timedelta(hours=2))
    work.olivia.post("/jobs/new/", {**form, "nonce": "n3"})
    assert Job.objects.count() == 4


def test_a_pilot_is_the_first_stage_of_the_job(work: Work, form: dict[str, str]) -> None:  # noqa: F811
    answer = work.olivia.post("/jobs/new/", {**form, "pilot": "10"}, follow=True)
    job = Job.objects.get()
    assert (job.pilot_rows, job.total, job.expanded) == (10, 200, 10)
    assert sorted(Due.objects.values_list("n", flat=True)) == job.selection["pilot"]
    assert "is launched with 200 rows, 10 of them first." in text(answer)
    assert "Pilot: 10 random rows go first." in text(answer)
    Job.objects.update(status="paused", status_reason="pilot", pending=190, succeeded=10)
    page = work.olivia.get(f"/jobs/{job.public_id}/")
    assert "The pilot is done." in text(page)
    assert "Run the remaining 190 rows" in text(page)
    work.olivia.post(f"/jobs/{job.public_id}/resume/")
    job.refresh_from_db()
    assert (job.status, job.pilot_rows) == ("running", 0)
    assert work.olivia.post("/jobs/new/", {**form, "pilot": "11"}).status_code == 422


def test_faults_stand_beside_their_fields_and_nothing_typed_is_lost(
    work: Work,  # noqa: F811
    form: dict[str, str],
) -> None:
    wrong = {
        "rows": "sample",
        "tags": "no sign",
        "more_parameters": "[1]",
        "name": "Typed with care",
        "budget": "5",
    }
    answer = work.olivia.post("/jobs/new/", {**form, **wrong})
    assert answer.status_code == 422
    for words in ("How many rows?", "Write name=value", "Write an object"):
        assert words in text(answer)
    assert tag_with(answer, "input", name="name")["value"] == "Typed with care"
    # Faults that only the service can see.
    answer = work.olivia.post("/jobs/new/", {**form, "budget": "5"})
    assert answer.status_code == 422
    assert f"The price of {MODEL} is unknown" in text(answer)
    work.version.user = "{{ no_such_column }}"
    work.version.save()
    answer = work.olivia.post("/jobs/new/", form)
    assert "The dataset has no column “no_such_column”" in text(answer)
    assert not Job.objects.exists()


def test_batch_mode_is_shown_but_not_to_be_had(work: Work, form: dict[str, str]) -> None:  # noqa: F811
    page = work.olivia.get("/jobs/new/")
    assert "disabled" in tag_with(page, "input", name="mode", value="batch")
    assert "provider batches are not offered yet" in text(page)
    answer = work.olivia.post("/jobs/new/", {**form, "mode": "batch"})
    assert answer.status_code == 422
    assert not Job.objects.exists()


def test_the_size_is_told_without_launching(work: Work, form: dict[str, str]) -> None:  # noqa: F811
    work.priced()
    part = work.olivia.post("/jobs/new/estimate/", {**form, "rows": "limit", "row_count": "50"})
    assert "<html" not in part.content.decode()
    assert "Rows 50" in text(part)
    assert "at most 10k tokens" in text(part)  # 50 rows of 200 output tokens
    assert "the input alone, to at most $" in text(part)
    assert "told from the characters of every row" in text(part)
    assert "No earlier job to go by." in text(part)
    again = work.olivia.post("/jobs/new/", {**form, "action": "check"})
    assert "Rows 200" in text(again)
    assert not Job.objects.exists()


def test_calls_that_all_failed_say_nothing_of_an_answers_length(
    work: Work,  # noqa: F811
    form: dict[str, str],
) -> None:
    work.version.defaults = {}
    work.version.save()
    work.job(failed=3, status=JobStatus.COMPLETED_WITH_FAILURES, output_tokens=0)
    part = text(work.olivia.post("/jobs/new/estimate/", form))
    assert "Output not known yet" in part
    work.job(succeeded=4, failed=1, status=JobStatus.COMPLETED_WITH_FAILURES)
    work.job(failed=3, status=JobStatus.COMPLETED_WITH_FAILURES, output_tokens=0)
    part = text(work.olivia.post("/jobs/new/estimate/", form))
    assert "about 18k tokens" in part  # 90 a call, for 200 rows
    assert "told from 5 rows of 1 earlier job with this version" in part
    assert "No earlier job" not in part


def test_earlier_jobs_tell_the_cost_and_what_was_told_is_kept_and_held_against_what_came(
    work: Work,  # noqa: F811
    form: dict[str, str],
) -> None:
    work.priced()
    work.job(succeeded=60, status=JobStatus.COMPLETED)
    Connection.objects.update(rpm=100)
    part = text(work.olivia.post("/jobs/new/estimate/", form))
    assert "nine times in ten" in part
    assert "Time 2 min 00 s to 2 min 36 s" in part  # 200 calls at 100 a minute
    work.olivia.post("/jobs/new/", form)
    job = Job.objects.latest("id")
    told = told_of(job)
    assert told is not None
    assert (told.basis, told.seen_jobs, told.seen_rows) == ("history", 1, 60)
    page = text(work.olivia.get(f"/jobs/{job.public_id}/"))
    assert f"Forecast {money_text(told.cost.expected)}" in page
    assert "from 1 earlier job" in page
    empty = text(work.olivia.get("/costs/calibration/"))
    assert "No job has been held against its estimate yet" in empty
    cost = told.cost.expected * 102 // 100
    ended = {"status": "completed", "succeeded": 200, "pending": 0, "finished_at": timezone.now()}
    Job.objects.filter(pk=job.pk).update(cost=cost, **ended)
    page = text(work.olivia.get(f"/jobs/{job.public_id}/"))
    assert "it cost 2% more; inside the range" in page
    kept = text(work.olivia.get("/costs/calibration/"))
    assert "From earlier jobs 100% 1 of 1 jobs inside the range" in kept
    assert "2% dearer Inside" in kept


def test_an_unknown_price_is_told_as_unknown(work: Work, form: dict[str, str]) -> None:  # noqa: F811
    part = text(work.olivia.post("/jobs/new/estimate/", form))
    assert "Cost unknown" in part
    assert "no price is set for this model" in part


def test_rows_that_cannot_be_rendered_are_announced(work: Work, form: dict[str, str]) -> None:  # noqa: F811
    work.version.user = "{{ missing }}"
    work.version.save()
    part = text(work.olivia.post("/jobs/new/estimate/", form))
    assert "Some rows cannot be rendered." in part
    assert "None of the 200 looked at can be" in part


def test_a_clone_is_filled_in(work: Work) -> None:  # noqa: F811
    job = work.job(
        succeeded=1,
        status=JobStatus.COMPLETED,
        parameters={"max_tokens": 77, "stop": ["#"]},
        tags={"a": "b"},
        selection={"limit": 1},
        priority=7,
    )
    page = work.olivia.get(f"/jobs/new/?clone={job.public_id}")
    assert tag_with(page, "input", name="max_tokens")["value"] == "77"
    assert tag_with(page, "input", name="row_count")["value"] == "1"
    assert tag_with(page, "input", name="priority")["value"] == "7"
    assert tag_with(page, "input", name="model")["value"] == MODEL
    assert "a=b" in page.content.decode()


def test_what_is_missing_is_named(work: Work) -> None:  # noqa: F811
    page = work.cast.client(work.cast.charlie).get("/jobs/new/")
    for words in ("A dataset that is ready", "A prompt template", "A connection to a provider"):
        assert words in text(page)
    assert "Launch – not available" in text(page)
    assert not [one for one in tags(page, "button") if one.get("value") == "launch"]


def test_another_teams_things_are_not_offered_nor_taken(
    work: Work,  # noqa: F811
    form: dict[str, str],
) -> None:
    other = make_connection(Team.objects.get(name="Search"), name="Theirs")
    assert "Theirs" not in text(work.olivia.get("/jobs/new/"))
    answer = work.olivia.post("/jobs/new/", {**form, "connection": other.public_id})
    assert answer.status_code == 422
    stranger = work.cast.client(work.cast.charlie)
    assert stranger.get(f"/jobs/new/?dataset={work.dataset.public_id}").status_code == 404
    assert stranger.post("/jobs/new/", form).status_code == 422
    assert not Job.objects.exists()


def test_its_queries_do_not_grow_with_what_is_offered(work: Work) -> None:  # noqa: F811
    few = queries(work.olivia, "/jobs/new/")
    for n in range(20):
        make_connection(work.cast.team, name=f"Connection {n}")
    assert queries(work.olivia, "/jobs/new/") <= few
