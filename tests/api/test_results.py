"""/jobs/{id}/results: the columns, the values, what is in it and what it is called"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from jobs.control.export import MAX_CHUNK, PROVENANCE, results_stream
from jobs.models import Attempt, Job, JobStatus, Record, RecordStatus, Replay, RowEdit
from tests.api.caller import Caller
from tests.cast import Cast
from tests.engine.build import make_job

pytestmark = pytest.mark.django_db
AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LABEL = {"type": "object", "properties": {"label": {"type": "string"}}}


def ended(cast: Cast, rows: Sequence[Mapping[str, Any]], answers: Sequence[Any], **job: Any) -> Job:
    """A finished job over the rows. An answer is an output, None for a failure, or "pending"."""
    made = make_job(rows, team=cast.team, **job)
    records, attempts = [], []
    for n, answer in enumerate(answers, 1):
        record = Record(job=made, n=n, calls=1, cost=3 * 10**8, finished_at=AT, model="sim-1")
        if answer == "pending":
            record = Record(job=made, n=n)
        elif answer is None:
            record.status, record.failure_class = RecordStatus.FAILED, "refusal"
            record.message, record.model = "I would rather not", None
        else:
            text = isinstance(answer, str)
            record.status = RecordStatus.SUCCEEDED
            record.output = answer if text else orjson.dumps(answer).decode()
        records.append(record)
        if answer != "pending":
            attempts.append(
                Attempt(
                    job_id=made.pk, n=n, number=1, outcome="accepted", purpose="first", worker="w",
                    template_version_id=1, connection_id=1, model="m", day=AT.date(),
                    started_at=AT, cost=3 * 10**8,
                )
            )  # fmt: skip
    Record.objects.bulk_create(records)
    Attempt.objects.bulk_create(attempts)
    open_ = "pending" in answers
    made.status = JobStatus.RUNNING if open_ else JobStatus.COMPLETED_WITH_FAILURES
    made.expanded = len(answers)
    made.save()
    return made


def lines(api: Caller, job: Job, include: str = "all") -> list[dict[str, Any]]:
    found = api.download(f"/jobs/{job.public_id}/results?include={include}")
    return [json.loads(line) for line in found.splitlines()]


def cells(api: Caller, job: Job) -> list[list[str]]:
    found = api.download(f"/jobs/{job.public_id}/results?format=csv")
    return list(csv.reader(io.StringIO(found.decode(), newline="")))


def table(api: Caller, job: Job) -> list[dict[str, Any]]:
    found = api.download(f"/jobs/{job.public_id}/results?format=parquet")
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(found)).to_pylist()
    return rows


def test_it_has_input_output_and_provenance(api: Caller, cast: Cast) -> None:
    rows = [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]
    job = ended(cast, rows, [{"label": "x", "score": 5}, None])
    good, bad = lines(api, job)
    assert list(good) == ["id", "text", "label", "score", *PROVENANCE]
    assert good == {
        "id": "1", "text": "a", "label": "x", "score": 5, "_row": 1, "_status": "succeeded",
        "_model": "sim-1", "_template_version": 1, "_attempts": 1, "_cost": "0.0003",
        "_finished_at": "2026-05-01T12:00:00Z", "_error": None, "_replay": None,
        "_source_job": None, "_source_row": None,
    }  # fmt: skip
    assert (bad["label"], bad["score"], bad["_status"]) == (None, None, "failed")
    assert bad["_error"] == "refusal: I would rather not"
    assert cells(api, job)[:2] == [
        list(good),
        ["1", "a", "x", "5", "1", "succeeded", "sim-1", "1", "1", "0.0003",
         "2026-05-01T12:00:00Z", "", "", "", ""],
    ]  # fmt: skip
    assert table(api, job)[0] == {**good, "score": "5"}


def test_it_has_the_failed_the_succeeded_or_all(api: Caller, cast: Cast) -> None:
    job = ended(cast, [{"text": t} for t in "abcd"], [{"label": 1}, None, "pending", {"label": 2}])
    by = {what: [line["_row"] for line in lines(api, job, what)] for what in ("all", "failed")}
    assert by == {"all": [1, 2, 3, 4], "failed": [2]}
    assert [line["_row"] for line in lines(api, job, "succeeded")] == [1, 4]
    waiting = lines(api, job)[2]
    assert (waiting["_status"], waiting["_attempts"], waiting["_finished_at"]) == (
        "pending", 0, None,
    )  # fmt: skip


def test_it_is_called_partial_until_the_job_has_ended(api: Caller, cast: Cast) -> None:
    job = ended(cast, [{"text": "a"}], ["pending"])
    path = f"/jobs/{job.public_id}/results?format=csv&include=failed"
    answer = api.ask("GET", path)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert f'filename="{job.public_id}-failed-partial.csv"' in answer["Content-Disposition"]
    Job.objects.update(status=JobStatus.COMPLETED)
    assert "partial" not in api.ask("GET", path)["Content-Disposition"]
    for query, place in (("format=xls", "format"), ("include=some", "include")):
        answer = api.get(f"/jobs/{job.public_id}/results?{query}", 422)
        assert answer["errors"][0]["loc"] == [place]


def test_it_keeps_names_apart_that_collide(api: Caller, cast: Cast) -> None:
    names = ("label", "output.label", "_status", "_cost", "input._cost", "output")
    answer = {"label": "o", "_status": "odd", "_row": "r", "output": "x"}
    schema = {"type": "object", "properties": {key: {"type": "string"} for key in answer}}
    job = ended(cast, [{name: f"i {name}" for name in names}], [answer], schema=schema)
    expected = {
        "label": "i label", "output.label": "i output.label", "input._status": "i _status",
        "input.input._cost": "i _cost", "input._cost": "i input._cost", "output": "i output",
        "output.output.label": "o", "output._status": "odd", "output._row": "r",
        "output.output": "x", "_status": "succeeded", "_cost": "0.0003", "_row": 1,
    }  # fmt: skip
    (line,) = lines(api, job)
    assert {name: line[name] for name in expected} == expected
    assert len(line) == len(names) + len(answer) + len(PROVENANCE)
    header, row = cells(api, job)
    assert len(set(header)) == len(header)
    assert dict(zip(header, row, strict=True))["output._status"] == "odd"
    assert table(api, job) == [line]


def test_it_leaves_values_as_they_are(api: Caller, cast: Cast) -> None:
    values = {
        "digits": "007", "number": "1e5", "empty": "", "spaces": "  x  ",
        "letters": "größe 漢字 🦥 \u202e",
        "lines": 'two\r\nlines, "quoted"\n', "whole": 9_007_199_254_740_993, "fraction": 0.1,
        "true": True, "null": None, "nested": {"a": [1, {"b": None}]},
    }  # fmt: skip
    job = ended(cast, [values, {"digits": "1"}], ['plain\n"text"', "x"], schema=None)
    first, second = lines(api, job)
    assert {name: first[name] for name in values} == values
    assert first["output"] == 'plain\n"text"'
    assert second["empty"] is None  # absent there
    header, row, other = cells(api, job)
    found = dict(zip(header, row, strict=True))
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    assert {name: found[name] for name in texts} == texts
    assert found["whole"] == "9007199254740993"
    assert (found["fraction"], found["true"], found["null"]) == ("0.1", "true", "")
    assert json.loads(found["nested"]) == values["nested"]
    rows = table(api, job)
    assert {name: rows[0][name] for name in texts} == texts
    assert (rows[0]["null"], rows[1]["empty"]) == (None, None)
    assert json.loads(rows[0]["nested"]) == values["nested"]
    # An empty text and a missing one differ in CSV as well, for readers that look.
    raw = api.download(f"/jobs/{job.public_id}/results?format=csv").decode()
    assert other[header.index("empty")] == found["empty"] == ""
    assert raw.count(',"",') == 1


@pytest.mark.parametrize("risky", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "=cmd|'/c calc'!A1"])
def test_it_lets_no_cell_run_in_a_spreadsheet(api: Caller, cast: Cast, risky: str) -> None:
    schema = {"type": "object", "properties": {risky: {"type": "string"}}}
    job = ended(
        cast, [{risky: risky, "n": -5}, {risky: "b", "n": 1}], [{risky: risky}, None], schema=schema
    )
    Record.objects.filter(job=job, n=2).update(message=risky, failure_class="refusal")
    for row in cells(api, job):
        for cell in row:
            assert not cell.startswith(tuple("=+-@\t\r")) or cell == "-5", row
    header, row, _ = cells(api, job)
    assert header.count(f"'{risky}") == 1
    assert row[header.index(f"'{risky}")] == f"'{risky}"
    assert row[header.index("n")] == "-5"  # a number is no formula
    # Formats for programs keep it.
    assert lines(api, job)[0][risky] == risky


def test_it_marks_a_csv_for_excel_only_where_people_take_it(cast: Cast) -> None:
    job = ended(cast, [{"text": "ä"}], [{"label": "x"}])
    mark = b"\xef\xbb\xbf"
    assert b"".join(results_stream(job, "csv", "all", for_people=True)).startswith(mark + b"text,")
    assert b"".join(results_stream(job, "csv", "all")).startswith(b"text,")


def test_it_has_each_row_once_with_its_lineage(api: Caller, cast: Cast) -> None:
    job = ended(cast, [{"text": t} for t in "abc"], [{"label": "x"}, {"label": "y"}, None])
    template = job.template_version.template
    version = template.versions.create(
        version=2, system="", user="{{ text }}",
        output_schema={"type": "object", "properties": {"label": {}, "more": {}}},
    )  # fmt: skip
    replay = Replay.objects.create(job=job, key="k", template_version=version)
    RowEdit.objects.create(job=job, n=2, replay=replay, data='{"text": "edited"}')
    Record.objects.filter(job=job, n=2).update(
        replay=replay, output='{"label": "z", "more": [1]}', calls=2
    )
    Attempt.objects.filter(job_id=job.pk, n=2).update(outcome="failed")
    again = Attempt.objects.get(job_id=job.pk, n=2)
    Attempt.objects.bulk_create([again.__class__(**{**_columns(again), "number": 2})])
    found = {line["_row"]: line for line in lines(api, job)}
    assert sorted(found) == [1, 2, 3]
    mended, plain = found[2], found[1]
    assert (mended["text"], mended["label"], mended["more"]) == ("edited", "z", [1])
    assert (mended["_template_version"], mended["_attempts"]) == (2, 2)
    assert mended["_replay"] == replay.public_id
    assert (plain["text"], plain["more"], plain["_template_version"]) == ("a", None, 1)
    assert plain["_replay"] is None


def _columns(attempt: Attempt) -> dict[str, Any]:
    return {f.attname: getattr(attempt, f.attname) for f in attempt._meta.concrete_fields}


def test_it_shows_an_unknown_cost_as_none(api: Caller, cast: Cast) -> None:
    job = ended(cast, [{"text": "a"}], [{"label": "x"}])
    Attempt.objects.update(cost=None)
    Record.objects.update(cost=0)
    assert lines(api, job)[0]["_cost"] is None
    # Nor is it known by another call that was charged nothing.
    told = Attempt.objects.get()
    Attempt.objects.create(**_columns(told) | {"number": 2, "cost": 0})
    assert lines(api, job)[0]["_cost"] is None
    assert api.get(f"/jobs/{job.public_id}/records/1")["cost"] is None
    Record.objects.update(cost=10**12)
    assert lines(api, job)[0]["_cost"] == "1.00"


def test_it_is_the_same_file_each_time(api: Caller, cast: Cast) -> None:
    job = ended(cast, [{"text": str(n)} for n in range(300)], [{"label": "x"}] * 300)
    for form in ("jsonl", "csv", "parquet"):
        path = f"/jobs/{job.public_id}/results?format={form}"
        assert api.download(path) == api.download(path)


def test_it_streams_large_rows_few_at_a_time(cast: Cast) -> None:
    """Rows of a megabyte, sixty of them, pass in pieces that are much smaller than all."""
    rows = [{"text": f"{n:03d}" + "x" * 1_000_000} for n in range(60)]
    job = ended(cast, rows, [{"label": "x"}] * 60, schema=LABEL)
    del rows
    seen, sizes = 0, []
    for piece in results_stream(job, "jsonl", "all"):
        seen += piece.count(b"\n")
        sizes.append(len(piece))
    assert seen == 60
    assert len(sizes) >= 3
    assert max(sizes[1:]) < 10_000_000


def test_it_streams_many_rows_some_at_a_time(cast: Cast) -> None:
    count = 5_000
    rows = [{"id": f"{n:06d}"} for n in range(1, count + 1)]
    job = ended(cast, rows, [{"label": "late", "score": 3}] * count)
    pieces = [piece.splitlines() for piece in results_stream(job, "jsonl", "all")]
    assert [json.loads(line)["_row"] for piece in pieces for line in piece] == [
        *range(1, count + 1)
    ]
    assert max(map(len, pieces)) <= MAX_CHUNK < count
