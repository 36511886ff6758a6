"""/jobs/{id}/records and /jobs/{id}/failures"""

from typing import Any

import pytest

from tests.api.caller import Caller, work
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
# Sixty rows; each fault befalls those that name it.
WORDS = {2: "refusal", 3: "content_filter", 5: "schema_violation", 60: "refusal"}
DATA = "id,text\n" + "".join(f"{n:03d},{WORDS.get(n, 'plain')} ticket\n" for n in range(1, 61))


@pytest.fixture
def job(api: Caller, simulator: SimulatorProcess) -> str:
    simulator.set_faults({word: {"share": 1.0, "match": word} for word in set(WORDS.values())})
    parts = api.parts(simulator.url, content=DATA)
    made: str = api.post("/jobs", {**parts, "max_attempts": 2}, 201)["id"]
    work()
    return made


def test_it_shows_records_and_failures_and_each_attempt(api: Caller, job: str) -> None:
    path = f"/jobs/{job}"
    records = api.items(f"{path}/records")
    assert [record["row"] for record in records] == list(range(1, 61))
    good, refused = records[0], records[1]
    assert good["input"] == {"id": "001", "text": "plain ticket"}
    assert (good["status"], good["failure_class"], good["message"]) == ("succeeded", None, None)
    assert set(good["output"]) == {"label", "urgent"}
    assert (refused["status"], refused["failure_class"]) == ("failed", "refusal")
    assert refused["message"]
    assert refused["output"] is None
    assert float(refused["cost"]) > 0  # a refusal is charged
    assert len(api.get(f"{path}/records?limit=7")["items"]) == 7

    def rows(query: str) -> list[int]:
        return [record["row"] for record in api.items(f"{path}/records?{query}")]

    assert rows("status=failed") == [2, 3, 5, 60]
    assert rows("failure_class=refusal") == [2, 60]
    assert rows("status=succeeded&failure_class=") == [n for n in range(1, 61) if n not in WORDS]
    assert rows("status=running") == []

    groups = api.get(f"{path}/failures")["items"]
    assert [(g["failure_class"], g["count"], g["example_rows"]) for g in groups] == [
        ("refusal", 2, [2, 60]), ("content_filter", 1, [3]), ("schema_violation", 1, [5]),
    ]  # fmt: skip
    assert all(group["fingerprint"] and group["suggestion"] for group in groups)

    # A schema violation was tried twice: the newest attempt first, each with what was sent and got.
    record = api.get(f"{path}/records/5")
    assert record["prompt"]["user"] == "Sort: schema_violation ticket"
    assert [attempt["number"] for attempt in record["attempts"]] == [2, 1]
    for attempt in record["attempts"]:
        assert attempt["failure_class"] == "schema_violation"
        assert attempt["error"]
        assert "schema_violation ticket" in attempt["request"]
        assert attempt["answer"]
        assert attempt["http_status"] == 200
        assert attempt["took_ms"] >= 0
        assert attempt["usage"]["output_tokens"] > 0
        assert attempt["started_at"].endswith("Z")
    # What the list says of a record, the record says, too.
    assert records[4]["attempts"] == 2
    assert float(record["cost"]) == sum(float(a["cost"]) for a in record["attempts"])
    assert api.get(path)["attempts"] == sum(record["attempts"] for record in records)


@pytest.mark.parametrize(
    ("path", "place", "status"),
    [
        ("/records?status=broken", "status", 422),
        ("/records?failure_class=bad_luck", "failure_class", 422),
        ("/records?cursor=x", "cursor", 422),
        ("/records?cursor=azk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "cursor", 422),
        ("/records?limit=0", "limit", 422),
        ("/records?limit=501", "limit", 422),
        ("/records/0", "row", 422),
        ("/records/x", "row", 422),
        (f"/records/{10**30}", "row", 422),
        ("/records/99", "path", 404),
    ],
)
def test_it_names_the_parameter_that_is_wrong(
    api: Caller, path: str, place: str, status: int
) -> None:
    parts = api.parts("http://127.0.0.1:9")
    job = api.post("/jobs", parts, 201)["id"]
    (error,) = api.get(f"/jobs/{job}{path}", status)["errors"]
    assert error["loc"] == [place]


def test_it_reads_the_output_as_the_version_that_made_it(
    api: Caller, simulator: SimulatorProcess
) -> None:
    """A replay by a version without a schema brings texts into a job of objects."""
    simulator.set_faults({"refusal": {"share": 1.0, "match": "ticket 2"}})
    parts: dict[str, Any] = api.parts(simulator.url, content="text\nticket 1\nticket 2\n")
    path = "/jobs/" + api.post("/jobs", {**parts, "tolerated_failure_rate": 1}, 201)["id"]
    work()
    simulator.set_faults({})
    version = api.post(
        "/templates", {"name": "Sort", "system": "", "user": "Sort freely: {{ text }}"}
    )["version"]
    api.post(f"{path}/replay", {"overrides": {"template_version": version}}, 201)
    work()
    one, two = api.items(f"{path}/records")
    assert set(one["output"]) == {"label", "urgent"}
    assert isinstance(two["output"], str)
    assert isinstance(api.get(f"{path}/records/2")["output"], str)
    lines = api.download(f"{path}/results?format=csv").decode().splitlines()
    assert lines[0].startswith("text,label,urgent,output,_row,_status")
    assert len(lines) == 3
