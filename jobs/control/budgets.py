"""Setting budgets. Who makes or changes one of a team holds the rows of all its jobs: nothing is claimed
or settled meanwhile, and what was spent and reserved before is taken into account to the last digit."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from jobs.costs.budgets import budget_key, month_of, next_month
from jobs.costs.pricing import resolve_price
from jobs.engine.dialect import dialect_of
from jobs.engine.resuming import resume_within_budgets
from jobs.errors import Conflict, FieldError, Invalid
from jobs.models import (
    Budget,
    Connection,
    CostRollup,
    Grant,
    Job,
    Lease,
    Record,
    RecordStatus,
    Replay,
    Team,
)
from jobs.money import to_pico, usd_string
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action

MAX_USD = Decimal(1_000_000)


def budget_set(
    *,
    actor: Actor,
    connection: Connection | None,
    month: date | None,
    warn_at: Any,
    stop_at: Any,
    now: datetime | None = None,
) -> Budget:
    """What the actor's team may spend in a month, in all or on one connection; in USD, None: no limit.
    Without a month: in each from this one on. Jobs that a budget had stopped go on if they now can.
    Raises Invalid.
    """
    actor.require(Action.BUDGET_WRITE)
    now = now or timezone.now()
    errors: list[FieldError] = []
    amounts = {"warn_at": _amount("warn_at", warn_at, errors)}
    amounts["stop_at"] = _amount("stop_at", stop_at, errors)
    warn, stop = amounts["warn_at"], amounts["stop_at"]
    if warn is not None and stop is not None and warn > stop and not errors:
        errors.append(FieldError(("warn_at",), "Must not lie above “stop at”"))
    this_month = month_of(now.astimezone(UTC).date())
    if month is not None and month_of(month) < this_month:
        errors.append(FieldError(("month",), "This month is over"))
    if errors:
        raise Invalid(errors)
    if month is not None:
        months: set[date | None] = {month_of(month)}
    else:
        # Also the month that may have begun on another machine's clock.
        months = {None, this_month, month_of(now.astimezone(UTC).date() + timedelta(days=1))}
    with transaction.atomic():
        _hold_jobs(actor.team)
        rows = [_set(actor, connection, one, amounts) for one in sorted(months, key=str)]
        budget = next(row for row in rows if row.month == (month_of(month) if month else None))
        current = next(row for row in rows if row.month is not None)
    resume_within_budgets(dialect_of(database), now, team_id=actor.team.pk)
    return budget if month is not None else current


def _hold_jobs(team: Team) -> None:
    """Hold the rows of all jobs of the team until the transaction ends, and keep new ones from being
    launched: the row of a new job needs that of its team."""
    jobs = Job.objects.filter(team=team).order_by("pk").values_list("pk", flat=True)
    held = set(jobs.select_for_update())
    Team.objects.select_for_update().get(pk=team.pk)
    if set(jobs) - held:
        # Taken now it might wait for somebody who waits for the team.
        raise Conflict("A job was just launched. Try again.")
    Job.objects.filter(team=team).exclude(budgeted=True).update(budgeted=True)


def _set(
    actor: Actor,
    connection: Connection | None,
    month: date | None,
    amounts: dict[str, int | None],
) -> Budget:
    key = budget_key(actor.team.pk, connection.pk if connection else None, month)
    budget = Budget.objects.filter(key=key).first()
    before = budget and {name: usd_string(getattr(budget, name)) for name in amounts}
    if budget is None:
        budget = Budget(team=actor.team, connection=connection, month=month, key=key)
        budget.save()
        if month is not None:
            _take_over(budget, month)
    _call_in(budget)
    budget.refresh_from_db()
    budget.warn_at, budget.stop_at = amounts["warn_at"], amounts["stop_at"]
    budget.short = budget.stop_at is not None and budget.granted > budget.stop_at
    budget.updated_by = actor.user
    budget.save(update_fields=["warn_at", "stop_at", "short", "updated_by", "updated_at"])
    after = {name: usd_string(amount) for name, amount in amounts.items()}
    if before != after:
        record(
            actor, "budget.set", budget, month=month.strftime("%Y-%m") if month else "each month",
            connection=connection.name if connection else "all", before=before, after=after,
        )  # fmt: skip
    return budget


def _take_over(budget: Budget, month: date) -> None:
    """What was booked in the month, and is reserved in it, before it had this budget."""
    spent, reserved = _spent(budget, month), _reserved(budget, month)
    grants = [
        Grant(
            job_id=job_id,
            budget=budget,
            granted=spent[job_id] + reserved[job_id],
            used=spent[job_id],
            reserved=reserved[job_id],
        )
        for job_id in sorted({*spent, *reserved} - {0})
    ]
    Grant.objects.bulk_create(grants)
    budget.direct = spent[0]
    budget.granted = budget.direct + sum(grant.granted for grant in grants)
    budget.save(update_fields=["direct", "granted"])


def _spent(budget: Budget, month: date) -> dict[int, int]:
    """By job; 0 stands for the calls outside any."""
    booked = CostRollup.objects.filter(
        team_id=budget.team_id, day__gte=month, day__lt=next_month(month)
    )
    if budget.connection_id is not None:
        booked = booked.filter(connection_id=budget.connection_id)
    sums = booked.values_list("job_id").annotate(cost=Sum("cost"), doubt=Sum("in_doubt_cost"))
    return defaultdict(int, {job_id: int(cost + doubt) for job_id, cost, doubt in sums})


def _reserved(budget: Budget, month: date) -> dict[int, int]:
    """By job: what the calls in flight have reserved that were claimed in the month."""
    found: dict[int, int] = defaultdict(int)
    busy = dict(
        Job.objects.filter(team_id=budget.team_id, running__gt=0).values_list("pk", "connection_id")
    )
    leases = Lease.objects.filter(job_id__in=busy, day__gte=month, day__lt=next_month(month))
    for lease in leases:
        held = Record.objects.filter(
            job_id=lease.job_id, n__in=lease.records, lease=lease.token, status=RecordStatus.RUNNING
        )
        for replay_id, amount in held.values_list("replay_id").annotate(amount=Sum("reserved")):
            connection_id = busy[lease.job_id]
            if replay_id is not None:
                connection_id = Replay.objects.get(pk=replay_id).connection_id or connection_id
            if budget.connection_id in (None, connection_id):
                found[lease.job_id] += int(amount)
    return found


def _call_in(budget: Budget) -> None:
    """Jobs hold nothing without need now: what they have in hand is not promised under a new stop."""
    holding = Grant.objects.filter(budget=budget, granted__gt=F("used") + F("reserved"))
    idle = holding.aggregate(idle=Sum(F("granted") - F("used") - F("reserved")))["idle"] or 0
    holding.update(granted=F("used") + F("reserved"))
    Budget.objects.filter(pk=budget.pk).update(granted=F("granted") - int(idle))


def job_budget_set(*, actor: Actor, job: Job, budget: Any) -> Job:
    """What the job may cost in all, in USD; None: no limit of its own. If it was stopped by its budget
    and may go on, it does. Raises Invalid."""
    actor.require(Action.JOB_CONTROL)
    errors: list[FieldError] = []
    amount = _amount("budget", budget, errors)
    now = timezone.now()
    if amount is not None and not errors:
        price = resolve_price(connection=job.connection, model=job.model, at=now)
        if price is None:
            words = f"The price of {job.model} is unknown: set one before a budget can be held"
            errors.append(FieldError(("budget",), words))
    if errors:
        raise Invalid(errors)
    with transaction.atomic():
        held = Job.objects.select_for_update().get(pk=job.pk)
        if held.budget != amount:
            before, after = usd_string(held.budget), usd_string(amount)
            Job.objects.filter(pk=job.pk).update(budget=amount)
            record(actor, "job.budget", job, before=before, after=after)
    resume_within_budgets(dialect_of(database), now, job_id=job.pk)
    job.refresh_from_db()
    return job


def _amount(loc: str, given: Any, errors: list[FieldError]) -> int | None:
    if given in (None, ""):
        return None
    try:
        amount = Decimal(str(given).strip())
        if not amount.is_finite() or not 0 <= amount < MAX_USD:
            raise ValueError
        return to_pico(amount)
    except (InvalidOperation, ValueError):
        errors.append(
            FieldError((loc,), "An amount in USD from 0 on, with at most 12 decimals; or nothing")
        )
        return None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget in a month; one that has not begun stands under the rule of all months."""

    budget: Budget
    month: date
    spent: int  # in doubt too, in pico-USD

    @property
    def reserved(self) -> int:
        """Handed out to jobs, and not spent."""
        return max(0, self.budget.granted - self.spent)

    @property
    def left(self) -> int | None:
        """What may yet be handed out; None: there is no stop."""
        stop = self.budget.stop_at
        return None if stop is None else max(0, stop - self.budget.granted)

    @property
    def resets(self) -> date:
        return next_month(self.month)

    @property
    def is_near(self) -> bool:
        """It is time to look at it."""
        budget = self.budget
        used = max(self.spent, budget.granted)
        if budget.warn_at is not None and self.spent >= budget.warn_at:
            return True
        return budget.stop_at is not None and used * 10 >= budget.stop_at * 9


def budget_states(actor: Actor, month: date) -> list[BudgetState]:
    """The team's budgets of a month, that over all connections first."""
    actor.require(Action.BUDGET_READ)
    found = Budget.objects.filter(team=actor.team).select_related("connection", "updated_by")
    scopes = {rule.connection_id: rule for rule in found.filter(month__isnull=True)}
    scopes.update({budget.connection_id: budget for budget in found.filter(month=month)})
    ordered = sorted(scopes.values(), key=lambda b: b.connection.name if b.connection else "")
    return [BudgetState(budget, month, sum(_spent(budget, month).values())) for budget in ordered]
