"""A job's results as a file, streamed in bounded memory: one line a row, each row once.

Columns: those of the input, those of the output, then provenance. The keys of an output object become
columns of their own name, or `output.<name>` where the input has that name already; without a schema
the answer is one column `output`. Provenance columns begin with an underscore.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import QuerySet

from jobs.models import DatasetRow, Job, Record, RecordStatus, Replay, RowEdit
from jobs.money import usd_string

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
    "_error", "_replay",
)  # fmt: skip
CHUNK = 2_000
# A row group holds so many rows in memory; readers of the file skip by them.
PARQUET_ROWS = 20_000
_RISKY = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Columns:
    """The file's header. `output` maps a key of the answer to its column."""

    input: list[str]
    output: dict[str, str]

    @property
    def names(self) -> list[str]:
        return [*self.input, *self.output.values(), *PROVENANCE]


def export_columns(job: Job) -> Columns:
    """The columns of a job's export: the same from its first minute to its last."""
    taken = [column["name"] for column in job.dataset.columns]
    versions = [job.template_version.output_schema]
    versions += Replay.objects.filter(job=job, template_version__isnull=False).values_list(
        "template_version__output_schema", flat=True
    )
    keys: dict[str, None] = {}
    for schema in versions:
        # None: the answer is a text, in one column.
        keys.update(dict.fromkeys(schema["properties"] if schema else ["output"]))
    names: dict[str, str] = {}
    for key in keys:
        name = key
        while name in taken or name in PROVENANCE or name in names.values():
            name = f"output.{name}"
        names[key] = name
    return Columns(taken, names)


def results_stream(job: Job, form: Format, include: Include) -> Iterator[bytes]:
    """The file in pieces. While the job runs it holds what is settled so far."""
    columns = export_columns(job)
    lines = _lines(job, columns, include)
    if form == "jsonl":
        return _jsonl(lines)
    if form == "csv":
        return _csv(lines, columns)
    return _parquet(lines, columns)


def _records(job: Job, include: Include) -> QuerySet[Record]:
    records = Record.objects.filter(job_id=job.pk)
    if include == "succeeded":
        return records.filter(status=RecordStatus.SUCCEEDED)
    if include == "failed":
        return records.filter(failure_class__isnull=False, status=RecordStatus.FAILED)
    return records


def _lines(job: Job, columns: Columns, include: Include) -> Iterator[list[dict[str, Any]]]:
    """Chunks of rows, by walking the key: no cursor is held open while a slow client reads."""
    replays = {
        replay.pk: replay
        for replay in Replay.objects.filter(job=job).select_related("template_version")
    }
    edited = RowEdit.objects.filter(job=job).exists()
    last = 0
    while True:
        records = list(_records(job, include).filter(n__gt=last).order_by("n")[:CHUNK])
        if not records:
            return
        numbers = [record.n for record in records]
        inputs = _inputs(job, numbers, edited)
        yield [_line(job, columns, record, inputs[record.n], replays) for record in records]
        last = numbers[-1]


def _inputs(job: Job, numbers: Sequence[int], edited: bool) -> dict[int, str]:
    inputs = dict(
        DatasetRow.objects.filter(
            dataset_id=job.dataset_id, n__gte=numbers[0], n__lte=numbers[-1]
        ).values_list("n", "data")
        if numbers[-1] - numbers[0] < 4 * len(numbers)
        else DatasetRow.objects.filter(dataset_id=job.dataset_id, n__in=list(numbers)).values_list(
            "n", "data"
        )
    )
    if edited:
        inputs.update(
            RowEdit.objects.filter(job=job, n__in=list(numbers))
            .order_by("id")
            .values_list("n", "data")
        )
    return inputs


def _line(
    job: Job, columns: Columns, record: Record, data: str, replays: dict[int, Replay]
) -> dict[str, Any]:
    values = orjson.loads(data)
    line: dict[str, Any] = {name: values.get(name) for name in columns.input}
    replay = replays.get(record.replay_id) if record.replay_id else None
    version = (replay and replay.template_version) or job.template_version
    line |= _answer(columns, record, structured=version.output_schema is not None)
    failed = record.status == RecordStatus.FAILED
    line |= {
        "_row": record.n,
        "_status": RecordStatus(record.status).label,
        "_model": record.model,
        "_template_version": version.version,
        "_attempts": record.calls,
        "_cost": usd_string(record.cost),
        "_finished_at": _iso(record.finished_at),
        "_error": f"{record.failure_class}: {record.message}" if failed else None,
        "_replay": replay.public_id if replay else None,
    }
    return line


def _answer(columns: Columns, record: Record, *, structured: bool) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(columns.output.values())
    if record.status != RecordStatus.SUCCEEDED or record.output is None:
        return found
    if structured:
        answer = orjson.loads(record.output)  # was validated before it was stored
        for key, name in columns.output.items():
            found[name] = answer.get(key)
    else:
        found[columns.output["output"]] = record.output
    return found


def _iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


# --- formats ------------------------------------------------------------------------------------
def _jsonl(chunks: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    for chunk in chunks:
        yield b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in chunk)


def _csv(chunks: Iterator[list[dict[str, Any]]], columns: Columns) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([_harmless(name) for name in columns.names])
    # Excel takes a file without the mark for the local code page.
    yield b"\xef\xbb\xbf" + buffer.getvalue().encode()
    for chunk in chunks:
        buffer.seek(0)
        buffer.truncate()
        writer.writerows([_cell(line[name]) for name in columns.names] for line in chunk)
        yield buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str):
        return _harmless(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return _harmless(orjson.dumps(value).decode())


def _harmless(text: str) -> str:
    """A cell that a spreadsheet would run as a formula gets a quote in front, as OWASP advises."""
    return f"'{text}" if text.startswith(_RISKY) else text


_INTEGERS = frozenset({"_row", "_template_version", "_attempts"})


def _parquet(chunks: Iterator[list[dict[str, Any]]], columns: Columns) -> Iterator[bytes]:
    """All columns are strings (JSON text for what is no text) but for the counts: a column's type
    must not depend on which rows are there yet."""
    schema = pa.schema(
        [
            (name, pa.int64() if name in _INTEGERS else pa.string())
            for name in dict.fromkeys(columns.names)
        ]
    )
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        for chunk in chunks:
            rows += chunk
            if len(rows) >= PARQUET_ROWS:
                writer.write_table(_table(rows, schema))
                rows = []
                yield sink.take()
        if rows:
            writer.write_table(_table(rows, schema))
    yield sink.take()


def _table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    arrays = []
    for column in schema:
        values = [row[column.name] for row in rows]
        if column.name not in _INTEGERS:
            values = [None if value is None else _plain(value) for value in values]
        arrays.append(pa.array(values, column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


class _Sink(io.RawIOBase):
    """A file that is only written to, and emptied by whoever sends it on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data
