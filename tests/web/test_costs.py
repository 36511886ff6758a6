"""Costs: totals that agree with the chart and the file, unknown that stays unknown."""

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from jobs.models import Budget, CostRollup, Job, JobStatus, TemplateVersion
from tests.cast import cast  # noqa: F401
from tests.web.reading import queries, tag_with, text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


def _file(page: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(page.getvalue().decode())))


def test_nothing_spent_is_an_empty_page_and_not_an_error(work: Work) -> None:  # noqa: F811
    page = work.olivia.get("/costs/")
    assert "Nothing was spent in these days" in text(page)


def _days(back: int = 29) -> str:
    today = timezone.now().date()
    return f"from={today - timedelta(back)}&to={today}"


def _rollup(work: Work, job: Job, days_ago: int, **sums: Any) -> None:  # noqa: F811
    CostRollup.objects.create(
        **{
            "job_id": job.pk, "template_version_id": job.template_version_id, "model": job.model,
            "connection_id": job.connection_id, "team_id": job.team_id,
            "day": timezone.now().date() - timedelta(days_ago), **sums,
        }
    )  # fmt: skip


GROUPS = ("model", "template", "version", "job", "person", "tag", "connection", "team", "day")


def test_table_chart_and_file_have_one_total(work: Work) -> None:  # noqa: F811
    for n, days_ago in enumerate((0, 1, 5)):
        job = work.job(succeeded=3, failed=1, status=JobStatus.COMPLETED, name=f"Job {n}")
        work.spent(job, days_ago=days_ago)
    old = work.job(succeeded=9, status=JobStatus.COMPLETED, name="Long ago")
    work.spent(old, days_ago=60)
    for by in GROUPS:
        page = text(work.olivia.get(f"/costs/?by={by}&{_days()}"))
        assert "Cost a day total $0.0036" in page
        assert "Total $0.0036 100% — 9 $0.00040 $0.00090 $0.00" in page
        rows = _file(work.olivia.get(f"/costs/costs.csv?by={by}&{_days()}"))
        assert rows[-1]["cost_usd"] == "0.0036"
        assert sum(Decimal(row["cost_usd"]) for row in rows[:-1]) == Decimal("0.0036")
        assert rows[-1]["wasted_cost_usd"] == "0.0009"
    assert "Long ago" not in text(work.olivia.get(f"/costs/?by=job&{_days()}"))


def test_every_row_opens_what_it_is_the_sum_of(work: Work) -> None:  # noqa: F811
    mine = work.job(
        succeeded=3, status=JobStatus.COMPLETED, name="Mine", tags={"cost centre": "a=1 &"}
    )
    other = work.job(
        succeeded=2, status=JobStatus.COMPLETED, name="Other", model="large",
        created_by=work.cast.bob,
    )  # fmt: skip
    work.spent(mine, days_ago=1)
    work.spent(other)
    CostRollup.objects.create(
        job_id=0, template_version_id=0, connection_id=work.connection.pk, model="tried",
        day=timezone.now().date(), team_id=work.cast.team.pk, calls=1, cost=70,
    )  # fmt: skip
    assert "Untagged" in text(work.olivia.get(f"/costs/?by=tag&{_days()}"))
    for by in GROUPS:
        rows = _file(work.olivia.get(f"/costs/costs.csv?by={by}&{_days()}"))[:-1]
        page = work.olivia.get(f"/costs/?by={by}&{_days()}").content.decode()
        table = page[page.index("Costs by group") :]
        links = re.findall(r'<a data-row-open href="([^"]+)"', table)
        assert len(links) == len(rows), by
        sums = []
        for link in links:
            if link.startswith("?"):
                behind = work.olivia.get(f"/costs/costs.csv{link.replace('&amp;', '&')}")
                sums.append(_file(behind)[-1]["cost_usd"])
        assert sorted(sums) == sorted(
            row["cost_usd"] for row in rows if by != "job" or row["id"] == ""
        )
    assert f'href="/jobs/{mine.public_id}/' in table_of(work, "job")


def table_of(work: Work, by: str) -> str:  # noqa: F811
    return work.olivia.get(f"/costs/?by={by}&{_days()}").content.decode()


