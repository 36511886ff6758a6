"""Replays: failed or chosen records of a job sent again, as they were or with changes."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from jobs import queue
from jobs.control.filters import REPLAYED, RecordFilter
from jobs.control.parameters import check_parameters
from jobs.costs.known import known
from jobs.costs.pricing import resolve_price, value
from jobs.datasets.selectors import row_values
from jobs.engine.breakers import Watch
from jobs.errors import Conflict, FieldError, Invalid
from jobs.models import (
    Attempt,
    Connection,
    Job,
    JobStatus,
    Record,
    RecordStatus,
    Replay,
    RowEdit,
    TemplateVersion,
)
from jobs.providers.types import Usage
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action
from jobs.written import write_row

logger = logging.getLogger(__name__)

MAX_EDITS = 1_000
MAX_ROWS = 100_000  # chosen one by one; a filter has no such limit
_REPLAYABLE = tuple(status for status in JobStatus if "replay" in status.actions)
_ENDED = tuple(status for status in JobStatus if status.is_terminal)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is laid over the job's own set-up; None and empty mean as it was."""

    template_version: TemplateVersion | None = None
    connection: Connection | None = None
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplayPreview:
    """`expected_cost` (pico-USD) is what the job's calls cost on average, or their mean tokens at the
    price of what was chosen instead, times the records; None where that cannot be told."""

    records: int
    succeeded: int  # of them: sent and paid again
    skipped: int  # chosen, but not failed (any more), or whatever else is to be sent
    expected_cost: int | None


def _matching(job: Job, chosen: RecordFilter) -> Any:
    records = Record.objects.filter(job_id=job.pk, status__in=REPLAYED[chosen.replayed])
    if chosen.replayed == "failed":
        records = records.filter(failure_class__isnull=False)  # names the partial index
    return RecordFilter(
        failure_class=chosen.failure_class, fingerprint=chosen.fingerprint, rows=chosen.rows
    ).apply(records)


def _count(job: Job, chosen: RecordFilter) -> tuple[int, int]:
    """The records a replay would send now, and how many of them succeeded. Without an index, those are
    counted one by one only where rows are named."""
    if chosen.replayed == "failed" or chosen.failure_class or chosen.fingerprint:
        return _matching(job, chosen).count(), 0
    if not chosen.rows:
        failed = job.failed if chosen.replayed == "all" else 0
        return job.succeeded + failed, job.succeeded
    found = _matching(job, chosen).aggregate(
        records=Count("n"), succeeded=Count("n", filter=Q(status=RecordStatus.SUCCEEDED))
    )
    return found["records"], found["succeeded"]


def replay_preview(
    *, actor: Actor, job: Job, chosen: RecordFilter, overrides: Overrides
) -> ReplayPreview:
    """What a replay would touch, without touching it."""
    actor.require(Action.RECORD_REPLAY)
    count, succeeded = _count(job, chosen)
    each = _cost_each(job, overrides)
    cost = None if each is None else each * count
    return ReplayPreview(count, succeeded, max(0, len(chosen.rows) - count), cost)


def _cost_each(job: Job, overrides: Overrides) -> int | None:
    if not job.attempts or not job.input_tokens:
        return None
    model, connection = overrides.model or job.model, overrides.connection or job.connection
    if (model, connection.pk) == (job.model, job.connection_id) and not job.unpriced_attempts:
        return job.cost // job.attempts
    price = resolve_price(connection=connection, model=model, at=timezone.now())
    if price is None:
        return None
    mean = Usage(
        input_tokens=job.input_tokens // job.attempts,
        output_tokens=job.output_tokens // job.attempts,
    )
    return value(mean, price)


def replay_create(
    *,
    actor: Actor,
    job: Job,
    key: str,
    chosen: RecordFilter,
    overrides: Overrides,
    edits: Mapping[int, Mapping[str, Any]] | None = None,
) -> tuple[Replay, bool]:
    """Send matching records again, failed ones unless said otherwise; the same key gives the same replay
    again. What succeeded keeps its result until another is accepted.

    O(1) in the records: they go back to pending in the background. Raises Invalid, and Conflict where
    the job does not permit it or nothing matches.
    """
    actor.require(Action.RECORD_REPLAY)
    key = (key or secrets.token_hex(16))[:64]
    known = Replay.objects.filter(job=job, key=key).first()
    if known is not None:
        return known, False
    errors: list[FieldError] = []
    parameters = check_parameters(overrides.parameters, errors, ("overrides", "parameters"))
    edits = edits or {}
    rows = _checked_edits(job, chosen, edits, errors)
    if len(chosen.rows) > MAX_ROWS:
        errors.append(FieldError(("rows",), f"At most {MAX_ROWS:,} rows; use a filter for more"))
    if len(overrides.model) > 200:
        errors.append(FieldError(("overrides", "model"), "At most 200 characters"))
    if errors:
        raise Invalid(errors)
    try:
        with transaction.atomic():
            locked = Job.objects.select_for_update().get(pk=job.pk)
            if locked.state not in _REPLAYABLE:
                raise Conflict(f"The job is {locked.state.label.lower()}; nothing can be replayed.")
            known = None if rows else _under_way(job, chosen, overrides, parameters)
            if known is not None:
                return known, False
            asked, succeeded = _count(locked, chosen)
            if asked == 0:
                which = "failed record" if chosen.replayed == "failed" else "record"
                raise Conflict(f"No {which} matches (any more): there is nothing to replay.")
            _refuse_idle_edits(job, chosen, rows)
            replay = Replay.objects.create(
                job=job,
                key=key,
                filter=chosen.as_dict(),
                template_version=overrides.template_version,
                connection=overrides.connection,
                model=overrides.model,
                parameters=parameters,
                asked=asked,
                created_by=actor.user,
            )
            RowEdit.objects.bulk_create(
                RowEdit(job=job, n=n, replay=replay, data=data) for n, data in rows.items()
            )
            now = timezone.now()
            Job.objects.filter(pk=job.pk, status__in=_ENDED).update(
                status=JobStatus.RUNNING,
                status_reason="",
                status_detail="",
                status_at=now,
                finished_at=None,
                # As with a resume: what failed up to now has been seen.
                excused_succeeded=F("succeeded"),
                excused_failed=F("failed"),
                watch=Watch.begun_anew("replayed", now),
            )
            told = {"succeeded": succeeded} if succeeded else {}
            record(actor, "job.replay", job, replay=replay.public_id, records=asked, **told)
            queue.enqueue("jobs.engine.tasks.apply_replay", replay.pk)
    except IntegrityError:
        return Replay.objects.get(job=job, key=key), False
    told = {"job": job.pk, "replay": replay.pk, "count": asked}
    logger.info("records are replayed", extra=told)
    return replay, True


