"""The statements that write a batch of settled calls: records, due times, lines of the ledger.

All run inside the caller's transaction, and write what they are given; who may write is decided before.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from jobs.engine.book import in_doubt
from jobs.engine.dialect import Dialect, Writer
from jobs.engine.records import Settlement
from jobs.models import DueReason, RecordStatus

_RECORD_COLUMNS = [
    ("status", "smallint"),
    ("tries", "smallint"),
    ("failure_class", "text"),
    ("fingerprint", "text"),
    ("message", "text"),
    ("output", "text"),
    ("model", "text"),
    ("cost", "bigint"),
    ("finished_at", "timestamptz"),
]
_ATTEMPT_COLUMNS = [
    ("job_id", "bigint"),
    ("n", "int"),
    ("number", "int"),
    ("outcome", "text"),
    ("purpose", "text"),
    ("generation", "smallint"),
    ("replay_id", "bigint"),
    ("template_version_id", "bigint"),
    ("connection_id", "bigint"),
    ("model", "text"),
    ("model_returned", "text"),
    ("worker", "text"),
    ("day", "date"),
    ("started_at", "timestamptz"),
    ("waited_ms", "int"),
    ("took_ms", "int"),
    ("http_status", "smallint"),
    ("provider_request_id", "text"),
    ("failure_class", "text"),
    ("message", "text"),
    ("retry_after_ms", "int"),
    ("input_tokens", "int"),
    ("cached_input_tokens", "int"),
    ("cache_write_tokens", "int"),
    ("cache_write_1h_tokens", "int"),
    ("output_tokens", "int"),
    ("reasoning_tokens", "int"),
    ("usage_estimated", "boolean"),
    ("usage", "text"),
    ("price_id", "bigint"),
    ("rates", "text"),
    ("cost", "bigint"),
    ("waste", "text"),
    ("request_key", "uuid"),
    ("request", "text"),
    ("answer", "text"),
]


def write_records(
    dialect: Dialect,
    cursor: Writer,
    job_id: int,
    settlements: Sequence[Settlement],
    now: datetime,
) -> None:
    moment = dialect.time(now)
    rows = []
    replaced = []
    for s in settlements:
        if s.stands:
            if s.status is not RecordStatus.SUCCEEDED:
                _keep_result(cursor, s)
                continue
            replaced.append(s.n)
        failed = s.status is RecordStatus.FAILED
        final = failed or s.status is RecordStatus.SUCCEEDED
        rows.append(
            (
                int(s.status),
                1 if s.uses_try else 0,
                s.failure_class if failed else None,
                s.fingerprint if failed else None,
                s.message if failed else None,
                s.output if s.status is RecordStatus.SUCCEEDED else None,
                s.model or None,
                _confirmed_cost(s),
                moment if final else None,
                job_id,
                s.n,
            )
        )
    if rows:
        _update_records(dialect, cursor, rows)
    if replaced:
        condition, parameters = dialect.in_list("n", replaced)
        cursor.execute(
            "UPDATE jobs_record SET kept_from = NULL, source_job_id = NULL, source_n = NULL "
            f"WHERE job_id = %s AND {condition}",
            [job_id, *parameters],
        )


def _keep_result(cursor: Writer, s: Settlement) -> None:
    """A replay's call that brought no result: what the record had stays, and so, in the end, does its
    success."""
    failed = s.status is RecordStatus.FAILED
    cursor.execute(
        "UPDATE jobs_record SET status = %s, tries = tries + %s, message = %s, cost = cost + %s, "
        "lease = NULL, reserved = 0 WHERE job_id = %s AND n = %s",
        [
            int(RecordStatus.SUCCEEDED if failed else s.status),
            1 if s.uses_try else 0,
            s.message if failed else None,
            _confirmed_cost(s),
            s.job_id,
            s.n,
        ],
    )


def _confirmed_cost(s: Settlement) -> int:
    return (s.attempt.cost or 0) if s.attempt and not in_doubt(s.attempt) else 0


def _update_records(dialect: Dialect, cursor: Writer, rows: list[tuple[Any, ...]]) -> None:
    """`tries` and `cost` are added to, the rest is set; the lease and the reservation go."""
    if dialect.postgresql:
        names = [name for name, _ in (*_RECORD_COLUMNS, ("job_id", ""), ("n", ""))]
        cursor.execute(
            "UPDATE jobs_record t SET status = v.status, tries = t.tries + v.tries, "
            "failure_class = v.failure_class, fingerprint = v.fingerprint, message = v.message, "
            "output = v.output, model = v.model, cost = t.cost + v.cost, "
            "finished_at = v.finished_at, lease = NULL, reserved = 0 "
            "FROM json_to_recordset(%s::json) AS v(status smallint, tries smallint, "
            "failure_class text, fingerprint text, message text, output text, model text, "
            "cost bigint, finished_at timestamptz, job_id bigint, n int) "
            "WHERE t.job_id = v.job_id AND t.n = v.n",
            [orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()],
        )
    else:
        cursor.executemany(
            "UPDATE jobs_record SET status = %s, tries = tries + %s, failure_class = %s, "
            "fingerprint = %s, message = %s, output = %s, model = %s, cost = cost + %s, "
            "finished_at = %s, lease = NULL, reserved = 0 WHERE job_id = %s AND n = %s",
            rows,
        )


def write_due(
    dialect: Dialect,
    cursor: Writer,
    job_id: int,
    settlements: Sequence[Settlement],
    now: datetime,
) -> None:
    rows = [
        (job_id, s.n, dialect.time(s.not_before or now), (s.due or DueReason.RETURNED).value)
        for s in settlements
        if s.status is RecordStatus.PENDING
    ]
    if rows:
        put_due(dialect, cursor, rows)


def put_due(dialect: Dialect, cursor: Writer, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of (job_id, n, not_before, reason); what is there already is replaced."""
    dialect.insert_rows(
        cursor,
        "jobs_due",
        [("job_id", "bigint"), ("n", "int"), ("not_before", "timestamptz"), ("reason", "text")],
        rows,
        "ON CONFLICT (job_id, n) DO UPDATE SET not_before = excluded.not_before, "
        "reason = excluded.reason",
    )


def _attempt_row(dialect: Dialect, worker: str, s: Settlement) -> tuple[Any, ...]:
    a = s.attempt
    assert a is not None  # the callers filter
    u = a.usage
    return (
        s.job_id, s.n, s.number, a.outcome.value, a.purpose.value, a.generation, a.replay_id,
        a.template_version_id, a.connection_id, a.model, a.model_returned, worker,
        a.day.isoformat(), dialect.time(a.started_at), a.waited_ms, a.took_ms, a.http_status,
        a.provider_request_id, a.failure_class, a.message, a.retry_after_ms, u.input_tokens,
        u.cached_input_tokens, u.cache_write_tokens, u.cache_write_1h_tokens, u.output_tokens,
        u.reasoning_tokens, u.estimated, u.raw, a.price_id, a.rates.text if a.rates else "",
        a.cost, a.waste.value if a.waste else "",
        a.request_key, a.request, a.answer,
    )  # fmt: skip


def write_attempts(
    dialect: Dialect, cursor: Writer, worker: str, settlements: Sequence[Settlement]
) -> None:
    rows = [_attempt_row(dialect, worker, s) for s in settlements if s.attempt is not None]
    if rows:
        dialect.insert_rows(cursor, "jobs_attempt", _ATTEMPT_COLUMNS, rows)
