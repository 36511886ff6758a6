"""A job's results as a file, streamed in bounded memory: one line a row, each row once.

Columns: those of the input, those of the output, then provenance. The keys of an output object (as its
schema names them) become columns of their own; without a schema the answer is one column `output`.
Where names collide provenance keeps its own, an input column becomes `input.<name>` and an output
column `output.<name>`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from django.db.models import Count, QuerySet

from jobs.control.export_formats import csv_file, jsonl_file
from jobs.control.lineage import Sent, edited_rows, public_ids, sent_by_replay
from jobs.costs.known import known
from jobs.models import Attempt, DatasetRow, Job, Record, RecordStatus, RowEdit
from jobs.money import usd_string
from jobs.written import read_row

Format = Literal["jsonl", "csv", "parquet"]
Include = Literal["succeeded", "failed", "all"]
FORMATS: dict[str, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
INCLUDES = ("succeeded", "failed", "all")
PROVENANCE = (
    "_row", "_status", "_model", "_template_version", "_attempts", "_cost", "_finished_at",
    "_error", "_replay", "_source_job", "_source_row",
)  # fmt: skip
# Rows a chunk, at most, and the bytes of input and output it is made to hold. Rows of a megabyte are
# taken few at a time.
MAX_CHUNK, FIRST_CHUNK = 2_000, 50
CHUNK_BYTES = 4 * 1024 * 1024
_RECORD = ("n", "status", "model", "cost", "finished_at", "failure_class", "message", "output",
           "replay_id", "kept_from", "source_job_id", "source_n")  # fmt: skip
# Plain numbers for the loop over a million rows.
_LABELS = {status.value: status.label for status in RecordStatus}
_SUCCEEDED, _FAILED = RecordStatus.SUCCEEDED.value, RecordStatus.FAILED.value

type Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """The file's header: `input` and `output` map what a thing is called there to its column."""

    input: dict[str, str]
    output: dict[str, str]

    @property
    def names(self) -> list[str]:
        return [*self.input.values(), *self.output.values(), *PROVENANCE]


def export_columns(job: Job) -> Columns:
    """The columns of a job's export: the same from its first minute to its last replay's start."""
    columns = [column["name"] for column in job.dataset.columns]
    taken = {*PROVENANCE, *columns}
    inputs = {name: name for name in columns}
    for name in columns:
        if name in PROVENANCE:
            inputs[name] = _free(name, "input", taken)
    outputs: dict[str, str] = {}
    for sent in sent_by_replay(job).values():
        schema = sent.version.output_schema
        for key in schema["properties"] if schema else ("output",):
            if key not in outputs:
                outputs[key] = _free(key, "output", taken) if key in taken else key
                taken.add(outputs[key])
    return Columns(inputs, outputs)


