"""Numbers of a JSON upload: as they were written, from the upload to the download"""

import csv
import io
from html import unescape

import pyarrow.parquet as pq
import pytest

from tests.api.caller import Caller, work
from tests.cast import Cast
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
ROW = (
    '{"id":12,"text":"plain","price":2.50,"rate":1e5,"one":1.0,'
    '"huge":123456789012345678901234567890,"in":{"list":[-0,1.10]}}'
)
PROMPT = "{{ text }} {{ price }} {{ rate }} {{ one }} {{ huge }} {{ in.list[0] }} {{ in }}"
SHOWN = 'plain 2.50 1e5 1.0 123456789012345678901234567890 -0 {"list":[-0,1.10]}'


def test_they_stay_as_they_were_written(
    api: Caller, cast: Cast, simulator: SimulatorProcess
) -> None:
    simulator.set_faults({"refusal": {"share": 1.0, "match": "plain"}})
    parts = api.parts(simulator.url, content=f"{ROW}\n", filename="a.jsonl")
    dataset = f"/datasets/{parts['dataset']}"
    assert f'"values":{ROW}' in api.ask("GET", f"{dataset}/rows").content.decode()
    columns = {column["name"]: column for column in api.get(dataset)["columns"]}
    assert {name: columns[name]["type"] for name in ("price", "huge", "in")} == {
        "price": "number", "huge": "number", "in": "json",
    }  # fmt: skip
    assert columns["rate"]["examples"] == ["1e5"]
    parts["template"] = api.template(PROMPT + "{% if rate > price %}!{% endif %}", name="Show")
    preview = api.post(
        f"/templates/{parts['template']}/preview", {"dataset": parts["dataset"], "rows": [1]}
    )
    assert preview["rows"][0]["user"] == f"{SHOWN}!"

    job = "/jobs/" + api.post("/jobs", {**parts, "tolerated_failure_rate": 1}, 201)["id"]
    work()
    record = api.ask("GET", f"{job}/records/1").content.decode()
    assert f'"input":{ROW}' in record
    assert SHOWN in api.get(f"{job}/records/1")["prompt"]["user"]
    for path in (job + "/records/1/", dataset + "/"):
        page = unescape(cast.client(cast.alice).get(path).content.decode())
        assert all(
            shown in page
            for shown in ("2.50", "1e5", "1.0", "123456789012345678901234567890", "[-0,1.10]")
        )

    simulator.set_faults({})
    body = b'{"edits": {"1": {"text": "mended", "price": 3.00, "in": {"list": [1E2]}}}}'
    assert api.ask("POST", f"{job}/replay", body).status_code == 201
    work()
    edited = ROW.replace("plain", "mended").replace("2.50", "3.00")
    edited = edited.replace('{"list":[-0,1.10]}', '{"list":[1E2]}')
    (attempt, _) = api.get(f"{job}/records/1")["attempts"]
    assert "mended 3.00 1e5 1.0" in attempt["request"]
    line = api.download(f"{job}/results").decode()
    assert line.startswith(edited.removesuffix("}") + ",")
    (cells,) = csv.DictReader(io.StringIO(api.download(f"{job}/results?format=csv").decode()))
    (row,) = pq.read_table(io.BytesIO(api.download(f"{job}/results?format=parquet"))).to_pylist()
    for name, value in (
        ("price", "3.00"),
        ("rate", "1e5"),
        ("one", "1.0"),
        ("in", '{"list":[1E2]}'),
    ):
        assert cells[name] == row[name] == value


def test_a_name_that_stands_twice_in_a_row_is_told_by_its_line(api: Caller) -> None:
    content = '{"a": 1}\n{"a": 1, "b": {"c": 1, "c": 2}}\n'
    refused = api.upload(content, filename="a.jsonl")["id"]
    kept = api.upload(content, filename="a.jsonl", bad_rows="set_aside")["id"]
    work()
    for made, status in ((refused, "failed"), (kept, "ready")):
        answer = api.get(f"/datasets/{made}")
        assert answer["status"] == status
        assert answer["errors"][0] == {
            "row": 2, "message": "The name “c” stands twice in one object. Rename or remove one.",
        }  # fmt: skip
