"""Budgets on pages: who sets them, what is refused, what goes on, who changed what."""

from datetime import date

import pytest
from django.utils import timezone

from jobs.costs.budgets import Refusal
from jobs.models import Budget, Job, JobStatus, StatusReason
from tests.cast import cast, make_connection  # noqa: F401
from tests.web.reading import assert_harmless, tag_with, text
from tests.web.work import CALL, HOSTILE, Work, work  # noqa: F401

pytestmark = pytest.mark.django_db
PAGE, SET = "/settings/budgets/", "/settings/budgets/set/"
USD = 10**12


def stopped(work: Work, scope: str, limit: int) -> Job:  # noqa: F811
    """A job that its own budget, or its team's, has no room for: its next call may cost 1 USD."""
    month = timezone.now().date().replace(day=1)
    resets = date(month.year + month.month // 12, month.month % 12 + 1, 1).isoformat()
    refusal = Refusal(
        scope, "the budget", limit, 0, 0, USD, None if scope == "job" else resets, False,
        work.connection.pk,
    )  # fmt: skip
    return work.job(
        pending=2, status=JobStatus.PAUSED, status_reason=StatusReason.BUDGET,
        status_detail=str(refusal), refusal=refusal.dump(), budgeted=True,
        budget=limit if scope == "job" else None,
    )  # fmt: skip


def test_a_lead_sets_a_budget_and_everybody_sees_what_is_left(work: Work) -> None:  # noqa: F811
    bob = work.cast.client(work.cast.bob)
    assert "No budget" in text(bob.get(PAGE))
    work.spent(work.job(succeeded=10, status=JobStatus.COMPLETED))
    answer = bob.post(SET, {"warn_at": "0.002", "stop_at": "0.004"}, follow=True)
    assert "The budget for each month is set." in text(answer)
    page = work.olivia.get(PAGE)
    words = text(page)
    assert "All connections 75% near the limit $0.0030 $0.00 $0.0010 $0.0020 $0.0040" in words
    assert "All connections, each month warn at none → 0.002 USD, stop at none → 0.004 USD" in words
    assert "bob" in words
    assert f"{SET}?" not in page.content.decode()
    work.connection.name = HOSTILE
    work.connection.save()
    form = {"connection": work.connection.public_id, "month": "", "stop_at": "1"}
    page = bob.post(SET, form, follow=True)
    assert_harmless(page)
    month = f"{timezone.now():%Y-%m}"
    change = f"{SET}?connection={work.connection.public_id}&month={month}"
    assert change.replace("&", "&amp;") in page.content.decode()
    assert tag_with(bob.get(change), "input", name="stop_at")["value"] == "1.00"


def test_an_operator_sees_budgets_and_sets_none(work: Work) -> None:  # noqa: F811
    assert "Needs the role “team lead” in this team" in text(work.olivia.get(PAGE))
    assert work.olivia.post(SET, {"stop_at": "5"}).status_code == 403
    assert not Budget.objects.exists()


def test_what_is_wrong_is_named_at_its_field_and_kept(work: Work) -> None:  # noqa: F811
    bob = work.cast.client(work.cast.bob)
    for field, given, words in (
        ("stop_at", {"stop_at": "ten"}, "An amount in USD from 0 on"),
        ("warn_at", {"warn_at": "-1"}, "An amount in USD from 0 on"),
        ("warn_at", {"warn_at": "9", "stop_at": "8"}, "Must not lie above “stop at”"),
    ):
        page = bob.post(SET, given)
        assert page.status_code == 422
        assert words in text(page)
        found = tag_with(page, "input", name=field)
        assert (found["value"], found["aria-invalid"]) == (given[field], "true")
    assert bob.post(SET, {"month": "2020-01", "stop_at": "8"}).status_code == 422
    assert not Budget.objects.exists()


def test_a_connection_of_another_team_is_not_found(work: Work) -> None:  # noqa: F811
    foreign = make_connection(work.cast.other_team)
    bob = work.cast.client(work.cast.bob)
    assert bob.get(f"{SET}?connection={foreign.public_id}").status_code == 404
    given = {"connection": foreign.public_id, "stop_at": "8"}
    assert bob.post(SET, given).status_code == 404
    assert not Budget.objects.exists()


def test_raising_the_teams_budget_lets_its_jobs_go_on(work: Work) -> None:  # noqa: F811
    bob = work.cast.client(work.cast.bob)
    bob.post(SET, {"stop_at": "0.5"})
    job = stopped(work, "team", USD // 2)
    job_url = f"/jobs/{job.public_id}/"
    page = text(work.olivia.get(job_url))
    assert "Limit $0.5000 Spent $0.00 Reserved $0.00 Left $0.5000 The next call up to $1.00" in page
    assert "Needs the role “team lead” in this team to raise it." in page
    month = f"{timezone.now():%Y-%m}"
    assert f"{SET}?month={month}" in bob.get(job_url).content.decode()
    bob.post(SET, {"month": month, "stop_at": "0.75"})
    job.refresh_from_db()
    assert job.status == JobStatus.PAUSED
    bob.post(SET, {"month": month, "stop_at": "2"})
    job.refresh_from_db()
    assert job.status == JobStatus.RUNNING


def test_raising_a_jobs_own_budget_lets_it_go_on(work: Work) -> None:  # noqa: F811
    work.priced()
    job = stopped(work, "job", CALL)
    form = f"/jobs/{job.public_id}/budget/"
    assert f'action="{form}"' in work.olivia.get(f"/jobs/{job.public_id}/").content.decode()
    page = work.olivia.post(form, {"budget": "much"})
    assert page.status_code == 422
    assert "An amount in USD from 0 on" in text(page)
    answer = work.olivia.post(form, {"budget": "0.5"}, follow=True)
    assert "The job does not fit in yet." in text(answer)
    work.olivia.post(form, {"budget": "1.5"})
    job.refresh_from_db()
    assert (job.status, job.budget) == (JobStatus.RUNNING, 15 * USD // 10)
    activity = text(work.olivia.get(f"/jobs/{job.public_id}/?tab=activity"))
    assert "Budget changed" in activity
