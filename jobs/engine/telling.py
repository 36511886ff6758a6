"""What the log is told of jobs and their records, once it is committed.

Of records only what went wrong for good, and of a batch only so many: with a million failing rows the
log must not be what holds up the others. What is left out stands on the job's page. A call that the
provider put off, and one that is repeated, is no event: the counters tell of those.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction

from jobs.engine.records import Settlement
from jobs.models import AttemptOutcome, JobStatus, RecordStatus

logger = logging.getLogger(__name__)

OF_A_BATCH = 20
_WORDS = {
    JobStatus.QUEUED: "job queued",
    JobStatus.RUNNING: "job goes on",
    JobStatus.PAUSED: "job paused",
    JobStatus.CANCELLING: "job is being cancelled",
}


def tell_status(job_id: int, status: JobStatus, reason: str, **counts: int) -> None:
    """That a job's status changed, when the transaction is committed. A pause is somebody's business."""
    level = logging.WARNING if status is JobStatus.PAUSED else logging.INFO
    fields = {"job": job_id, "status": status.value, "reason": reason, **counts}
    _later(level, _WORDS.get(status, "job finished"), fields)


def tell_started(job_id: int, worker: str) -> None:
    _later(logging.INFO, "job started", {"job": job_id, "worker": worker})


def tell_failures(worker: str, settlements: Sequence[Settlement]) -> None:
    """Of those which failed for good, or whose call nobody saw the answer of."""
    told = [s for s in settlements if s.status is RecordStatus.FAILED or _doubtful(s)]
    for settlement in told[:OF_A_BATCH]:
        words = "call in doubt" if _doubtful(settlement) else "record failed"
        _later(logging.INFO, words, _fields(worker, settlement))
    if len(told) > OF_A_BATCH:
        fields = {"job": told[0].job_id, "worker": worker, "count": len(told) - OF_A_BATCH}
        _later(logging.INFO, "further records failed or are in doubt", fields)


def tell_parked(job_id: int, n: int, deaths: int) -> None:
    fields = {"job": job_id, "record": n, "failure_class": "worker_lost", "count": deaths}
    _later(logging.WARNING, "record failed: its workers died", fields)


def _doubtful(settlement: Settlement) -> bool:
    line = settlement.attempt
    return line is not None and line.outcome is AttemptOutcome.IN_DOUBT


def _fields(worker: str, settlement: Settlement) -> dict[str, Any]:
    line = settlement.attempt
    fields = {
        "job": settlement.job_id,
        "record": settlement.n,
        "worker": worker,
        "failure_class": settlement.failure_class,
        "fingerprint": settlement.fingerprint,
    }
    if line is not None:
        fields |= {
            "attempt": settlement.number,
            "connection": line.connection_id,
            "failure_class": line.failure_class,
            "http_status": line.http_status,
            "provider_request_id": line.provider_request_id,
        }
    return fields


def _later(level: int, words: str, fields: dict[str, Any]) -> None:
    transaction.on_commit(partial(logger.log, level, words, extra=fields))
