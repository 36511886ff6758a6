"""/jobs/{id}/replay"""

from typing import Any

import pytest

from jobs.engine.tasks import apply_replay
from jobs.models import Replay, RowEdit
from tests.api.caller import Caller, work
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
# Rows 2 and 4 are refused, row 3 is filtered.
DATA = "id,text\n1,plain\n2,refusal a\n3,content_filter\n4,refusal b\n5,plain too\n"


class Failed:
    """A job of which three rows failed, and the provider is well again."""

    def __init__(self, api: Caller, simulator: SimulatorProcess) -> None:
        self.api = api
        simulator.set_faults(
            {word: {"share": 1.0, "match": word} for word in ("refusal", "content_filter")}
        )
        self.parts: dict[str, Any] = api.parts(simulator.url, content=DATA)
        body = {**self.parts, "tolerated_failure_rate": 1}
        self.path = "/jobs/" + api.post("/jobs", body, 201)["id"]
        work()
        simulator.set_faults({})
        simulator.reset()

    def replay(self, body: Any, status: int = 201, **key: str) -> Any:
        return self.api.post(f"{self.path}/replay", body, status, **key)

    def records(self) -> dict[int, Any]:
        return {record["row"]: record for record in self.api.items(f"{self.path}/records")}

    def failed(self) -> list[int]:
        return [n for n, record in self.records().items() if record["status"] == "failed"]


@pytest.fixture
def job(api: Caller, simulator: SimulatorProcess) -> Failed:
    return Failed(api, simulator)


@pytest.mark.parametrize(
    ("body", "sent", "left"),
    [
        ({}, 3, []),
        ({"failure_class": "refusal"}, 2, [3]),
        ({"rows": [2, 3]}, 2, [4]),
        ({"rows": [1, 2]}, 1, [3, 4]),  # row 1 succeeded: it is not sent again
        ({"failure_class": "refusal", "rows": [3, 4]}, 1, [2, 3]),
        ({"failure_class": None, "fingerprint": None, "rows": None, "edits": None}, 3, []),
    ],
)
def test_it_sends_what_matches_and_nothing_else(
    job: Failed, simulator: SimulatorProcess, body: Any, sent: int, left: list[int]
) -> None:
    answer = job.replay(body)
    assert set(answer) == {"replay", "records"}
    assert answer["records"] == sent
    work()
    assert job.failed() == left
    (stats,) = simulator.stats()["models"].values()
    assert stats["calls"] == sent


def test_it_sends_what_succeeded_where_that_is_said(
    job: Failed, simulator: SimulatorProcess
) -> None:
    before = job.records()
    assert job.replay({"rows": [1, 2], "status": "succeeded"})["records"] == 1
    assert job.replay({"rows": [1, 2, 5], "status": "all"})["records"] == 3
    work()
    assert job.failed() == [3, 4]
    record = job.api.get(f"{job.path}/records/1")
    outcomes = [(one["purpose"], one["outcome"]) for one in record["attempts"]]
    assert outcomes == [("replay", "accepted"), ("first", "superseded")]
    cost = job.api.get(job.path)
    assert float(cost["wasted_cost"]) > 0
    # One that brings nothing takes nothing away.
    simulator.set_faults({"refusal": {"share": 1.0}})
    kept = job.records()[5]
    assert job.replay({"status": "succeeded"})["records"] == 3
    work()
    after = job.records()[5]
    assert (after["status"], after["attempts"]) == ("succeeded", 3)
    same = ("output", "model", "finished_at", "input", "failure_class")
    assert [after[name] for name in same] == [kept[name] for name in same]
    assert after["message"]
    assert before[5]["finished_at"] != kept["finished_at"]


def test_it_sends_an_edited_row_that_succeeded(job: Failed) -> None:
    body = {"status": "all", "edits": {"1": {"text": "other"}}}
    assert job.replay(body)["records"] == 1
    # Its result is that of the row as it was, before and while it is sent.
    for status in ("succeeded", "pending"):
        before = job.records()[1]
        assert (before["status"], before["input"]["text"]) == (status, "plain")
        assert before["output"]
        assert job.api.get(f"{job.path}/records/1")["input"] == before["input"]
        apply_replay(Replay.objects.get().pk)
    work()
    assert job.records()[1]["input"]["text"] == "other"


def test_it_sends_a_group_by_its_fingerprint(job: Failed) -> None:
    groups = job.api.get(f"{job.path}/failures")["items"]
    (filtered,) = [g for g in groups if g["failure_class"] == "content_filter"]
    assert job.replay({"fingerprint": filtered["fingerprint"]})["records"] == 1
    work()
    assert job.failed() == [2, 4]


