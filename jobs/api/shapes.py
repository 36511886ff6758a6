"""Objects as the API shows them. Money is a decimal string in USD, times are ISO 8601 in UTC."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from jobs.control.quote import Quote
from jobs.control.selectors import Calls, FailureGroup, JobView
from jobs.costs.estimate import Range
from jobs.costs.known import job_money, known
from jobs.costs.prices import ListedPrice, unit_prices
from jobs.costs.pricing import METERS, Rates
from jobs.costs.told import forecast_of, told_of
from jobs.models import (
    Attempt,
    Connection,
    Dataset,
    DatasetStatus,
    Job,
    Record,
    RecordStatus,
    TemplateVersion,
)
from jobs.money import price_to_usd, usd_string


def iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def dataset_shape(dataset: Dataset) -> dict[str, Any]:
    ingesting = dataset.status == DatasetStatus.INGESTING
    return {
        "id": dataset.public_id,
        "name": dataset.name,
        "status": dataset.status,
        "rows": dataset.rows,
        "columns": [
            {
                "name": column["name"],
                "type": column["type"],
                "nulls": column["nulls"],
                "examples": column["examples"],
            }
            for column in dataset.columns
        ],
        "bytes": dataset.bytes,
        "ingested_bytes": dataset.ingest_bytes if ingesting else dataset.bytes,
        "sha256": dataset.sha256,
        "format": dataset.format,
        "encoding": dataset.encoding,
        "delimiter": dataset.delimiter,
        "sheet": dataset.sheet,
        "sheets": dataset.sheets,
        "notices": dataset.notices,
        "set_aside": dataset.set_aside,
        # Rows first; what is said of the file as a whole has none.
        "errors": sorted(dataset.errors, key=lambda error: error["row"] is None),
        "created_at": iso(dataset.created_at),
    }


def template_shape(version: TemplateVersion) -> dict[str, Any]:
    return {
        "id": version.template.public_id,
        "name": version.template.name,
        "version": version.version,
        "kind": version.template.kind,
        "system": version.system,
        "user": version.user,
        "output_schema": version.output_schema,
        "rules": version.rules,
        "defaults": version.defaults,
        "created_at": iso(version.created_at),
    }


def connection_shape(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.public_id,
        "name": connection.name,
        "kind": connection.kind,
        "api": connection.api,
        "base_url": connection.base_url,
        "has_key": bool(connection.key_encrypted),
        "key_last4": connection.key_last4,
        "limits": {
            "rpm": connection.rpm,
            "input_tpm": connection.input_tpm,
            "output_tpm": connection.output_tpm,
            "max_in_flight": connection.max_in_flight,
        },
        "tested_at": iso(connection.tested_at),
        "created_at": iso(connection.created_at),
    }


def _price(pico_per_token: int) -> str:
    return f"{price_to_usd(pico_per_token):f}"


def _share(ppm: int) -> str:
    return f"{Decimal(ppm).scaleb(-6).normalize():f}"


def _rates(rates: Rates | None) -> dict[str, str] | None:
    if rates is None:
        return None
    shape = {meter: _price(getattr(rates, meter)) for meter in METERS}
    return {**shape, "discount": _share(rates.discount_ppm)}


def price_shape(listed: ListedPrice) -> dict[str, Any]:
    """USD per million tokens."""
    price = listed.price
    return {
        "id": price.public_id,
        "connection": price.connection.public_id if price.connection else None,
        "provider": price.provider or None,
        "model": price.model,
        **unit_prices(price),
        "tiers": [
            {"above": tier["start"], **{meter: _price(tier[meter]) for meter in METERS}}
            for tier in price.tiers
        ],
        "state": listed.state,
        "batch_discount": _share(price.batch_discount_ppm),
        "effective_from": iso(price.effective_from),
        "source": price.source,
    }


def range_shape(cost: Range) -> dict[str, str | None]:
    return {name: usd_string(getattr(cost, name)) for name in ("low", "expected", "high")}


def quote_shape(found: Quote) -> dict[str, Any]:
    told, left = found.estimate, found.least_left
    low, high = told.cost_floor, told.cost_bound
    cost = {"low": usd_string(low), "expected": None, "high": usd_string(high)}
    return {
        "rows": told.rows,
        "counted_rows": told.counted_rows,
        "unrenderable_rows": told.unrenderable,
        "input_tokens": told.input_tokens,
        "input_error": round(told.input_error, 4),
        "output_tokens": told.output_tokens,
        "cost": range_shape(told.cost) if told.cost is not None else cost,
        "unknown_price": told.price is None,
        "basis": told.basis,
        "seen_rows": told.seen_rows,
        "duration": found.seconds and dict(zip(("low", "high"), found.seconds, strict=True)),
        "budget_left": usd_string(left.after) if left is not None else None,
        "duplicates": found.repeats.duplicates,
        "reusable": found.repeats.reusable,
        "saved": usd_string(found.saved),
    }


def forecast_shape(job: Job) -> dict[str, Any] | None:
    told, now = told_of(job), forecast_of(job)
    if told is None:
        return None
    return {
        "basis": told.basis,
        "told": range_shape(told.cost),
        "forecast": range_shape(now) if now is not None else None,
    }


def pilot_shape(job: Job) -> dict[str, Any] | None:
    rows = job.selection.get("pilot")
    return {"rows": len(rows), "open": bool(job.pilot_rows)} if rows else None


def job_shape(view: JobView) -> dict[str, Any]:
    job = view.job
    money = job_money(job)
    return {
        "id": job.public_id,
        "name": job.name,
        "status": job.status,
        "status_reason": job.status_reason,
        "status_detail": job.status_detail,
        "dataset": job.dataset.public_id,
        "template": job.template_version.template.public_id,
        "template_version": job.template_version.version,
        "connection": job.connection.public_id,
        "model": job.model,
        "mode": job.mode,
        "pilot": pilot_shape(job),
        "estimate": forecast_shape(job),
        "parameters": job.parameters,
        "rows": {name: n for name, n in job.selection.items() if name != "pilot"},
        "tags": job.tags,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "share_duplicates": job.share_duplicates,
        "reuse": job.reuse,
        "shared": job.shared,
        "reused": job.reused,
        "tolerated_failure_rate": job.tolerated_failure_rate,
        "budget": usd_string(job.budget),
        "max_cost_per_minute": usd_string(job.max_cost_per_minute),
        "counts": view.counts,
        "retrying": view.retrying,
        "waiting_for_rate_limit": view.waiting,
        "waiting_until": iso(view.waiting_until),
        "attempts": job.attempts,
        "usage": {
            "input_tokens": job.input_tokens,
            "cached_input_tokens": job.cached_input_tokens,
            "output_tokens": job.output_tokens,
            "estimated_attempts": job.estimated_attempts,
            "estimated_cost": usd_string(job.estimated_cost),
        },
        "cost": usd_string(money.cost),
        "wasted_cost": usd_string(money.wasted_cost),
        "in_doubt_cost": usd_string(money.in_doubt_cost),
        "in_doubt_attempts": job.in_doubt_attempts,
        "unpriced_attempts": job.unpriced_attempts,
        "rate": round(view.rate, 3),
        "eta": None if view.eta is None else {"low": view.eta[0], "high": view.eta[1]},
        "concurrency": {"in_flight": view.in_flight, "level": view.level, "why": view.why},
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at),
        "finished_at": iso(job.finished_at),
    }


def output_of(record: Record, structured: bool) -> Any:
    """The accepted answer: the JSON value where the template has a schema, else the text."""
    if record.output is None or not structured:
        return record.output
    return orjson.loads(record.output)


def record_shape(
    record: Record,
    values: dict[str, Any],
    structured: bool,
    calls: Calls,
    source: dict[str, Any] | None,
) -> dict[str, Any]:
    """`source`: whose answer it took, where no call was made for it."""
    return {
        "row": record.n,
        "status": RecordStatus(record.status).label,
        "failure_class": record.failure_class,
        "fingerprint": record.fingerprint,
        "message": record.message,
        "attempts": calls.made,
        "input": values,
        "output": output_of(record, structured),
        "model": record.model,
        "cost": usd_string(known(record.cost, calls.unpriced)),
        "finished_at": iso(record.finished_at),
        "source": source,
    }


def attempt_shape(attempt: Attempt, rebuilt: str) -> dict[str, Any]:
    """`request_kept` says whether `request` is what was sent, or built again from what it was made
    of (the team keeps raw bodies of failures only)."""
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "purpose": attempt.purpose,
        "started_at": iso(attempt.started_at),
        "waited_ms": attempt.waited_ms,
        "took_ms": attempt.took_ms,
        "model": attempt.model,
        "model_returned": attempt.model_returned,
        "http_status": attempt.http_status,
        "provider_request_id": attempt.provider_request_id,
        "failure_class": attempt.failure_class or None,
        "error": attempt.message or None,
        "retry_after_ms": attempt.retry_after_ms,
        "usage": {
            "input_tokens": attempt.input_tokens,
            "cached_input_tokens": attempt.cached_input_tokens,
            "cache_write_tokens": attempt.cache_write_tokens,
            "cache_write_1h_tokens": attempt.cache_write_1h_tokens,
            "output_tokens": attempt.output_tokens,
            "reasoning_tokens": attempt.reasoning_tokens,
            "estimated": attempt.usage_estimated,
        },
        "cost": usd_string(attempt.cost),
        "rates": _rates(Rates.parse(attempt.rates)),
        "waste": attempt.waste or None,
        "request": attempt.request if attempt.request is not None else rebuilt,
        "request_kept": attempt.request is not None,
        "answer": attempt.answer,
    }


def failure_shape(group: FailureGroup) -> dict[str, Any]:
    return {
        "failure_class": group.failure_class.value,
        "label": group.label,
        "fingerprint": group.fingerprint,
        "count": group.count,
        "message": group.message,
        "example_rows": group.example_rows,
        "suggestion": group.suggestion,
    }
