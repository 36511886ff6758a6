"""/jobs: launched, watched, paused, resumed, cancelled"""

from collections.abc import Iterator
from typing import Any

import pytest

from jobs.models import Job
from tests.api.caller import CSV, MODEL, Caller, work
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def parts(api: Caller) -> Iterator[dict[str, Any]]:
    return api.parts(NOWHERE)  # type: ignore[return-value]


def test_it_answers_with_the_whole_job(api: Caller, parts: dict[str, Any]) -> None:
    job = api.post(
        "/jobs",
        {
            **parts,
            "name": "Nightly",
            "mode": "realtime",
            "reuse": False,
            "parameters": {"max_tokens": 50, "temperature": 0.2},
            "priority": 5,
            "max_attempts": 4,
            "budget": "1.5",
            "max_cost_per_minute": "0.25",
            "tolerated_failure_rate": 0.1,
            "rows": {"limit": 5},
            "tags": {"month": "May"},
        },
        201,
    )
    assert job["status"] == "queued"
    assert job["counts"] == {
        "pending": 5, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0, "total": 5,
    }  # fmt: skip
    assert (job["name"], job["priority"], job["max_attempts"]) == ("Nightly", 5, 4)
    assert (job["budget"], job["cost"], job["wasted_cost"]) == ("1.50", "0.00", "0.00")
    assert job["max_cost_per_minute"] == "0.25"
    assert (job["tags"], job["rows"]) == ({"month": "May"}, {"limit": 5})
    assert job["usage"]["input_tokens"] == job["attempts"] == 0
    assert (job["eta"], job["started_at"], job["finished_at"]) == (None, None, None)
    assert api.get(f"/jobs/{job['id']}") == job
    assert api.items("/jobs") == api.items("/jobs?status=queued") == [job]
    assert api.items("/jobs?status=running") == []


def test_it_takes_null_for_what_may_be_left_out(api: Caller, parts: dict[str, Any]) -> None:
    left_out = dict.fromkeys(
        ("name", "template_version", "deadline", "parameters", "budget", "rows", "tags", "mode")
    )
    assert api.post("/jobs", {**parts, **left_out}, 201)["counts"]["total"] == 12


@pytest.mark.parametrize(
    ("rows", "total", "kept"),
    [
        ({}, 12, {}),
        ({"limit": 3}, 3, {"limit": 3}),
        ({"limit": 99}, 12, {"limit": 12}),
        ({"sample": 4, "seed": 7}, 4, {"sample": 4, "seed": 7}),
        ({"sample": 12, "seed": 7}, 12, {"sample": 12, "seed": 7}),
    ],
)
def test_it_takes_all_rows_the_first_or_a_sample(
    api: Caller, parts: dict[str, Any], rows: Any, total: int, kept: Any
) -> None:
    job = api.post("/jobs", {**parts, "rows": rows}, 201)
    assert (job["counts"]["total"], job["rows"]) == (total, kept)


@pytest.mark.django_db(transaction=True)
def test_it_draws_the_same_sample_for_the_same_seed(
    api: Caller, simulator: SimulatorProcess
) -> None:
    parts = api.parts(simulator.url)
    drawn = []
    for seed in (7, 7, 8):
        body = {**parts, "rows": {"sample": 5, "seed": seed}}
        job = api.post("/jobs", body, 201)["id"]
        work()
        drawn.append([record["row"] for record in api.items(f"/jobs/{job}/records")])
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 5


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"mode": "batch"}, ("mode",)),
        ({"mode": "deadline"}, ("mode",)),
        ({"mode": "soon"}, ("mode",)),
        ({"deadline": "2030-01-01T00:00:00Z"}, ("deadline",)),
        ({"model": ""}, ("model",)),
        ({"model": None}, ("model",)),
        ({"parameters": {"max_tokens": 0}}, ("parameters", "max_tokens")),
        ({"parameters": {"warmth": 1}}, ("parameters", "warmth")),
        ({"parameters": []}, ("parameters",)),
        ({"rows": {"limit": 0}}, ("rows", "limit")),
        ({"rows": {"limit": 5, "sample": 5}}, ("rows",)),
        ({"rows": {"sample": 13}}, ("rows", "sample")),
        ({"rows": {"first": 5}}, ("rows", "first")),
        ({"rows": 5}, ("rows",)),
        ({"max_attempts": 0}, ("max_attempts",)),
        ({"max_attempts": "many"}, ("max_attempts",)),
        ({"tolerated_failure_rate": 2}, ("tolerated_failure_rate",)),
        ({"budget": "-1"}, ("budget",)),
        ({"priority": 10**30}, ("priority",)),
        ({"tags": {"a": 1}}, ("tags", "a")),
        ({"tags": {"a" * 51: "b"}}, ("tags",)),
        ({"name": "n" * 201}, ("name",)),
        ({"name": "nul\0"}, ("name",)),
        ({"modle": "x"}, ("modle",)),
    ],
)
def test_it_names_the_field_that_is_wrong(
    api: Caller, parts: dict[str, Any], change: dict[str, Any], place: tuple[str, ...]
) -> None:
    assert list(api.refused("/jobs", {**parts, **change})) == [place]
    assert not Job.objects.exists()


def test_it_says_what_there_is_instead(api: Caller, parts: dict[str, Any]) -> None:
    many = api.refused("/jobs", {**parts, "rows": {"sample": 13}})
    assert "The dataset has 12 rows" in many[("rows", "sample")]
    assert "realtime" in api.refused("/jobs", {**parts, "mode": "batch"})[("mode",)]


