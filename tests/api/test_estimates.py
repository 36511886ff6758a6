"""POST /jobs/estimate, and the pilot in POST /jobs"""

from typing import Any

import pytest

from jobs.engine.reconcile import sweep
from jobs.engine.store import Store
from jobs.models import Connection, Job
from tests.api.caller import MODEL, Caller, work
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = "id,text\n" + "".join(f"{n},Parcel {n} is late{'!' * (n % 40)}\n" for n in range(1, 61))


def test_it_tells_what_is_certain_where_nothing_was_seen(api: Caller) -> None:
    parts = api.parts("http://127.0.0.1:9", content=ROWS)
    told = api.post("/jobs/estimate", {**parts, "parameters": {"max_tokens": 100}}, 200)
    assert (told["basis"], told["rows"], told["counted_rows"]) == ("none", 60, 60)
    assert (told["unknown_price"], told["output_tokens"], told["seen_rows"]) == (False, None, 0)
    low, high = float(told["cost"]["low"]), float(told["cost"]["high"])
    assert told["cost"]["expected"] is None
    assert low == told["input_tokens"] * 0.15e-6
    assert round(high - low, 12) == 60 * 100 * 0.6e-6
    assert (told["duration"], told["budget_left"]) == (None, None)
    assert not Job.objects.exists()
    assert ("model",) in api.refused("/jobs/estimate", {**parts, "model": " "})
    unpriced = api.post("/jobs/estimate", {**parts, "model": "sim-unpriced"}, 200)
    assert unpriced["unknown_price"]
    assert unpriced["cost"] == {"low": None, "expected": None, "high": None}


def test_it_pauses_after_the_pilot_with_an_estimate_and_tells_the_next_launch_from_the_job(
    api: Caller, simulator: SimulatorProcess
) -> None:
    parts = api.parts(simulator.url, content=ROWS)
    assert ("pilot",) in {loc[-1:] for loc in api.refused("/jobs", {**parts, "pilot": 20})}
    job = api.post("/jobs", {**parts, "pilot": 10}, 201)
    assert (job["pilot"], job["estimate"]) == ({"rows": 10, "open": True}, None)
    work()
    sweep(Store())
    job = api.get(f"/jobs/{job['id']}")
    assert (job["status"], job["status_reason"], job["counts"]["succeeded"]) == (
        "paused", "pilot", 10,
    )  # fmt: skip
    assert job["estimate"]["basis"] == "pilot"
    told, ahead = (float(job["estimate"][at]["expected"]) for at in ("told", "forecast"))
    assert told == pytest.approx(ahead, rel=0.02)
    assert "nine times in ten" in job["status_detail"]
    api.post(f"/jobs/{job['id']}/resume", {}, 200)
    work()
    job = api.get(f"/jobs/{job['id']}")
    assert (job["status"], job["attempts"], job["pilot"]["open"]) == ("completed", 60, False)
    told = {name: float(usd) for name, usd in job["estimate"]["told"].items()}
    assert told["low"] <= float(job["cost"]) <= told["high"]
    # The same once more: now there is something to go by.
    Connection.objects.update(rpm=60)
    again: dict[str, Any] = api.post("/jobs/estimate", {**parts, "model": MODEL}, 200)
    assert (again["basis"], again["seen_rows"], again["unknown_price"]) == ("history", 60, False)
    assert float(again["cost"]["low"]) <= float(job["cost"]) <= float(again["cost"]["high"])
    assert again["input_tokens"] == pytest.approx(job["usage"]["input_tokens"], rel=0.02)
    assert again["duration"]["low"] == 60
