"""Jobs that a budget stopped go on by themselves once it allows their next call: it was raised, a new
month has begun, or what was in doubt turned out cheaper. One that a person paused never does."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from jobs import queue
from jobs.costs.budgets import month_of
from jobs.engine.book import day_of
from jobs.engine.counters import lock_job, unlocked_jobs
from jobs.engine.dialect import Dialect
from jobs.engine.grants import settle_grants
from jobs.engine.telling import tell_status
from jobs.models import Budget, Grant, Job, JobStatus, StatusReason

# Looked at in one sweep; the rest are for the next, seconds later.
AT_MOST = 200


def resume_within_budgets(
    dialect: Dialect, now: datetime, *, team_id: int | None = None, job_id: int | None = None
) -> int:
    """Returns how many go on."""
    stopped = Job.objects.filter(status=JobStatus.PAUSED, status_reason=StatusReason.BUDGET)
    # A pause for a provider's own budget has no refusal of ours, and ends by hand.
    stopped = stopped.exclude(refusal={})
    if team_id is not None:
        stopped = stopped.filter(team_id=team_id)
    if job_id is not None:
        stopped = stopped.filter(pk=job_id)
    ids = list(stopped.order_by("status_at").values_list("id", flat=True)[:AT_MOST])
    resumed = sum(_resume(dialect, job, now) for job in unlocked_jobs(dialect, ids))
    if resumed:
        queue.ring()
    return resumed


def _resume(dialect: Dialect, job_id: int, now: datetime) -> bool:
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        if lock_job(dialect, cursor, job_id) is None:
            return False
        job = Job.objects.get(pk=job_id)
        if (job.status, job.status_reason) != (JobStatus.PAUSED, StatusReason.BUDGET):
            return False  # somebody was quicker
        if not job.refusal or not _fits(job, now):
            return False
        job.status, job.status_reason, job.status_detail = JobStatus.RUNNING, "", ""
        job.status_at, job.refusal = now, {}
        job.save(update_fields=["status", "status_reason", "status_detail", "status_at", "refusal"])
        tell_status(job_id, JobStatus.RUNNING, "within budget")
        return True


def _fits(job: Job, now: datetime) -> bool:
    """Whether the call that was refused would not be now."""
    wanted, connection_id = job.refusal["wanted"], job.refusal["connection"]
    committed = job.cost + job.in_doubt_cost + job.reserved
    if job.budget is not None and committed + wanted > job.budget:
        return False
    month = month_of(day_of(now))
    found = Budget.objects.filter(
        Q(connection_id=connection_id) | Q(connection__isnull=True), team_id=job.team_id
    )
    # The month's own row takes the place of the rule, which holds nothing.
    scopes = {rule.connection_id: rule for rule in found.filter(month__isnull=True)}
    scopes.update({budget.connection_id: budget for budget in found.filter(month=month)})
    return all(
        budget.stop_at is None or budget.granted + wanted <= budget.stop_at
        for budget in scopes.values()
    )


def give_back_idle(dialect: Dialect, now: datetime) -> None:
    """What jobs hold of budgets without need: those that do not run, and all where one is short. They
    give it back themselves with what they settle; this is for those that have nothing to settle."""
    runnable = (JobStatus.QUEUED, JobStatus.RUNNING)
    last_month = month_of(month_of(day_of(now)) - timedelta(days=1))
    holding = Grant.objects.filter(
        budget__month__gte=last_month, granted__gt=F("used") + F("reserved")
    ).filter(
        Q(budget__short=True)
        | ~Exists(Job.objects.filter(pk=OuterRef("job_id"), status__in=runnable))
    )
    ids = sorted(set(holding.values_list("job_id", flat=True)[:AT_MOST]))
    for job_id in unlocked_jobs(dialect, ids):
        with transaction.atomic(), dialect.connection.cursor() as cursor:
            state = lock_job(dialect, cursor, job_id)
            if state is not None:
                team_id = state.team_id
                settle_grants(
                    dialect, cursor, job_id=job_id, team_id=team_id, moves=None, keep=False
                )
