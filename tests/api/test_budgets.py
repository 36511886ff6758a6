"""/budgets, and the budget of a job"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.costs.budgets import next_month
from jobs.models import AuditEvent, Budget, Job, Price
from tests.api.caller import Caller, work
from tests.cast import Cast
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
MONTH = datetime.now(UTC).date().replace(day=1)


@pytest.fixture
def parts(api: Caller, simulator: SimulatorProcess) -> dict[str, Any]:
    return api.parts(simulator.url)


def put(api: Caller, body: dict[str, Any], status: int = 200) -> Any:
    return api._json(api.ask("PUT", "/budgets", json.dumps(body)), status)


def test_it_sets_and_tells_budgets(api: Caller, parts: dict[str, Any], cast: Cast) -> None:
    team = put(api, {"team": cast.team.public_id, "warn_at": "8", "stop_at": "10.5"})
    assert team == {
        "team": cast.team.public_id, "connection": None, "month": f"{MONTH:%Y-%m}",
        "warn_at": "8.00", "stop_at": "10.50", "spent": "0.00", "reserved": "0.00",
        "granted": "0.00", "resets": f"{next_month(MONTH)}T00:00:00Z",
    }  # fmt: skip
    one = put(api, {"connection": parts["connection"], "month": f"{MONTH:%Y-%m}", "stop_at": "2"})
    assert (one["connection"], one["stop_at"], one["warn_at"]) == (
        parts["connection"], "2.00", None,
    )  # fmt: skip
    assert api.items("/budgets") == [team, one]
    assert api.items(f"/budgets?team={cast.team.public_id}&month={MONTH:%Y-%m}") == [team, one]
    # The rule of all months holds in the next one; what is for this month alone does not.
    (later,) = api.items(f"/budgets?month={next_month(MONTH):%Y-%m}")
    assert (later["stop_at"], later["connection"]) == ("10.50", None)
    put(api, {"warn_at": "8", "stop_at": "20"})
    change = AuditEvent.objects.filter(action="budget.set").latest("pk")
    assert change.detail["before"] == {"warn_at": "8.00", "stop_at": "10.50"}
    assert change.detail["after"] == {"warn_at": "8.00", "stop_at": "20.00"}
    for wrong in ({"stop_at": "-1"}, {"warn_at": "3", "stop_at": "2"}, {"month": "2020-01"}):
        put(api, wrong, 422)
    put(api, {"team": "nosuchteam"}, 404)


def test_it_stops_a_job_and_lets_it_go_on_when_the_budget_is_raised(
    api: Caller, parts: dict[str, Any]
) -> None:
    put(api, {"stop_at": "0.0001"})
    job = api.post("/jobs", parts, 201)
    work()
    stopped = api.get(f"/jobs/{job['id']}")
    assert (stopped["status"], stopped["status_reason"]) == ("paused", "budget")
    assert "0.0001 USD" in stopped["status_detail"]
    (state,) = api.items("/budgets")
    assert float(state["spent"]) <= 0.0001
    put(api, {"stop_at": "1"})
    work()
    done = api.get(f"/jobs/{job['id']}")
    assert done["status"] == "completed"
    (state,) = api.items("/budgets")
    assert (state["spent"], state["reserved"]) == (done["cost"], "0.00")
    Budget.objects.update(stop_at=1)
    refused = api.post("/jobs", parts, 402)
    assert "is spent" in refused["detail"] or "are spent" in refused["detail"]
    Price.objects.all().delete()
    (error,) = api.post("/jobs", parts, 422)["errors"]
    assert error["loc"] == ["model"]
    assert "price" in error["msg"]


def test_it_changes_the_budget_of_a_job(api: Caller, parts: dict[str, Any]) -> None:
    job = api.post("/jobs", {**parts, "budget": "0.0001"}, 201)
    work()
    path = f"/jobs/{job['id']}"
    assert api.get(path)["status_reason"] == "budget"
    assert "The job's budget is 0.0001 USD" in api.get(path)["status_detail"]
    assert api.post(f"{path}/budget", {"budget": "0.00011"})["status"] == "paused"
    assert api.post(f"{path}/budget", {"budget": "5"})["status"] == "running"
    work()
    assert api.get(path)["status"] == "completed"
    assert api.post(f"{path}/budget", {"budget": None})["budget"] is None
    assert api.post(f"{path}/budget", {}, 422)["errors"][0]["loc"] == ["budget"]
    changes = AuditEvent.objects.filter(action="job.budget").order_by("pk")
    assert [c.detail["after"] for c in changes] == ["0.00011", "5.00", None]
    assert Job.objects.get(public_id=job["id"]).budget is None