def test_a_table_too_long_for_a_page_still_adds_up(
    work: Work,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.web.costs.MOST_ROWS", 2)
    for n in range(4):
        work.spent(work.job(succeeded=n + 1, status=JobStatus.COMPLETED, name=f"Job {n}"))
    page = text(work.olivia.get(f"/costs/?by=job&{_days()}"))
    assert "2 more, in the CSV $0.00090 30% — 3" in page
    assert "Total $0.0030 100%" in page


def test_it_says_why_it_is_more_than_before(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=1, status=JobStatus.COMPLETED)
    large = work.job(succeeded=1, status=JobStatus.COMPLETED, model="large")
    usual = {"calls": 100, "accepted": 100, "input_tokens": 10_000, "cost": 10**12}
    _rollup(work, job, 8, **usual)
    _rollup(work, job, 1, **{**usual, "calls": 120,
                "input_tokens": 12_000, "cost": 12 * 10**11, "wasted_cost": 2 * 10**11,
                             "retried_cost": 2 * 10**11})  # fmt: skip
    _rollup(work, large, 1, calls=10, accepted=10, input_tokens=1_000, cost=2 * 10**11)
    page = text(work.olivia.get(f"/costs/?{_days(6)}"))
    assert "+40% +$0.4000 on $1.00" in page
    # The page groups by model; what changed is told by kinds of work.
    assert "Volume more or fewer results +$0.1000" in page
    assert "Mix other templates and models +$0.1000" in page
    assert "Retries more or less waste +$0.2000" in page
    assert "Change +$0.4000" in page
    assert "Tag tickets · large +$0.2000 new" in page
    assert "14.3%: retried $0.2000" in page


def test_a_version_is_held_against_the_one_before(work: Work) -> None:  # noqa: F811
    old = work.job(succeeded=1, status=JobStatus.COMPLETED)
    new = work.job(succeeded=1, status=JobStatus.COMPLETED)
    version = TemplateVersion.objects.create(template=work.version.template, version=2, user="x")
    new.template_version = version
    _rollup(work, old, 40, calls=10, accepted=10, cost=10**12)
    _rollup(work, new, 1, calls=10, accepted=8, shared=2, cost=15 * 10**11)
    for by in ("version", "template"):
        page = text(work.olivia.get(f"/costs/?by={by}&{_days()}"))
        assert "$0.1500 +50% on v1" in page
    assert "2 shared" in page


def test_it_tells_the_days_and_jobs_out_of_line(work: Work) -> None:  # noqa: F811
    today = timezone.now()
    for week in reversed(range(7)):
        job = work.job(
            succeeded=1, status=JobStatus.COMPLETED, cost=10**12 * (9 if not week else 1)
        )
        when = today - timedelta(days=1 + 7 * week)
        Job.objects.filter(pk=job.pk).update(created_at=when)
        _rollup(work, job, 1 + 7 * week, calls=1, accepted=1, cost=job.cost)
    page = text(work.olivia.get(f"/costs/?{_days(6)}"))
    assert re.search(r"Out of line .*\w+day, \d+ \w+: \$9\.00 9\.0 times a usual \w+day", page)
    assert "More than a week before: “Nightly tags”, +$8.00." in page
    assert "Nightly tags: $9.00 9.0 times a usual" in page
    assert "cost of jobs of this name: $1.00, and $1.00 to $1.00 in the 6 seen before." in page


def test_it_says_when_a_budget_will_be_used_up(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=1, status=JobStatus.COMPLETED)
    for days_ago in range(60):
        _rollup(work, job, days_ago, calls=1, accepted=1, cost=10**12)
    today = timezone.now().date()
    budget = Budget.objects.create(
        team=work.cast.team, month=today.replace(day=1), key="t", stop_at=10**14
    )
    page = text(work.olivia.get("/costs/"))
    assert "It is expected to last." in page
    budget.stop_at = (today.day - 1) * 10**12 + 1
    budget.save()
    assert "It is used up." in text(work.olivia.get("/costs/"))


def test_a_job_that_spends_now_can_be_paused_from_here(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=3, pending=9, status=JobStatus.RUNNING, name="Runaway")
    page = work.olivia.get("/costs/")
    assert "Spending now" in text(page)
    assert "Runaway" in text(page)
    answer = work.olivia.post(f"/jobs/{job.public_id}/pause/", {"back": "costs"})
    assert answer["Location"] == "/costs/"
    job.refresh_from_db()
    assert job.status == JobStatus.PAUSED
    assert "Spending now" not in text(work.olivia.get("/costs/"))


def test_the_admin_of_the_installation_sees_the_share_of_each_team(work: Work) -> None:  # noqa: F811
    work.spent(work.job(succeeded=3, status=JobStatus.COMPLETED))
    CostRollup.objects.create(
        job_id=0, template_version_id=0, connection_id=1, model="m", calls=1, cost=27 * 10**8,
        day=timezone.now().date(), team_id=work.cast.other_team.pk,
    )  # fmt: skip
    root = work.cast.client(work.cast.root)
    page = text(root.get(f"/costs/?by=team&teams=all&{_days()}"))
    assert "Search $0.0027 75%" in page
    assert "Support $0.00090 25%" in page
    alone = root.get(f"/costs/?by=job&teams=all&team={work.cast.other_team.public_id}&{_days()}")
    assert "team: Search" in text(alone)
    assert "Total $0.0027 100%" in text(alone)


def test_an_unknown_cost_is_never_zero(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=3, status=JobStatus.COMPLETED, name="Local model", model="local")
    work.spent(job, unpriced=3, cost=0)
    page = text(work.olivia.get("/costs/?by=model"))
    assert re.search(r"local unknown", page)
    assert "Not the whole cost. 3 calls were made at a price nobody knows." in page
    rows = _file(work.olivia.get("/costs/costs.csv?by=model"))
    assert (rows[0]["model"], rows[0]["cost_usd"], rows[0]["unpriced_calls"]) == ("local", "", "3")
    # None of them was wasted or is in doubt: that is known to have cost nothing.
    assert (rows[0]["wasted_cost_usd"], rows[0]["in_doubt_cost_usd"]) == ("0.00", "0.00")
    CostRollup.objects.update(calls=5, in_doubt_calls=1, unpriced_calls=5)
    page = text(work.olivia.get("/costs/?by=model"))
    assert "local unknown — — 3 unknown unknown unknown — $0.00 5 5" in page
    assert "unknown wasted" in text(work.olivia.get("/"))
    rows = _file(work.olivia.get("/costs/costs.csv?by=model"))
    assert (rows[0]["wasted_cost_usd"], rows[0]["in_doubt_cost_usd"]) == ("", "")


def test_the_range_and_group_come_from_the_query_string(work: Work) -> None:  # noqa: F811
    page = work.olivia.get("/costs/?by=job&from=2026-03-01&to=2026-03-31")
    assert tag_with(page, "input", name="from")["value"] == "2026-03-01"
    assert tag_with(page, "input", name="to")["value"] == "2026-03-31"
    for nonsense in ("from=x&to=y&by=password", "from=2026-03-31&to=2026-03-01", "to=0001-01-01"):
        page = work.olivia.get(f"/costs/?{nonsense}")
        assert page.status_code == 200
        words = "was ignored: by “password”, from “x”, to “y”."
        assert (words in text(page)) == ("password" in nonsense)
    elsewhere = work.olivia.get("/costs/?template=nothing&job=x&version=y@z&person=nobody")
    assert text(elsewhere).count("“nothing”") == 1
    assert "Narrowed" not in text(elsewhere)
    wide = work.olivia.get("/costs/?from=1990-01-01&to=2026-03-31")
    assert tag_with(wide, "input", name="from")["value"] == "2025-03-31"


def test_a_name_is_no_formula_in_the_file(work: Work) -> None:  # noqa: F811
    job = work.job(succeeded=1, status=JobStatus.COMPLETED, name='=HYPERLINK("http://x")')
    work.spent(job)
    assert _file(work.olivia.get("/costs/costs.csv?by=job"))[0]["job"].startswith("'=")


def test_another_teams_spend_is_not_in_it(work: Work) -> None:  # noqa: F811
    work.spent(work.job(succeeded=3, status=JobStatus.COMPLETED))
    stranger = work.cast.client(work.cast.charlie)
    for query in ("", "?teams=all", "?by=team"):
        assert "Nothing was spent" in text(stranger.get(f"/costs/{query}"))


def test_its_queries_do_not_grow_with_the_jobs(work: Work) -> None:  # noqa: F811
    work.spent(work.job(succeeded=1, status=JobStatus.COMPLETED))
    few = {by: queries(work.olivia, f"/costs/?by={by}") for by in GROUPS}
    assert max(few.values()) < 35
    for n in range(10):
        work.spent(work.job(succeeded=1, status=JobStatus.COMPLETED, tags={"n": str(n)}))
    work.olivia.get("/costs/")
    assert {by: queries(work.olivia, f"/costs/?by={by}") for by in GROUPS} == few
