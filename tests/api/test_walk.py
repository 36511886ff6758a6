"""The whole life of a job, once, through the API alone."""

import csv
import io
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from tests.api.caller import MODEL, SCHEMA, Caller, work
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = 40


def tickets() -> str:
    lines = [f"{n:04d},{'refuse me' if n in (3, 17) else 'please sort'} {n}" for n in range(1, 41)]
    return "\n".join(["id,text", *lines, ""])


def test_it_goes_from_a_file_to_results_that_are_paid_for(
    api: Caller, simulator: SimulatorProcess
) -> None:
    # A file becomes a dataset.
    made = api.upload(tickets(), name="Tickets")
    assert (made["name"], made["status"]) == ("Tickets", "ingesting")
    work()
    dataset = api.get(f"/datasets/{made['id']}")
    assert (dataset["status"], dataset["rows"], dataset["set_aside"]) == ("ready", ROWS, 0)
    assert [column["name"] for column in dataset["columns"]] == ["id", "text"]

    # A template, and what the model would see of it.
    template = api.template(output_schema=SCHEMA)
    preview = api.post(
        f"/templates/{template}/preview", {"dataset": dataset["id"], "rows": [1, 99]}
    )
    first, absent = preview["rows"]
    assert (first["user"], first["error"]) == ("Sort: please sort 1", None)
    assert "rows 1 to 40" in absent["error"]

    # A connection, tried with a real call; a price.
    connection = api.connection(simulator.url)
    tested = api.post(f"/connections/{connection}/test", {"model": MODEL})
    assert tested["ok"], tested
    api.price(connection)
    simulator.reset()

    # The job runs; the provider refuses two rows.
    simulator.set_faults({"refusal": {"share": 1.0, "match": "refuse me"}})
    job = api.post(
        "/jobs",
        {
            "dataset": dataset["id"],
            "template": template,
            "connection": connection,
            "model": MODEL,
            "mode": "realtime",
            "parameters": {"max_tokens": 200},
            "tags": {"batch": "first"},
        },
        201,
    )
    assert (job["status"], job["counts"]["total"]) == ("queued", ROWS)
    work()
    path = f"/jobs/{job['id']}"
    job = api.get(path)
    assert job["status"] == "completed_with_failures"
    assert job["counts"] == {
        "pending": 0, "running": 0, "succeeded": 38, "failed": 2, "cancelled": 0, "total": 40,
    }  # fmt: skip
    assert Decimal(job["wasted_cost"]) > 0

    # What failed, by cause and by row, with every attempt.
    (group,) = api.get(f"{path}/failures")["items"]
    assert (group["failure_class"], group["count"], group["example_rows"]) == (
        "refusal",
        2,
        [3, 17],
    )
    assert group["suggestion"]
    failed = api.items(f"{path}/records?status=failed&failure_class=refusal")
    assert [record["row"] for record in failed] == [3, 17]
    record = api.get(f"{path}/records/3")
    (attempt,) = record["attempts"]
    assert "refuse me" in attempt["request"]
    assert attempt["answer"]
    assert attempt["usage"]["input_tokens"] > 0

    # One is sent again with its row mended, the other as it was once the provider will have it.
    replay = api.post(f"{path}/replay", {"edits": {"3": {"text": "please sort after all"}}}, 201)
    assert replay["records"] == 1
    work()
    assert api.get(path)["counts"]["failed"] == 1
    simulator.set_faults({})
    assert api.post(f"{path}/replay", {"fingerprint": group["fingerprint"]}, 201)["records"] == 1
    work()
    job = api.get(path)
    assert job["status"] == "completed"
    assert (job["counts"]["succeeded"], job["attempts"]) == (ROWS, ROWS + 2)

    # The same results in three formats, each row once.
    lines = [json.loads(line) for line in api.download(f"{path}/results").splitlines()]
    assert [line["id"] for line in lines] == [f"{n:04d}" for n in range(1, 41)]
    assert lines[2]["text"] == "please sort after all"
    assert {line["_status"] for line in lines} == {"succeeded"}
    assert sum(line["_attempts"] for line in lines) == ROWS + 2
    assert sum(Decimal(line["_cost"]) for line in lines) == Decimal(job["cost"])
    table = csv.DictReader(io.StringIO(api.download(f"{path}/results?format=csv").decode()))
    parquet = pq.read_table(io.BytesIO(api.download(f"{path}/results?format=parquet")))
    for line, cells, row in zip(lines, table, parquet.to_pylist(), strict=True):
        assert cells["label"] == row["label"] == line["label"]
        assert cells["urgent"] == row["urgent"] == json.dumps(line["urgent"])
        assert (cells["_cost"], row["_cost"]) == (line["_cost"], line["_cost"])

    # The money: job, roll-ups and the provider's own count agree.
    stats = simulator.stats()["models"][MODEL]
    assert job["usage"]["input_tokens"] == stats["input_tokens"]
    assert job["usage"]["output_tokens"] == stats["output_tokens"]
    cost = Decimal("0.15") * stats["input_tokens"] + Decimal("0.60") * stats["output_tokens"]
    assert Decimal(job["cost"]) == cost / 1_000_000
    by_job = {row["key"]: row for row in api.get("/costs?group_by=job")["rows"]}
    assert by_job[job["id"]]["cost"] == job["cost"]
    assert by_job[job["id"]]["wasted_cost"] == job["wasted_cost"]