def _under_way(
    job: Job, chosen: RecordFilter, overrides: Overrides, parameters: Mapping[str, Any]
) -> Replay | None:
    """The same wish, asked for a moment ago: its records are still on their way back to pending. A
    second replay of them would find none left."""
    wish = (chosen.as_dict(), overrides.model, dict(parameters))
    waiting = Replay.objects.filter(
        job=job,
        applied_at__isnull=True,
        template_version=overrides.template_version,
        connection=overrides.connection,
        edits__isnull=True,
    )
    return next((one for one in waiting if (one.filter, one.model, one.parameters) == wish), None)


def _checked_edits(
    job: Job,
    chosen: RecordFilter,
    edits: Mapping[int, Mapping[str, Any]],
    errors: list[FieldError],
) -> dict[int, str]:
    """Whole edited rows as JSON text: the row as it was last sent, with the changes laid over."""
    if len(edits) > MAX_EDITS:
        errors.append(FieldError(("edits",), f"At most {MAX_EDITS:,} rows at a time"))
        return {}
    columns = {column["name"] for column in job.dataset.columns}
    rows: dict[int, str] = {}
    for n, changes in edits.items():
        unknown = sorted(set(changes) - columns)
        if unknown:
            errors.append(
                FieldError(("edits", str(n)), f"The dataset has no column “{unknown[0]}”")
            )
            continue
        if chosen.rows and n not in chosen.rows:
            errors.append(FieldError(("edits", str(n)), "This row is not among those replayed"))
            continue
        values = row_values(job, n)
        if values is None:
            errors.append(FieldError(("edits", str(n)), "The job has no such row"))
            continue
        rows[n] = write_row({**values, **changes}).replace("\\u0000", "\ufffd")
    return rows


def _refuse_idle_edits(job: Job, chosen: RecordFilter, rows: Mapping[int, str]) -> None:
    """An edit of a record that is not sent again would stand beside an answer it had no part in."""
    if not rows:
        return
    sent = set(_matching(job, chosen).filter(n__in=list(rows)).values_list("n", flat=True))
    idle = sorted(set(rows) - sent)
    if idle:
        which = "failed records" if chosen.replayed == "failed" else "records"
        words = f"This row is not among the {which} that are replayed"
        raise Invalid([FieldError(("edits", str(n)), words) for n in idle])


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """What became of the records a replay sent."""

    sent: int
    skipped: int  # matched when it was asked for, but no longer when their turn came
    succeeded: int
    kept: int  # had succeeded before; this replay brought nothing, and the former result stays
    failed: int
    cancelled: int
    open: int
    cost: int | None  # None: its calls were made at a price nobody knows
    unpriced: int  # of its calls


def replay_progress(replay: Replay) -> ReplayProgress:
    """Counts over the records whose last replay this is; a later replay takes its own over.

    Walks the job's key from the replay's first to its last record: an index on the replay would cost
    every record of every job.
    """
    found = Record.objects.filter(
        job_id=replay.job_id, n__lte=replay.applied_to, replay_id=replay.pk
    ).aggregate(
        succeeded=Count("n", filter=Q(status=RecordStatus.SUCCEEDED, kept_from__isnull=True)),
        kept=Count("n", filter=Q(status=RecordStatus.SUCCEEDED, kept_from__isnull=False)),
        failed=Count("n", filter=Q(status=RecordStatus.FAILED)),
        cancelled=Count("n", filter=Q(status=RecordStatus.CANCELLED)),
        open=Count("n", filter=Q(status__in=(RecordStatus.PENDING, RecordStatus.RUNNING))),
    )
    calls = Attempt.objects.filter(job_id=replay.job_id, replay_id=replay.pk)
    spent = calls.aggregate(total=Sum("cost"), made=Count("number"), priced=Count("cost"))
    unpriced = spent["made"] - spent["priced"]
    return ReplayProgress(
        sent=replay.sent,
        skipped=max(0, replay.asked - replay.sent) if replay.applied_at else 0,
        cost=known(spent["total"] or 0, unpriced),
        unpriced=unpriced,
        **found,
    )
