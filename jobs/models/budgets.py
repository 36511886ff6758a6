"""Budgets of teams: what may be spent in a month, and who holds which part of it."""

from django.conf import settings
from django.db import models

from jobs.models.connections import Connection
from jobs.models.fields import loose_key, public_id
from jobs.models.teams import Team


class Budget(models.Model):
    """What a team may spend in a month, in all or on one connection. Money is in pico-USD.

    A row without a month is the rule from which each month gets a row of its own when its first call
    is made. `granted` is all that was handed out: to jobs in blocks (`Grant`), and to calls outside
    jobs (`direct`); it never grows beyond `stop_at`, which is how spent + reserved cannot either.
    """

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="budgets")
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, related_name="+"
    )
    month = models.DateField(null=True)  # its first day (UTC)
    key = models.CharField(max_length=60)  # team, connection and month: see jobs.costs.budgets
    warn_at = models.BigIntegerField(null=True)
    stop_at = models.BigIntegerField(null=True)
    granted = models.BigIntegerField(default=0)
    direct = models.BigIntegerField(default=0)  # spent and reserved by calls outside any job
    # A job found no room: the others give back what they hold without need.
    short = models.BooleanField(default=False)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            # Of a null each database has its own idea, so what may be null is said as text as well.
            models.UniqueConstraint(fields=["key"], name="one_budget")
        ]

    def __str__(self) -> str:
        return f"budget of team {self.team_id} for {self.month or 'each month'}"


class Grant(models.Model):
    """The block of a budget that a job holds: used + reserved <= granted, at every commit.

    It belongs to the job, not to a worker: whoever dies, what it had reserved comes back with the
    leases, in the transaction that moves the records.
    """

    pk = models.CompositePrimaryKey("job_id", "budget_id")
    job = loose_key("jobs.Job")
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="grants")
    granted = models.BigIntegerField(default=0)
    used = models.BigIntegerField(default=0)  # spent, and in doubt
    reserved = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            # The last line of defence; the statements that write it keep it by themselves.
            models.CheckConstraint(
                condition=models.Q(granted__gte=models.F("used") + models.F("reserved")),
                name="grant_holds",
            )
        ]

    def __str__(self) -> str:
        return f"grant of job {self.job_id} from budget {self.budget_id}"
