"""What is told of a job: that it ended, paused itself, stands still, or that its books are wrong.

Each is written in the transaction in which it comes true. Whoever launched the job is told; of what
costs money while nobody looks, the leads too.
"""

from datetime import UTC, datetime
from typing import Any

from jobs.models import Job, JobStatus, NoticeKind, Role, StatusReason
from jobs.money import money_text, usd_string
from jobs.notices.write import notice_write

_ENDS = {
    JobStatus.COMPLETED: (NoticeKind.JOB_COMPLETED, "completed"),
    JobStatus.COMPLETED_WITH_FAILURES: (
        NoticeKind.JOB_COMPLETED_WITH_FAILURES,
        "completed with failures",
    ),
    JobStatus.FAILED: (NoticeKind.JOB_FAILED, "failed"),
}
_FOR_LEADS = frozenset({StatusReason.RUNAWAY, StatusReason.BUDGET, StatusReason.QUOTA})


def note_status(
    job_id: int,
    status: JobStatus,
    *,
    reason: str,
    detail: str,
    episode: str,
    counts: dict[str, int],
    cost_added: int,
    now: datetime,
) -> None:
    """That a job ended or paused itself; of other changes nothing is told. The job's row may still be
    as it was before the change: `counts` are those after it, `cost_added` comes on top.

    `episode` names what the pause belongs to (an outage, a limit): a job that goes on and pauses again
    over the same is told of once.
    """
    end = _ENDS.get(status)
    if end is None and status is not JobStatus.PAUSED:
        return
    job = Job.objects.select_related("team").get(pk=job_id)
    cost = job.cost + job.in_doubt_cost + cost_added
    facts = [
        ("Rows", f"{job.total:,}"),
        ("Succeeded", f"{counts['succeeded']:,}"),
        ("Failed", f"{counts['failed']:,}"),
        ("Cost", money_text(cost)),
    ]
    data = _data(job, status) | counts | {"reason": reason, "cost": usd_string(cost)}
    if end is not None:
        kind, words = end
        lasted = max(0, int((now - (job.started_at or job.created_at)).total_seconds()))
        _write(job, kind, f"{words}:{now.timestamp():.0f}", words, now, detail, facts, data, lasted)
        return
    known = StatusReason(reason)
    words = "is done with its pilot" if known is StatusReason.PILOT else "paused itself"
    title = f"{words}: {known.label.lower()}" if known is not StatusReason.PILOT else words
    _write(
        job,
        NoticeKind.JOB_PAUSED,
        f"paused:{reason}:{episode}",
        title,
        now,
        detail,
        facts,
        data,
        role=Role.LEAD if known in _FOR_LEADS else None,
    )


def note_stall(job_id: int, since: datetime, now: datetime) -> None:
    job = Job.objects.select_related("team").get(pk=job_id)
    _write(
        job,
        NoticeKind.JOB_STALLED,
        f"stalled:{since.timestamp():.0f}",
        "stands still",
        now,
        f"It has work since {since:%Y-%m-%d %H:%M} UTC and waits for no call and no limit. Look at the "
        "logs of the workers, then pause and resume it.",
        [("Rows left", f"{job.pending + job.running:,}")],
        _data(job, job.state),
        role=Role.LEAD,
    )


def note_difference(job_id: int, words: str, now: datetime) -> None:
    """That the ledger of a job and its sums do not agree. Once for each job and difference."""
    job = Job.objects.select_related("team").get(pk=job_id)
    _write(
        job,
        NoticeKind.LEDGER_DIFFERENCE,
        f"difference:{words}"[:100],
        "has books that do not agree",
        now,
        f"{words}. Run `manage.py verify`, and keep a copy of the database before anything is mended.",
        [],
        _data(job, job.state) | {"difference": words},
        role=Role.LEAD,
    )


def _data(job: Job, status: JobStatus) -> dict[str, Any]:
    return {"job": job.public_id, "name": job.name, "status": status.value, "total": job.total}


def _write(
    job: Job,
    kind: NoticeKind,
    episode: str,
    words: str,
    now: datetime,
    body: str,
    facts: list[tuple[str, str]],
    data: dict[str, Any],
    lasted: int = 0,
    role: Role | None = None,
) -> None:
    notice_write(
        team_id=job.team_id,
        kind=kind,
        key=f"job:{job.pk}:{episode}",
        title=f"{job.name} {words}",
        link=f"/jobs/{job.public_id}/",
        at=now.astimezone(UTC),
        body=body,
        facts=facts,
        data=data,
        person_id=job.created_by_id,
        role=role,
        lasted_s=lasted,
    )
