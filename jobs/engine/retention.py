"""Raw requests and answers are forgotten some days after their job has ended (`ANSWERS_DAYS`).

They are kept to look into failures, and are the largest part of a line of the ledger. Results, costs,
classes and messages stay; so does all that belongs to a job which has not ended.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Q

from jobs.models import Attempt, Errand, Job

# Rows of a job looked at in one statement, and so how long lines of the ledger may be locked.
CHUNK = 5_000
_NAME = "bodies"  # of the errand: its `done_at` is when the last job ended whose bodies are gone


def forget_bodies(now: datetime, told_to_stop: Callable[[], bool]) -> None:
    """Job by job, in the order in which they ended. Interrupted, it begins anew with the same job; two
    at a time do no harm."""
    Errand.objects.get_or_create(name=_NAME)
    while not told_to_stop():
        job = _next_job(now)
        if job is None or not _forget_of(job.pk, told_to_stop):
            return
        Errand.objects.filter(name=_NAME).update(done_at=job.finished_at)


def _next_job(now: datetime) -> Job | None:
    done = Errand.objects.get(name=_NAME).done_at
    ended = Job.objects.filter(finished_at__lt=now - timedelta(days=settings.ANSWERS_DAYS))
    if done is not None:
        # A job that was replayed since has ended anew, and has its turn again.
        ended = ended.filter(finished_at__gt=done)
    return ended.order_by("finished_at").first()


def _forget_of(job_id: int, told_to_stop: Callable[[], bool]) -> bool:
    """Whether all of the job's are gone."""
    last = Attempt.objects.filter(job_id=job_id).aggregate(last=Max("n"))["last"] or 0
    for n in range(0, last, CHUNK):
        if told_to_stop():
            return False
        chunk = Attempt.objects.filter(job_id=job_id, n__gt=n, n__lte=n + CHUNK)
        kept = chunk.filter(Q(request__isnull=False) | Q(answer__isnull=False))
        kept.update(request=None, answer=None)
    return True
