"""Valuing a job anew from a day on: what it would change, and the act itself, which is audited."""

from dataclasses import dataclass
from datetime import date

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import queue
from jobs.engine.revaluing import CHUNK_LINES, Valuer, chunk_end
from jobs.errors import Conflict, Invalid
from jobs.models import Job, Revaluation
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action

# Calls looked at while somebody waits for the preview.
LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class RevaluePreview:
    """In pico-USD. Where not `whole`, so much of the first `looked_at` calls: there are more."""

    lines: int
    difference: int
    without_price: int
    looked_at: int
    whole: bool


def revalue_preview(*, actor: Actor, job: Job, day_from: date) -> RevaluePreview:
    """What the act would come to now. Nothing is written but price rows of the shipped list."""
    actor.require(Action.LEDGER_CORRECT)
    _check(day_from)
    valuer = Valuer(job, day_from, timezone.now().date(), "", None)
    lines = difference = without = looked_at = after = 0
    while looked_at < LOOKED_AT:
        upto = chunk_end(job.pk, after)
        if upto is None:
            return RevaluePreview(lines, difference, without, looked_at, whole=True)
        found = valuer.look(after, upto)
        lines += len(found.lines)
        difference += found.difference
        without += found.without_price
        looked_at += CHUNK_LINES
        after = upto
    return RevaluePreview(lines, difference, without, looked_at, whole=False)


def job_revalue(*, actor: Actor, job: Job, day_from: date) -> Revaluation:
    """Start it; lines that correct are added in the background, the lines themselves stay. Raises
    Conflict while another is under way."""
    actor.require(Action.LEDGER_CORRECT)
    _check(day_from)
    try:
        with transaction.atomic():
            made = Revaluation.objects.create(job=job, day_from=day_from, created_by=actor.user)
            record(actor, "job.revalue", job, day_from=day_from.isoformat(), act=made.public_id)
            queue.enqueue("jobs.engine.tasks.revalue", made.pk)
    except IntegrityError as taken:
        raise Conflict("The job is being valued anew already; wait for its end.") from taken
    return made


def _check(day_from: date) -> None:
    if not 2000 <= day_from.year <= 9000:
        raise Invalid.field("from", "A day from the year 2000 on")
    if day_from > timezone.now().date():
        raise Invalid.field("from", "A day that has come")