def test_it_sends_edited_rows_and_shows_them_as_sent(job: Failed) -> None:
    assert job.replay({"edits": {"4": {"text": "mended"}}})["records"] == 1
    work()
    assert job.failed() == [2, 3]
    record = job.api.get(f"{job.path}/records/4")
    assert record["input"] == job.records()[4]["input"] == {"id": "4", "text": "mended"}
    assert "mended" in record["prompt"]["user"]
    assert [attempt["purpose"] for attempt in record["attempts"]] == ["replay", "first"]
    # The dataset itself stays as it is.
    rows = job.api.items(f"/datasets/{job.parts['dataset']}/rows")
    assert rows[3]["values"] == {"id": "4", "text": "refusal b"}


def test_it_lays_edits_over_what_else_is_sent(job: Failed) -> None:
    body = {"failure_class": "refusal", "edits": {"4": {"text": "mended"}}}
    assert job.replay(body)["records"] == 2
    work()
    assert job.failed() == [3]


def test_it_sends_with_another_version_model_connection_and_parameters(
    job: Failed, simulator: SimulatorProcess
) -> None:
    version = job.api.post(
        "/templates", {"name": "Sort", "system": "", "user": "Anew: {{ text }}"}
    )["version"]
    overrides = {
        "template_version": version,
        "model": "sim-large",
        "connection": job.api.connection(simulator.url, name="Second"),
        "parameters": {"max_tokens": 33},
    }
    job.replay({"rows": [2], "overrides": overrides})
    work()
    record = job.api.get(f"{job.path}/records/2")
    attempt = record["attempts"][0]
    assert (attempt["model"], record["status"]) == ("sim-large", "succeeded")
    assert record["prompt"]["user"] == "Anew: refusal a"
    assert '"max_tokens":33' in attempt["request"].replace(" ", "").replace("completion_", "")
    assert simulator.stats()["models"]["sim-large"]["calls"] == 1


FAULTS: list[tuple[Any, tuple[str | int, ...], int]] = [
    ({"failure_class": "bad luck"}, ("failure_class",), 422),
    ({"status": "cancelled"}, ("status",), 422),
    ({"rows": []}, ("rows",), 422),
    ({"rows": [0]}, ("rows", 0), 422),
    ({"rows": ["x"]}, ("rows", 0), 422),
    ({"edits": {"x": {}}}, ("edits", "x"), 422),
    ({"edits": {"2": {"colour": "red"}}}, ("edits", "2"), 422),
    ({"edits": {"99": {"text": "x"}}}, ("edits", "99"), 422),
    ({"rows": [1, 2], "edits": {"1": {"text": "x"}}}, ("edits", "1"), 422),  # succeeded
    ({"rows": [2], "edits": {"3": {"text": "x"}}}, ("edits", "3"), 422),
    ({"failure_class": "refusal", "edits": {"3": {"text": "x"}}}, ("edits", "3"), 422),
    ({"overrides": {"parameters": {"heat": 1}}}, ("overrides", "parameters", "heat"), 422),
    ({"overrides": {"model": "m" * 201}}, ("overrides", "model"), 422),
    ({"overrides": {"modell": "x"}}, ("overrides", "modell"), 422),
    ({"override": {}}, ("override",), 422),
    ({"overrides": {"template_version": 99}}, ("overrides", "template_version"), 404),
    ({"overrides": {"connection": "none"}}, ("overrides", "connection"), 404),
]


def test_it_names_the_field_that_is_wrong(job: Failed) -> None:
    for body, place, status in FAULTS:
        (found,) = job.api.refused(f"{job.path}/replay", body, status=status)
        assert found == place
    assert not Replay.objects.exists()
    assert not RowEdit.objects.exists()


def test_it_is_the_same_replay_while_the_first_is_on_its_way(job: Failed) -> None:
    first = job.replay({"rows": [2]})
    assert job.replay({"rows": [2]}) == first
    assert job.replay({"rows": [2], "overrides": {"model": "sim-large"}}) != first
    assert Replay.objects.count() == 2


def test_it_does_nothing_twice(job: Failed) -> None:
    first = job.replay({"rows": [2]}, key="once")
    assert job.replay({"rows": [2]}, key="once") == first
    assert Replay.objects.count() == 1
    work()
    # What was mended is not there to be replayed again.
    assert "nothing to replay" in job.replay({"rows": [2]}, 409)["detail"]
    job.replay({})
    work()
    assert job.api.get(job.path)["status"] == "completed"
    job.replay({}, 409)
