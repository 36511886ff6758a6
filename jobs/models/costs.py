"""Roll-ups of the ledger, and the calls made outside any job."""

from django.conf import settings
from django.db import models

from jobs.models.fields import loose_key, public_id
from jobs.models.teams import Team


class CostRollup(models.Model):
    """Sums of the ledger by job, template version, connection, model and day (UTC), settled in the
    transaction that writes the attempts. `job_id` 0 holds the calls made outside any job.
    """

    job_id = models.BigIntegerField()
    template_version_id = models.BigIntegerField()  # 0: none
    connection_id = models.BigIntegerField()
    model = models.CharField(max_length=200)
    day = models.DateField()
    team_id = models.BigIntegerField()
    calls = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    cached_input_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    wasted_cost = models.BigIntegerField(default=0)
    in_doubt_cost = models.BigIntegerField(default=0)
    in_doubt_calls = models.BigIntegerField(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    estimated_calls = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "job_id",
                    "template_version_id",
                    "connection_id",
                    "model",
                    "day",
                    "team_id",
                ],
                name="one_rollup",
            )
        ]
        indexes = [models.Index(fields=["team_id", "day"], name="rollup_team_day")]

    def __str__(self) -> str:
        return f"{self.day} job {self.job_id} {self.model}"


class Throughput(models.Model):
    """What a job settled in ten seconds; feeds rate, ETA and the charts. Pruned after two days."""

    pk = models.CompositePrimaryKey("job_id", "at")
    job_id = models.BigIntegerField()
    at = models.DateTimeField(db_index=True)  # start of the ten seconds
    team_id = models.BigIntegerField()
    succeeded = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    calls = models.IntegerField(default=0)
    rate_limited = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.at} job {self.job_id}"


class DirectCall(models.Model):
    """A call outside any job, made by a person's click: a template try or a connection test.
    A line of the ledger like an attempt. The row is written before the call leaves, in doubt.
    """

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    purpose = models.CharField(max_length=10)  # try | test
    outcome = models.CharField(max_length=10, default="in_doubt")
    template = loose_key("jobs.PromptTemplate", null=True)
    connection = loose_key("jobs.Connection")
    model = models.CharField(max_length=200)
    model_returned = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    took_ms = models.IntegerField(default=0)
    failure_class = models.CharField(max_length=20, blank=True)
    input_tokens = models.IntegerField(default=0)
    cached_input_tokens = models.IntegerField(default=0)
    cache_write_tokens = models.IntegerField(default=0)
    output_tokens = models.IntegerField(default=0)
    usage_estimated = models.BooleanField(default=False)
    usage = models.TextField(blank=True)
    price = loose_key("jobs.Price", null=True)
    cost = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["team", "-id"], name="direct_call_team")]

    def __str__(self) -> str:
        return f"{self.purpose} of {self.model}"
