"""Rows that need no call, from before the launch to the file: API and pages tell the same."""

import json

import pytest

from jobs.models import Job, TwinCount
from tests.api.caller import MODEL, Caller, work
from tests.cast import Cast, cast  # noqa: F401
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

# Five texts, each four times.
CSV = "id,text\n" + "".join(f"{n},Parcel {n % 5} is late\n" for n in range(20))


def test_it_tells_whose_answer_a_row_took(api: Caller, cast: Cast) -> None:  # noqa: F811
    page = cast.client(cast.olivia)
    with SimulatorProcess() as simulator:
        parts = api.parts(simulator.url, content=CSV)
        form = {**parts, "rows": "all", "share_duplicates": "on"}
        before = page.post("/jobs/new/estimate/", form).content.decode()
        assert "15 rows repeat another: called once" in before
        quoted = api.post("/jobs/estimate", parts)
        assert (quoted["rows"], quoted["duplicates"], quoted["reusable"]) == (20, 15, None)
        job = api.post("/jobs", parts, 201)
        work()
        first = api.get(f"/jobs/{job['id']}")
        assert simulator.stats()["models"][MODEL]["calls"] == first["attempts"] == 5
        assert (first["status"], first["shared"], first["reused"]) == ("completed", 15, 0)
        again = {**form, "reuse": "on", "rows": "limit", "row_count": "7"}
        told = page.post("/jobs/new/estimate/", again).content.decode()
        assert "2 rows repeat another" in told
        assert "5 rows find an earlier answer" in told
        few = {**parts, "rows": {"limit": 10}}
        # Told from what the five calls cost; five of the ten rows need none.
        quoted = api.post("/jobs/estimate", few)
        assert quoted["cost"]["expected"] == quoted["saved"]
        assert api.post("/jobs/estimate", {**few, "reuse": True})["cost"]["expected"] == "0.00"
        other = api.post("/jobs", {**parts, "reuse": True, "rows": {"limit": 7}}, 201)
        work()
        second = api.get(f"/jobs/{other['id']}")
        # Told anew once it was known that no row needs a call.
        assert Job.objects.get(public_id=other["id"]).estimate["cost"]["expected"] == 0
        assert simulator.stats()["models"][MODEL]["calls"] == 5
    assert (second["attempts"], second["cost"], second["reused"]) == (0, "0.00", 5)
    assert api.get(f"/jobs/{job['id']}/records/1")["source"] is None
    taken = api.get(f"/jobs/{job['id']}/records/6")
    assert taken["source"] == {"job": job["id"], "row": 1}
    assert (taken["attempts"], taken["cost"]) == ([], "0.00")
    items = api.items(f"/jobs/{other['id']}/records")
    assert [item["source"] for item in items][:6] == [
        *({"job": job["id"], "row": n} for n in range(1, 6)), {"job": other["id"], "row": 1},
    ]  # fmt: skip
    file = api.download(f"/jobs/{other['id']}/results?format=jsonl").splitlines()
    lines = [json.loads(line) for line in file]
    assert [(line["_source_job"], line["_source_row"], line["_cost"]) for line in lines] == [
        *((job["id"], n, "0.00") for n in range(1, 6)),
        *((other["id"], n, "0.00") for n in (1, 2)),
    ]
    shown = page.get(f"/jobs/{other['id']}/").content.decode()
    assert "2 rows that repeat another and 5 rows answered in an earlier job" in shown
    record = page.get(f"/jobs/{other['id']}/records/1/").content.decode()
    assert f'<a href="/jobs/{job["id"]}/records/1/">row 1 of an earlier job</a>' in record


def test_a_large_dataset_is_counted_in_the_background(
    api: Caller,
    cast: Cast,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.control.repeats.ROWS_NOW", 3)
    parts = api.parts("http://127.0.0.1:9", content=CSV)
    form = {**parts, "rows": "all", "share_duplicates": "on"}
    page = cast.client(cast.olivia)
    assert "being counted" in page.post("/jobs/new/estimate/", form).content.decode()
    assert "being counted" in page.post("/jobs/new/estimate/", form).content.decode()
    work()
    assert TwinCount.objects.get().duplicates == 15
    assert "15 rows repeat another" in page.post("/jobs/new/estimate/", form).content.decode()
    assert not Job.objects.exists()
