"""/costs"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from jobs.models import CostRollup
from tests.api.caller import Caller
from tests.cast import Cast
from tests.engine.build import make_job

pytestmark = pytest.mark.django_db
TODAY = datetime.now(UTC).date()
SUMS = (
    "calls", "accepted", "input_tokens", "cached_input_tokens", "output_tokens", "unpriced_calls",
)  # fmt: skip
MONEY = ("cost", "wasted_cost", "in_doubt_cost", "batch_savings")


@pytest.fixture
def spent(cast: Cast) -> Any:
    """Two jobs of Support over three days, one of them in part at an unknown price; calls outside
    any job; and a job of another team."""
    one, two = make_job(1, team=cast.team), make_job(1, team=cast.team)
    other = make_job(1, team=cast.other_team)
    for job, days_ago, model, calls, cost, unpriced in (
        (one, 0, "small", 10, 1_500_000_000_001, 0),
        (one, 1, "small", 20, 10**12, 0),
        (two, 1, "large", 5, 0, 5),
        (two, 40, "large", 7, 2 * 10**12, 0),
        (None, 0, "small", 1, 10**6, 0),
        (other, 0, "small", 99, 10**15, 0),
    ):
        CostRollup.objects.create(
            job_id=job.pk if job else 0,
            template_version_id=job.template_version_id if job else 0,
            connection_id=one.connection_id,
            model=model,
            day=TODAY - timedelta(days_ago),
            team_id=job.team_id if job else cast.team.pk,
            calls=calls,
            accepted=calls,
            input_tokens=calls * 100,
            cached_input_tokens=calls,
            output_tokens=calls * 10,
            cost=cost,
            wasted_cost=cost // 10,
            unpriced_calls=unpriced,
        )
    return one, two


@pytest.mark.parametrize(
    "group_by",
    ["team", "job", "template", "version", "model", "connection", "tag", "day"],
)
def test_it_adds_up_whatever_it_is_grouped_by(api: Caller, spent: Any, group_by: str) -> None:
    answer = api.get(f"/costs?group_by={group_by}")
    rows, total = answer["rows"], answer["total"]
    assert total["calls"] == 36
    assert (total["cost"], total["batch_savings"]) == ("2.500001000001", "0.00")
    for name in SUMS:
        assert sum(row[name] for row in rows) == total[name]
    for name in MONEY:
        assert sum(Decimal(row[name] or 0) for row in rows) == Decimal(total[name])
    assert len({row["key"] for row in rows}) == len(rows)


def test_it_names_the_groups_by_id(api: Caller, cast: Cast, spent: Any) -> None:
    one, two = spent

    def keys(group_by: str) -> list[str]:
        return [row["key"] for row in api.get(f"/costs?group_by={group_by}")["rows"]]

    assert keys("team") == [cast.team.public_id]
    assert keys("job") == [one.public_id, "", two.public_id]  # the dearest first
    assert set(keys("template")) == {
        one.template_version.template.public_id, two.template_version.template.public_id, "",
    }  # fmt: skip
    assert keys("model") == ["small", "large"]
    assert keys("day") == [str(TODAY - timedelta(1)), str(TODAY)]


def test_it_groups_by_the_values_of_a_tag_and_tells_the_untagged(api: Caller, spent: Any) -> None:
    one, _ = spent
    one.tags = {"cost centre": 'a "b" %', "source": "crm"}
    one.save()
    for query in ("tag=cost%20centre", ""):
        rows = api.get(f"/costs?group_by=tag&{query}")["rows"]
        assert {row["key"]: row["calls"] for row in rows} == {'a "b" %': 30, "": 6}
    assert [row["key"] for row in api.get("/costs?group_by=tag&tag=nobody")["rows"]] == [""]


def test_it_tells_the_waste_by_its_cause_and_what_was_saved(api: Caller, spent: Any) -> None:
    CostRollup.objects.filter(model="small").update(
        failed_cost=1, retried_cost=2, cache_savings=-5, shared=3, reused=1, reuse_savings=7,
        estimated_cost=4,
    )  # fmt: skip
    total = api.get("/costs")["total"]
    assert (total["failed_cost"], total["retried_cost"]) == ("0.000000000003", "0.000000000006")
    assert total["cache_savings"] == "-0.000000000015"
    assert (total["results"], total["shared"], total["reused"]) == (48, 9, 3)
    assert total["cost_per_result"] is None  # some were called at a price nobody knows
    rows = {row["key"]: row for row in api.get("/costs?group_by=model")["rows"]}
    each = Decimal(rows["small"]["cost_per_result"])
    assert each == Decimal(rows["small"]["cost"]) // Decimal("1e-12") // 43 * Decimal("1e-12")


def test_it_takes_a_range_of_days_both_included(api: Caller, spent: Any) -> None:
    yesterday = TODAY - timedelta(1)
    answer = api.get(f"/costs?group_by=day&from={yesterday}&to={yesterday}")
    assert answer["total"]["calls"] == 25
    assert api.get(f"/costs?from={TODAY - timedelta(40)}")["total"]["calls"] == 43
    assert api.get("/costs?group_by=day&from=&to=")["total"]["calls"] == 36
    assert api.get("/costs?to=0001-01-01")["rows"] == []
    nothing = api.get("/costs?from=1999-01-01&to=1999-12-31")
    assert (nothing["rows"], nothing["total"]["cost"]) == ([], "0.00")


def test_it_shows_an_unknown_price_as_unknown(api: Caller, spent: Any) -> None:
    rows = {row["key"]: row for row in api.get("/costs?group_by=model")["rows"]}
    assert (rows["large"]["cost"], rows["large"]["unpriced_calls"]) == (None, 5)
    assert (rows["large"]["wasted_cost"], rows["large"]["in_doubt_cost"]) == ("0.00", "0.00")
    CostRollup.objects.filter(model="large").update(calls=7, in_doubt_calls=1)
    rows = {row["key"]: row for row in api.get("/costs?group_by=model")["rows"]}
    assert (rows["large"]["wasted_cost"], rows["large"]["in_doubt_cost"]) == (None, None)
    assert (rows["small"]["wasted_cost"], rows["small"]["in_doubt_cost"]) != (None, None)


def test_it_shows_another_team_nothing_of_it(stranger: Caller, spent: Any) -> None:
    assert stranger.get("/costs?group_by=job")["total"]["calls"] == 99