def test_it_finds_nothing_of_another_team_by_name(
    api: Caller, stranger: Caller, parts: dict[str, Any]
) -> None:
    theirs = stranger.parts(NOWHERE)
    for name in ("dataset", "template", "connection"):
        for missing in (parts[name], "none"):
            body = {**theirs, name: missing}
            assert list(stranger.refused("/jobs", body, status=404)) == [(name,)]
    body = {**parts, "template_version": 9}
    assert list(api.refused("/jobs", body, status=404)) == [("template_version",)]


def test_it_refuses_what_cannot_run(api: Caller, parts: dict[str, Any]) -> None:
    unread = api.upload(CSV)["id"]
    assert list(api.refused("/jobs", {**parts, "dataset": unread})) == [("dataset",)]
    other = api.template("{{ text }} {{ colour }}", name="Other")
    faults = api.refused("/jobs", {**parts, "template": other})
    assert "colour" in faults[("template",)]
    body = {**parts, "model": "of unknown price", "budget": "5"}
    assert "unknown" in api.refused("/jobs", body)[("budget",)]


@pytest.mark.django_db(transaction=True)
def test_it_pauses_resumes_and_cancels(api: Caller, simulator: SimulatorProcess) -> None:
    parts = api.parts(simulator.url)
    path = "/jobs/" + api.post("/jobs", parts, 201)["id"]
    paused = api.post(f"{path}/pause")
    assert (paused["status"], paused["status_reason"]) == ("paused", "person")
    assert api.post(f"{path}/pause")["status"] == "paused"  # a second click does nothing
    work()
    assert api.get(path)["counts"]["pending"] == 12
    assert simulator.stats()["models"].get(MODEL, {}).get("calls", 0) == 0
    assert api.post(f"{path}/resume")["status"] == "running"
    assert api.post(f"{path}/resume")["status"] == "running"
    assert api.post(f"{path}/cancel")["status"] == "cancelling"
    work()
    job = api.get(path)
    assert (job["status"], job["counts"]["cancelled"]) == ("cancelled", 12)
    assert job["finished_at"]
    assert api.post(f"{path}/cancel")["status"] == "cancelled"
    for verb in ("pause", "resume"):
        problem = api.post(f"{path}/{verb}", None, 409)
        assert "cancelled" in problem["detail"]
        assert problem["errors"] == [{"loc": ["path"], "msg": problem["detail"]}]
    assert {record["status"] for record in api.items(f"{path}/records")} <= {"cancelled"}


@pytest.mark.django_db(transaction=True)
def test_it_says_why_a_job_paused_itself(api: Caller, simulator: SimulatorProcess) -> None:
    parts = api.parts(simulator.url)
    simulator.set_faults({"authentication": 1.0})
    path = "/jobs/" + api.post("/jobs", parts, 201)["id"]
    work()
    job = api.get(path)
    assert (job["status"], job["status_reason"]) == ("paused", "authentication")
    assert job["status_detail"]
    simulator.set_faults({})
    api.post(f"{path}/resume")
    work()
    assert api.get(path)["status"] == "completed"


def test_it_tells_another_teams_job_and_an_absent_one_alike(
    api: Caller, stranger: Caller, parts: dict[str, Any]
) -> None:
    job = api.post("/jobs", parts, 201)["id"]
    for one in (job, "none"):
        path = f"/jobs/{one}"
        for tail in ("", "/records", "/records/1", "/failures", "/results"):
            assert stranger.get(path + tail, 404)["errors"][0]["loc"] == ["path"]
        for tail in ("/pause", "/resume", "/cancel"):
            stranger.post(path + tail, None, 404)
        stranger.post(f"{path}/replay", {}, 404)
    assert api.get(f"/jobs/{job}")["status"] == "queued"
    assert stranger.items("/jobs") == []


def test_it_lists_the_newest_first_and_filters(api: Caller, parts: dict[str, Any]) -> None:
    made = [api.post("/jobs", {**parts, "name": n}, 201)["id"] for n in ("a", "b", "c")]
    assert [job["id"] for job in api.items("/jobs?limit=2")] == made[::-1]
    api.post(f"/jobs/{made[0]}/pause")
    assert [job["id"] for job in api.items("/jobs?tab=paused")] == made[:1]
    assert [job["name"] for job in api.items("/jobs?q=b")] == ["b"]
    assert api.get("/jobs?tab=nonsense", 422)["errors"][0]["loc"] == ["tab"]


@pytest.mark.django_db(transaction=True)
def test_it_shows_an_unknown_price_as_unknown(api: Caller, simulator: SimulatorProcess) -> None:
    parts = {**api.parts(simulator.url), "model": "sim-unpriced", "rows": {"limit": 2}}
    path = "/jobs/" + api.post("/jobs", parts, 201)["id"]
    work()
    job = api.get(path)
    assert (job["cost"], job["unpriced_attempts"]) == (None, 2)
    assert (job["wasted_cost"], job["in_doubt_cost"]) == ("0.00", "0.00")  # no call was either
    Job.objects.update(attempts=4, in_doubt_attempts=1, unpriced_attempts=4)
    told = api.get(path)
    assert (told["wasted_cost"], told["in_doubt_cost"]) == (None, None)
    assert [record["cost"] for record in api.items(f"{path}/records")] == [None, None]
    assert {attempt["cost"] for attempt in api.get(f"{path}/records/1")["attempts"]} == {None}
    (row,) = [
        row for row in api.get("/costs?group_by=model")["rows"] if row["key"] == parts["model"]
    ]
    assert (row["cost"], row["unpriced_calls"]) == (None, 2)
