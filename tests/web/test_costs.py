"""Costs: totals that agree with the chart and the file, unknown that stays unknown."""

import csv
import io
import re
from decimal import Decimal

import pytest

from jobs.models import CostRollup, JobStatus
from tests.cast import cast  # noqa: F401
from tests.web.reading import Page, queries, tag_with, text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


def _file(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(page.content.decode())))


def test_nothing_spent_is_an_empty_page_and_not_an_error(work: Work) -> None:  # noqa: F811
    page = work.olivia.get("/costs/")
    assert "Nothing was spent in these days" in text(page)


def test_table_chart_and_file_have_one_total(work: Work) -> None:  # noqa: F811
    for n, days_ago in enumerate((0, 1, 5)):
        job = work.job(succeeded=3, failed=1, status=JobStatus.COMPLETED, name=f"Job {n}")
        work.spent(job, days_ago=days_ago)
    old = work.job(succeeded=9, status=JobStatus.COMPLETED, name="Long ago")
    work.spent(old, days_ago=60)
    for by in ("model", "template", "job", "person", "team", "day"):
        page = text(work.olivia.get(f"/costs/?by={by}"))
        assert "Cost a day total $0.0036" in page
        assert "Total $0.0036 $0.00090 $0.00 0 12 9 $0.00040" in page
        rows = _file(work.olivia.get(f"/costs/costs.csv?by={by}"))
        assert rows[-1]["cost_usd"] == "0.0036"
        assert sum(Decimal(row["cost_usd"]) for row in rows[:-1]) == Decimal("0.0036")
        assert rows[-1]["wasted_cost_usd"] == "0.0009"
    assert "Long ago" not in text(work.olivia.get("/costs/?by=job"))


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
    assert "local unknown unknown unknown 5 5 3" in text(work.olivia.get("/costs/?by=model"))
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
    few = queries(work.olivia, "/costs/?by=job")
    for _ in range(10):
        work.spent(work.job(succeeded=1, status=JobStatus.COMPLETED))
    assert queries(work.olivia, "/costs/?by=job") == few
