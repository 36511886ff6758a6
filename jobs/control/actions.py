"""Pause, resume, cancel: one conditional UPDATE each, idempotent, O(1). Slices heed it within a tick."""

import logging

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs import queue
from jobs.engine.breakers import Watch
from jobs.engine.counters import nothing_due
from jobs.errors import Conflict
from jobs.models import Job, JobStatus, StatusReason
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action

logger = logging.getLogger(__name__)

_PAUSABLE = tuple(s for s in JobStatus if "pause" in s.actions)
_RESUMABLE = tuple(s for s in JobStatus if "resume" in s.actions)
_CANCELLABLE = tuple(s for s in JobStatus if "cancel" in s.actions)


def job_pause(*, actor: Actor, job: Job) -> Job:
    """No new call leaves; those in flight end and count. Raises Conflict where there is nothing to
    pause."""
    actor.require(Action.JOB_CONTROL)
    with transaction.atomic():
        changed = Job.objects.filter(pk=job.pk, status__in=_PAUSABLE).update(
            status=JobStatus.PAUSED,
            status_reason=StatusReason.PERSON,
            status_detail=f"Paused by {actor.user.get_username()}",
            status_at=timezone.now(),
        )
        if changed:
            record(actor, "job.pause", job)
    return _settled(job, changed, JobStatus.PAUSED, "paused")


def job_resume(*, actor: Actor, job: Job) -> Job:
    """Go on where it stopped; after a pilot, with the remaining rows. Failures up to now are taken as
    seen: the threshold counts anew."""
    actor.require(Action.JOB_CONTROL)
    now = timezone.now()
    with transaction.atomic():
        resumable = Job.objects.filter(pk=job.pk, status__in=_RESUMABLE)
        resumable.filter(status_reason=StatusReason.PILOT).update(pilot_rows=0)
        if nothing_due(job.pk):
            # It paused for another reason when the last row of its pilot had ended.
            resumable.filter(running=0).update(pilot_rows=0)
        changed = resumable.update(
            status=JobStatus.RUNNING,
            status_reason="",
            status_detail="",
            status_at=now,
            excused_succeeded=F("succeeded"),
            excused_failed=F("failed"),
            watch=Watch.begun_anew("resumed", now),
        )
        if changed:
            record(actor, "job.resume", job)
            queue.ring()
    return _settled(job, changed, JobStatus.RUNNING, "resumed")


def job_cancel(*, actor: Actor, job: Job) -> Job:
    """Rows not yet sent become cancelled, in the background; calls in flight end and count."""
    actor.require(Action.JOB_CONTROL)
    with transaction.atomic():
        changed = Job.objects.filter(pk=job.pk, status__in=_CANCELLABLE).update(
            status=JobStatus.CANCELLING,
            status_reason="",
            status_detail=f"Cancelled by {actor.user.get_username()}",
            status_at=timezone.now(),
        )
        if changed:
            record(actor, "job.cancel", job)
            queue.enqueue("jobs.engine.tasks.cancel", job.pk)
    return _settled(job, changed, JobStatus.CANCELLING, "cancelled", JobStatus.CANCELLED)


def _settled(job: Job, changed: int, target: JobStatus, verb: str, *also: JobStatus) -> Job:
    job.refresh_from_db()
    if changed:
        told = {"job": job.pk, "status": target.value, "reason": StatusReason.PERSON.value}
        logger.info(f"job {verb} by a person", extra=told)
    if not changed and job.state not in (target, *also):
        raise Conflict(f"The job is {job.state.label.lower()} and cannot be {verb}.")
    return job
