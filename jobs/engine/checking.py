"""The books of each job are checked once after it has ended, by themselves: what `manage.py verify` does
for all of them at once, on request.

A job that was replayed or corrected since has its turn again.
"""

import logging
import time
from collections.abc import Callable

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from jobs.engine.verify import snapshot, verify
from jobs.models import Job, JobStatus
from jobs.notices.of_jobs import note_difference

logger = logging.getLogger(__name__)

# One task checks for so long at most; what is left is for the next.
BUSY_S = 60.0
_ENDED = [status for status in JobStatus if status.is_terminal]


def unchecked() -> "QuerySet[Job]":
    return Job.objects.filter(status__in=_ENDED, finished_at__isnull=False).filter(
        Q(checked_at__isnull=True) | Q(checked_at__lt=F("finished_at"))
    )


def check_finished(told_to_stop: Callable[[], bool]) -> int:
    """Check the jobs that ended first; returns how many. Two at a time do no harm."""
    began, checked = time.monotonic(), 0
    while not told_to_stop() and time.monotonic() - began < BUSY_S:
        job = unchecked().order_by("finished_at").only("pk", "finished_at").first()
        if job is None:
            break
        now = timezone.now()
        with snapshot():
            found = verify([job.pk]).difference
        words = f"{found.what}: expected {found.expected}, found {found.found}" if found else ""
        if found is not None:
            logger.error("the books of a job differ", extra={"job": job.pk, "error": words})
        # The clock that wrote the job's end may be ahead of this one.
        at = max(now, job.finished_at) if job.finished_at else now
        with transaction.atomic():
            Job.objects.filter(pk=job.pk).update(checked_at=at, difference=words)
            if words:
                note_difference(job.pk, words, now)
        checked += 1
    return checked
