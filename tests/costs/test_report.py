"""The monthly report: what it says to do is computed, and it is sent once."""

import uuid
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.core import mail

from jobs.costs import tasks
from jobs.costs.advice import advice_for
from jobs.costs.advice_words import words_of
from jobs.costs.months import Month
from jobs.costs.reporting import reports_due
from jobs.display import display_currency
from jobs.models import Job, JobStatus, Notice
from jobs.notices.delivering import deliver_due
from jobs.notices.spread import spread_notices
from jobs.providers.types import Usage
from tests.cast import cast  # noqa: F401
from tests.costs.books import RATES, USAGE, write_call
from tests.web.reading import text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db
OCTOBER, DAY = Month(date(2026, 10, 1)), date(2026, 10, 7)
ONE = RATES.cost(USAGE)


def spend(work: Work) -> Job:  # noqa: F811
    """Ten truncated calls of two jobs, three rows alike, and one that two jobs asked."""
    nightly = work.job(status=JobStatus.COMPLETED, name="Nightly tags")
    other = work.job(status=JobStatus.COMPLETED, name="Again")
    for n in range(10):
        job = nightly if n else other
        write_call(job, DAY, outcome="failed", waste="failed", failure_class="truncated")
    same, shared = uuid.uuid4(), uuid.uuid4()
    for _ in range(3):
        write_call(nightly, DAY, request_key=same)
    for job in (nightly, other):
        write_call(job, DAY, request_key=shared)
    write_call(other, DAY, outcome="superseded", waste="superseded")
    write_call(nightly, date(2026, 9, 30))
    return nightly


def test_it_says_what_would_have_saved_most_and_how_that_was_computed(work: Work) -> None:  # noqa: F811
    nightly = spend(work)
    advice = advice_for(work.cast.team.pk, OCTOBER)
    told = [(one.kind, one.saving, one.count) for one in advice]
    assert told == [("failures", 10 * ONE, 10), ("duplicates", 2 * ONE, 2), ("again", ONE, 1)]
    page = text(work.olivia.get("/costs/report/?month=2026-10"))
    assert (
        "Answer cut off: 10 calls of 2 jobs (most in “Nightly tags”) were paid and brought nothing"
        in page
    )
    assert "Saving: $0.0037 · what these 10 calls cost" in page
    assert "2 calls of “Nightly tags” asked what another row had asked" in page
    # 16 calls against one in the month before.
    assert f"×{16 * ONE / ONE:.1f}" in page
    assert "failed for good $0.0037" in page
    assert nightly.public_id in work.olivia.get("/costs/report/?month=2026-10").content.decode()


def test_it_compares_what_a_result_of_a_template_cost_by_model(work: Work) -> None:  # noqa: F811
    job = work.job(status=JobStatus.COMPLETED)
    for _ in range(30):
        write_call(job, DAY, usage=Usage(input_tokens=1000, output_tokens=0))
        write_call(job, DAY, model="cheap", usage=Usage(input_tokens=400, output_tokens=0))
    (one,) = advice_for(work.cast.team.pk, OCTOBER)
    assert (one.kind, one.saving) == ("model", 30 * 600 * RATES.input)
    assert words_of(one).arithmetic == "30 results × ($0.00025 − $0.0001)"


def test_without_anything_to_save_it_invents_nothing(work: Work) -> None:  # noqa: F811
    assert "Nothing was spent in this month" in text(
        work.olivia.get("/costs/report/?month=2026-10")
    )
    write_call(work.job(status=JobStatus.COMPLETED), DAY)
    page = text(work.olivia.get("/costs/report/?month=2026-10"))
    assert "Nothing that the ledger can put a saving to" in page
    assert "month “x”" in text(work.olivia.get("/costs/report/?month=x"))


def test_it_is_sent_once_to_leads_and_admins(
    work: Work,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    settings.DISPLAY = display_currency("EUR", "0.5", "2026-11-01")
    spend(work)
    moment = datetime(2026, 11, 2, tzinfo=UTC)
    monkeypatch.setattr(tasks.timezone, "now", lambda: moment)
    assert reports_due(datetime(2026, 11, 1, 23, 59, tzinfo=UTC)) == []
    assert reports_due(moment) == [work.cast.team]
    for _ in range(2):
        tasks.report_months()
        spread_notices(moment)
        deliver_due(lambda: False)
    assert reports_due(moment) == []
    sent: Any = mail.outbox
    assert sorted(one.to[0] for one in sent) == ["alice@example.com", "bob@example.com"]
    (notice,) = Notice.objects.all()
    for body in (sent[0].body, sent[0].alternatives[0].content):
        assert "$0.0060 (0.0030 EUR at the rate of 2026-11-01)" in body
        assert "Job 1: Nightly tags" in body
        assert (
            "Answer cut off: 10 calls of 2 jobs (most in “Nightly tags”) were paid and brought nothing"
            in body
        )
        assert "/costs/report/?month=2026-10" in body
    assert notice.data["savings"][0] == {"kind": "failures", "saving": "0.00374"}