def _free(name: str, prefix: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{prefix}.{name}"
    taken.add(name)
    return name


def results_stream(
    job: Job, form: Format, include: Include, *, for_people: bool = False
) -> Iterator[bytes]:
    """The file in pieces. While the job runs it holds what is settled so far; a row that succeeded and
    is sent again is in it with the result it has, until another is accepted.

    `for_people`: a CSV begins with the mark without which Excel reads it in the local code page;
    programs would take the mark for a part of the first column's name.
    """
    columns = export_columns(job)
    lines = _lines(job, columns, include)
    if form == "jsonl":
        return jsonl_file(lines)
    if form == "csv":
        return csv_file(lines, columns.names, mark=for_people)
    from jobs.control.export_parquet import parquet_file  # 40 MB, for those who ask for it

    return parquet_file(lines, columns.names)


def _records(job: Job, include: Include) -> QuerySet[Record]:
    records = Record.objects.filter(job_id=job.pk).order_by("n")
    if include == "succeeded":
        return records.filter(output__isnull=False)
    if include == "failed":
        return records.filter(failure_class__isnull=False, status=RecordStatus.FAILED)
    return records


def _lines(job: Job, columns: Columns, include: Include) -> Iterator[list[Line]]:
    """Chunks of rows, by walking the key: no cursor is held open while a slow client reads."""
    sent = sent_by_replay(job)
    edited = RowEdit.objects.filter(job=job).exists()
    records = _records(job, include).values_list(*_RECORD)
    jobs: dict[int | None, str] = {job.pk: job.public_id}
    last, size = 0, FIRST_CHUNK
    while chunk := list(records.filter(n__gt=last)[:size]):
        numbers = [record[0] for record in chunk]
        last = numbers[-1]
        if not {record[8] for record in chunk} <= sent.keys():
            sent, edited = sent_by_replay(job), True  # a replay began after this file did
        inputs = _inputs(job, numbers)
        if edited:
            replays = {record[0]: _came_from(record[8], record[9]) for record in chunk}
            inputs |= edited_rows(job, replays, _among(numbers))
        calls = _calls(job, numbers)
        missing = {record[10] for record in chunk if record[10] is not None} - jobs.keys()
        jobs |= public_ids(missing)
        yield [_line(columns, record, inputs[record[0]], calls, sent, jobs) for record in chunk]
        held = sum(map(len, inputs.values())) + sum(len(record[7] or "") for record in chunk)
        size = min(MAX_CHUNK, 2 * size, max(1, size * CHUNK_BYTES // max(1, held)))


def _came_from(replay_id: int | None, kept_from: int | None) -> int | None:
    """As `Record.result_replay_id`, without a record."""
    return replay_id if kept_from is None else kept_from or None


def _among(numbers: Sequence[int]) -> dict[str, Any]:
    """A range where it holds little else than these numbers, else a list of them."""
    if numbers[-1] - numbers[0] < 4 * len(numbers):
        return {"n__gte": numbers[0], "n__lte": numbers[-1]}
    return {"n__in": list(numbers)}


def _inputs(job: Job, numbers: Sequence[int]) -> dict[int, str]:
    rows = DatasetRow.objects.filter(dataset_id=job.dataset_id, **_among(numbers))
    return dict(rows.values_list("n", "data"))


def _calls(job: Job, numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Of each row how many calls the ledger has, and how many of them have a known cost."""
    found = Attempt.objects.filter(job_id=job.pk, **_among(numbers)).values_list("n").order_by()
    return {n: (made, priced) for n, made, priced in found.annotate(Count("number"), Count("cost"))}


def _line(
    columns: Columns,
    record: tuple[Any, ...],
    data: str,
    calls: dict[int, tuple[int, int]],
    sent: dict[int | None, Sent],
    jobs: dict[int | None, str],
) -> Line:
    n, status, model, cost, finished_at, failure_class, message, output, *origin = record
    replay_id, kept, source_job_id, source_n = origin
    given = read_row(data).get
    line: Line = {column: given(name) for name, column in columns.input.items()}
    by = sent[_came_from(replay_id, kept)]
    if output is not None:
        status = _SUCCEEDED  # also where a replay has sent it again, and not brought another yet
        # An answer was validated before it was stored.
        answered = (orjson.loads(output) if by.structured else {"output": output}).get
        for key, name in columns.output.items():
            line[name] = answered(key)
    else:
        line |= dict.fromkeys(columns.output.values())
    made, priced = calls.get(n, (0, 0))
    line["_row"] = n
    line["_status"] = _LABELS[status]
    line["_model"] = model
    line["_template_version"] = by.version.version
    line["_attempts"] = made
    line["_cost"] = usd_string(known(cost, made - priced))
    line["_finished_at"] = finished_at and finished_at.isoformat().replace("+00:00", "Z")
    line["_error"] = f"{failure_class}: {message}" if status == _FAILED else None
    line["_replay"] = by.replay
    line["_source_job"] = jobs.get(source_job_id) if source_job_id is not None else None
    line["_source_row"] = source_n
    return line
