"""Roll-ups of the ledger, and the calls made outside any job."""

from django.conf import settings
from django.db import models

from jobs.models.fields import loose_key, public_id
from jobs.models.jobs import Waste
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
    cache_write_1h_tokens = models.BigIntegerField(default=0, db_default=0)
    estimated_cost = models.BigIntegerField(default=0, db_default=0)  # part of `cost`
    # `wasted_cost` by its cause: see jobs.models.Waste.
    failed_cost = models.BigIntegerField(default=0, db_default=0)
    retried_cost = models.BigIntegerField(default=0, db_default=0)
    repaired_cost = models.BigIntegerField(default=0, db_default=0)
    superseded_cost = models.BigIntegerField(default=0, db_default=0)
    late_cost = models.BigIntegerField(default=0, db_default=0)
    # Against the same tokens at the plain input price; below 0 where writing the cache cost more.
    cache_savings = models.BigIntegerField(default=0, db_default=0)
    batch_savings = models.BigIntegerField(default=0, db_default=0)
    # Records that took a result instead of a call, and what those calls had cost.
    shared = models.BigIntegerField(default=0, db_default=0)
    reused = models.BigIntegerField(default=0, db_default=0)
    reuse_savings = models.BigIntegerField(default=0, db_default=0)

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
    day = models.DateField()  # on which it is booked (UTC)
    started_at = models.DateTimeField(auto_now_add=True)
    took_ms = models.IntegerField(default=0)
    failure_class = models.CharField(max_length=20, blank=True)
    input_tokens = models.IntegerField(default=0)
    cached_input_tokens = models.IntegerField(default=0)
    cache_write_tokens = models.IntegerField(default=0)
    cache_write_1h_tokens = models.IntegerField(default=0, db_default=0)
    output_tokens = models.IntegerField(default=0)
    usage_estimated = models.BooleanField(default=False)
    usage = models.TextField(blank=True)
    price = loose_key("jobs.Price", null=True)
    rates = models.CharField(max_length=120, blank=True, db_default="")
    cost = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["team", "-id"], name="direct_call_team")]

    def __str__(self) -> str:
        return f"{self.purpose} of {self.model}"


class CorrectionKind(models.TextChoices):
    REVALUED = "revalued", "Revalued at another price"
    RECONCILED = "reconciled", "Settled by what the provider counted"
    SUPERSEDED = "superseded", "Superseded by a replay"


class Correction(models.Model):
    """A line that corrects an attempt, whose own line stays as it is. Append-only; booked on the day on
    which it was made, so that a closed month never changes.

    What it adds (or takes away, below 0) stands in the columns: money in pico-USD.
    """

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=CorrectionKind)
    # The act that made it: one click or one file may correct many attempts.
    act = models.CharField(max_length=32, blank=True, db_index=True)
    job = loose_key("jobs.Job")
    n = models.IntegerField()
    number = models.IntegerField()  # of the attempt
    template_version = loose_key("jobs.TemplateVersion")
    connection = loose_key("jobs.Connection")
    model = models.CharField(max_length=200)
    day = models.DateField()
    input_tokens = models.IntegerField(default=0)
    cached_input_tokens = models.IntegerField(default=0)
    cache_write_tokens = models.IntegerField(default=0)
    cache_write_1h_tokens = models.IntegerField(default=0)
    output_tokens = models.IntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    wasted_cost = models.BigIntegerField(default=0)
    waste = models.CharField(max_length=10, choices=Waste, blank=True)  # of `wasted_cost`
    in_doubt_cost = models.BigIntegerField(default=0)
    in_doubt_calls = models.SmallIntegerField(default=0)
    unpriced_calls = models.SmallIntegerField(default=0)
    estimated_cost = models.BigIntegerField(default=0)
    cache_savings = models.BigIntegerField(default=0)
    batch_savings = models.BigIntegerField(default=0)
    price = loose_key("jobs.Price", null=True)
    rates = models.CharField(max_length=120, blank=True, default="")
    note = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["job", "n", "number"], name="correction_attempt")]

    def __str__(self) -> str:
        return f"{self.kind} attempt {self.number} of record {self.n}"


class Reconciliation(models.Model):
    """A provider's account of its calls that was read, and what of it settles calls in doubt.

    `found` holds [job, row, attempt, line, input, cached, written, written for an hour, output, cost],
    `absent` [job, row, attempt], `bad` [line, reason]. Money is in pico-USD.
    """

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey("jobs.Connection", on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)  # of the file
    covers_from = models.DateTimeField(null=True)
    covers_to = models.DateTimeField(null=True)
    lines = models.IntegerField()
    found = models.JSONField(default=list)
    absent = models.JSONField(default=list)
    bad = models.JSONField(default=list)
    bad_lines = models.IntegerField(default=0)
    doubts = models.IntegerField()  # on the connection when it was read
    settled = models.IntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    doubt = models.BigIntegerField(default=0)  # taken off
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    applied_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    applied_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["team", "-id"], name="reconciliation_team")]

    def __str__(self) -> str:
        return f"account {self.name}"


class Revaluation(models.Model):
    """A job valued anew from a day on, because somebody said so. Applied in the background by chunks:
    `applied_to` is the last row that was looked at. Money is in pico-USD.
    """

    public_id = public_id()
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="revaluations")
    day_from = models.DateField()
    applied_to = models.IntegerField(default=0)
    lines = models.IntegerField(default=0)  # corrections made
    difference = models.BigIntegerField(default=0)
    without_price = models.IntegerField(default=0)  # calls whose price is unknown still
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # One at a time: two would look at the same lines.
            models.UniqueConstraint(
                fields=["job"],
                condition=models.Q(finished_at__isnull=True),
                name="one_open_revaluation",
            )
        ]

    def __str__(self) -> str:
        return f"revaluation of job {self.job_id} from {self.day_from}"


class ClosedMonth(models.Model):
    """A month of a team whose figures never change again; `totals` is what they were."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="closed_months")
    month = models.DateField()  # its first day
    totals = models.JSONField(default=dict)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    closed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "month"], name="one_close")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} of team {self.team_id}"
