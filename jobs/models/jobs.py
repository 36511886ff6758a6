"""Jobs, their records, attempts, leases and replays: the tables the engine lives on.

`docs/state-machines.md` draws the arrows; `docs/life-of-a-record.md` tells the story.
"""

from django.conf import settings
from django.db import models

from jobs.models.connections import Connection
from jobs.models.datasets import Dataset
from jobs.models.fields import loose_key, public_id
from jobs.models.prompts import TemplateVersion
from jobs.models.teams import Team


class JobStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    CANCELLING = "cancelling", "Cancelling"
    CANCELLED = "cancelled", "Cancelled"
    COMPLETED = "completed", "Completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures", "Completed with failures"
    FAILED = "failed", "Failed"

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL

    @property
    def is_runnable(self) -> bool:
        """Slices may claim its records."""
        return self in (JobStatus.QUEUED, JobStatus.RUNNING)

    @property
    def takes_rows(self) -> bool:
        """Rows that nobody has called for yet may still be."""
        return not self.is_terminal and self is not JobStatus.CANCELLING

    @property
    def actions(self) -> tuple[str, ...]:
        """What a person may do now; list, page, API and service all read it here."""
        return _ACTIONS[self]


_TERMINAL = frozenset(
    {
        JobStatus.CANCELLED,
        JobStatus.COMPLETED,
        JobStatus.COMPLETED_WITH_FAILURES,
        JobStatus.FAILED,
    }
)
_ACTIONS: dict[JobStatus, tuple[str, ...]] = {
    JobStatus.QUEUED: ("pause", "cancel", "clone"),
    JobStatus.RUNNING: ("pause", "cancel", "replay", "clone"),
    JobStatus.PAUSED: ("resume", "cancel", "replay", "clone"),
    JobStatus.CANCELLING: ("clone",),
    JobStatus.CANCELLED: ("replay", "clone"),
    JobStatus.COMPLETED: ("replay", "clone"),
    JobStatus.COMPLETED_WITH_FAILURES: ("replay", "clone"),
    JobStatus.FAILED: ("replay", "clone"),
}


class StatusReason(models.TextChoices):
    """Why a job is in its status, where the status alone does not say."""

    NONE = "", ""
    PERSON = "person", "Paused by a person"
    BUDGET = "budget", "Budget used up"
    AUTHENTICATION = "authentication", "Key refused"
    PERMISSION = "permission", "Not permitted"
    QUOTA = "quota_exhausted", "Credit exhausted"
    MODEL_NOT_FOUND = "model_not_found", "Model not found"
    FAILURE_RATE = "failure_rate", "Too many rows fail"
    RUNAWAY = "runaway", "Calls or cost out of hand"
    PROVIDER_DOWN = "provider_down", "The provider is down"
    CONNECTION_REMOVED = "connection_removed", "The connection was removed"
    NO_KEY = "no_key", "The connection has no usable key"
    NO_PRICE = "no_price", "The price is unknown, and a budget must hold"
    PILOT = "pilot", "The pilot is done"
    TEMPLATE = "template", "The template cannot be compiled"


class RecordStatus(models.IntegerChoices):
    PENDING = 0, "pending"
    RUNNING = 1, "running"
    SUCCEEDED = 2, "succeeded"
    FAILED = 3, "failed"
    CANCELLED = 4, "cancelled"


class Scan(models.TextChoices):
    """Whether rows that need no call of their own are still being looked for."""

    NONE = "", ""
    FIRST = "first", "Claims wait for it"
    BESIDE = "beside", "Claims go on beside it"


class Job(models.Model):
    """Dataset x template version x connection x model x parameters, with its limits and counters.

    The counters are settled in the transaction that changes the records; `pending` includes the
    records that are not there yet (`expanded < total`). Money is in pico-USD.
    """

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="jobs")
    name = models.CharField(max_length=200)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="jobs")
    template_version = models.ForeignKey(
        TemplateVersion, on_delete=models.PROTECT, related_name="jobs"
    )
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="jobs")
    model = models.CharField(max_length=200)
    mode = models.CharField(max_length=10, default="realtime")
    parameters = models.JSONField(default=dict)
    tags = models.JSONField(default=dict)
    # {} all | {limit} | {sample, seed}; beside it, the numbers of the rows of its `pilot`.
    selection = models.JSONField(default=dict)
    priority = models.IntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    # Of the attempts, how many may show the model its answer and what is wrong with it.
    max_repairs = models.PositiveSmallIntegerField(default=1)
    tolerated_failure_rate = models.FloatField(default=0.3)
    budget = models.BigIntegerField(null=True)
    max_cost_per_minute = models.BigIntegerField(null=True)  # above it, it runs away and pauses
    # Rows whose requests are the same are called once, and share the result.
    share_duplicates = models.BooleanField(default=True, db_default=True)
    # Rows that an earlier job of the team has asked just so may take its result.
    reuse = models.BooleanField(default=False, db_default=False)
    # What is looked for before rows may take results, and until when whoever looks has said so:
    # see jobs.engine.twins. `borrows` counts the rows of `Borrowed`.
    scan = models.CharField(max_length=6, blank=True, choices=Scan, db_default="")
    scan_until = models.DateTimeField(null=True)
    borrows = models.IntegerField(default=0, db_default=0)
    # While it is not 0: so many rows go first, and then the job pauses for a person to look at them.
    pilot_rows = models.PositiveIntegerField(default=0, db_default=0)
    estimate = models.JSONField(default=dict)  # of what it costs: see jobs.costs.estimate

    status = models.CharField(max_length=25, choices=JobStatus, default=JobStatus.QUEUED)
    status_reason = models.CharField(max_length=25, choices=StatusReason, blank=True)
    status_detail = models.TextField(blank=True)  # a sentence, free of secrets
    status_at = models.DateTimeField(null=True)
    # Failures that a person has seen and resumed over: the threshold counts from here.
    excused_succeeded = models.IntegerField(default=0)
    excused_failed = models.IntegerField(default=0)
    watch = models.JSONField(default=dict)  # what the breakers look at: jobs.engine.breakers.Watch

    total = models.IntegerField()
    expanded = models.IntegerField(default=0)  # records that exist
    cursor = models.IntegerField(default=0)  # claims have walked the key up to this n
    pending = models.IntegerField(default=0)
    running = models.IntegerField(default=0)
    succeeded = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    cancelled = models.IntegerField(default=0)

    attempts = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    cached_input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    wasted_cost = models.BigIntegerField(default=0)
    in_doubt_cost = models.BigIntegerField(default=0)
    in_doubt_attempts = models.IntegerField(default=0)
    unpriced_attempts = models.BigIntegerField(default=0)  # charged or in doubt, price unknown
    estimated_attempts = models.BigIntegerField(default=0)  # usage not reported by the provider
    estimated_cost = models.BigIntegerField(default=0, db_default=0)  # what those cost
    shared = models.IntegerField(default=0, db_default=0)  # results taken from a row of this job
    reused = models.IntegerField(default=0, db_default=0)  # results taken from an earlier job
    reserved = models.BigIntegerField(default=0)
    # Whether its team has budgets: true once there is one. Null: not looked yet.
    budgeted = models.BooleanField(null=True)
    refusal = models.JSONField(
        default=dict, db_default={}
    )  # of a budget: jobs.costs.budgets.Refusal

    launch_key = models.CharField(max_length=64, blank=True)  # one launch per filled-in form
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)  # its books, since it ended
    difference = models.TextField(blank=True, db_default="")  # the first that was found in them

    class Meta:
        indexes = [
            models.Index(fields=["team", "-id"], name="job_team"),
            models.Index(fields=["team", "created_at"], name="job_created"),
            models.Index(
                fields=["team", "name"], name="job_name"
            ),  # the history of one of its name
            models.Index(fields=["status"], name="job_status"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "launch_key"],
                condition=~models.Q(launch_key=""),
                name="one_launch_per_form",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> JobStatus:
        return JobStatus(self.status)


class Record(models.Model):
    """The state of row `n` of one job. Shape measured: no index names `status`, so that updates
    stay inside the page; claims walk the key from the job's cursor, and what lies behind the cursor
    again is found through `Due`.

    `failure_class` is set exactly while `status` is failed; its partial index therefore costs
    succeeded records nothing.
    """

    pk = models.CompositePrimaryKey("job_id", "n")
    job = loose_key("jobs.Job")
    n = models.IntegerField()
    status = models.SmallIntegerField(choices=RecordStatus, default=RecordStatus.PENDING)
    lease = models.CharField(max_length=32, null=True)  # token of the claim that holds it
    calls = models.IntegerField(default=0)  # claims made: the number of the last attempt
    tries = models.SmallIntegerField(default=0)  # of them, the ones that used up an attempt
    deaths = models.SmallIntegerField(default=0)  # workers that died holding it
    reserved = models.BigIntegerField(default=0)
    generation = models.SmallIntegerField(default=0)  # replays it went through
    replay = loose_key("jobs.Replay", null=True)
    failure_class = models.CharField(max_length=20, null=True)
    fingerprint = models.CharField(max_length=12, null=True)
    message = models.TextField(null=True)  # why it failed, or why its last replay brought nothing
    output = models.TextField(null=True)  # the one accepted result: text, or JSON text
    model = models.CharField(max_length=200, null=True)  # as the provider returned it
    cost = models.BigIntegerField(default=0)  # all its attempts
    finished_at = models.DateTimeField(null=True)
    # Set where the result is older than the last replay, which has brought none (yet): the replay it
    # came from, 0 for none. Such a record ends as succeeded whatever becomes of the replay.
    kept_from = models.BigIntegerField(null=True)
    # Whose answer the result is, where no call was made for it: a record of this job or another.
    source_job = loose_key("jobs.Job", null=True)
    source_n = models.IntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["job", "failure_class", "fingerprint", "n"],
                condition=models.Q(failure_class__isnull=False),
                name="record_failures",
            )
        ]

    def __str__(self) -> str:
        return f"record {self.n}"

    @property
    def result_replay_id(self) -> int | None:
        """The replay whose result it has, or whose it would have; None for the first run."""
        return self.replay_id if self.kept_from is None else self.kept_from or None


class DueReason(models.TextChoices):
    RETRY = "retry", "Waiting to be retried"
    RATE_LIMIT = "rate_limit", "Waiting for the rate limit"
    RETURNED = "returned", "Given back by a worker"
    REPLAY = "replay", "To be replayed"
    PILOT = "pilot", "Goes first, as part of the pilot"
    TWIN = "twin", "Waiting for the answer to another row with the same request"


class Due(models.Model):
    """A pending record that does not wait for its job's cursor, and when it may be claimed: it lies
    behind it, or goes first.

    A pointer, not the truth: `Record.status` is. The reconciler puts back what is missing here.
    """

    pk = models.CompositePrimaryKey("job_id", "n")
    job = loose_key("jobs.Job")
    n = models.IntegerField()
    not_before = models.DateTimeField()
    reason = models.CharField(max_length=10, choices=DueReason)

    class Meta:
        indexes = [models.Index(fields=["job", "not_before"], name="due_when")]

    def __str__(self) -> str:
        return f"record {self.n} from {self.not_before}"


class Borrowed(models.Model):
    """A record that need not be called for, if the result of another one is there when its turn comes:
    that of a row of the same job with the same request, or (`from_number`) the answer to an attempt of
    an earlier job. A hint that is used up with the record's first claim; what came of it stands in the
    record (`Record.source_job`).
    """

    pk = models.CompositePrimaryKey("job_id", "n")
    job = loose_key("jobs.Job")
    n = models.IntegerField()
    from_job = loose_key("jobs.Job")
    from_n = models.IntegerField()
    from_number = models.IntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["job", "from_n"], name="borrowed_from")]

    def __str__(self) -> str:
        return f"record {self.n} from {self.from_n}"


class Lease(models.Model):
    """One claim: some records of one job held by one slice until `until`. Its token is new for each
    claim and is the fence: a write that does not carry the token a record holds is late.
    """

    token = models.CharField(max_length=32, primary_key=True)
    job = loose_key("jobs.Job")
    worker = models.CharField(max_length=32, db_index=True)  # Worker.id, random per slice
    until = models.DateTimeField(db_index=True)
    day = models.DateField()  # of the claim, in UTC: its calls are booked on it
    records = models.JSONField()  # the n of the records claimed

    def __str__(self) -> str:
        return self.token


class AttemptOutcome(models.TextChoices):
    ACCEPTED = "accepted", "Accepted"  # its answer is the record's result
    FAILED = "failed", "Failed"
    SUPERSEDED = (
        "superseded",
        "Superseded by replay",
    )  # was the result until a replay's took its place
    LATE = "late", "Late duplicate"  # answered after the lease was lost: a cost, never a result
    IN_DOUBT = "in_doubt", "In doubt"  # sent, answer unseen: may have been charged


class Purpose(models.TextChoices):
    FIRST = "first", "First try"
    RETRY = "retry", "Retry"
    REPAIR = "repair", "Repair"
    REPLAY = "replay", "Replay"
    PILOT = "pilot", "Pilot"
    TRY = "try", "Template try"
    TEST = "test", "Connection test"
    PROBE = "probe", "Probe of a provider that was down"
    GOLDEN = "golden", "Golden row"


class Waste(models.TextChoices):
    """Why what a call cost brought no result that counts."""

    FAILED = "failed", "Failed for good"
    RETRIED = "retried", "Failed, then tried again"
    REPAIRED = "repaired", "Unusable, then shown to the model to be repaired"
    SUPERSEDED = "superseded", "Superseded by a replay"
    LATE = "late", "Late duplicate"


class Attempt(models.Model):
    """One call to a provider for a record: a line of the cost ledger. Append-only, but for two
    arrows: an attempt in doubt is settled when its answer turns up late, and an accepted one is
    superseded when a replay's answer is accepted instead.

    `cost` is null when the price is unknown; an attempt in doubt carries its highest possible cost.
    """

    pk = models.CompositePrimaryKey("job_id", "n", "number")
    job = loose_key("jobs.Job")
    n = models.IntegerField()
    number = models.IntegerField()
    outcome = models.CharField(max_length=10, choices=AttemptOutcome)
    purpose = models.CharField(max_length=10, choices=Purpose)
    generation = models.SmallIntegerField(default=0)
    replay = loose_key("jobs.Replay", null=True)
    template_version = loose_key("jobs.TemplateVersion")
    connection = loose_key("jobs.Connection")
    model = models.CharField(max_length=200)  # as asked for
    model_returned = models.CharField(max_length=200, blank=True)
    worker = models.CharField(max_length=32)
    # The day (UTC) on which its money was reserved, which is the one it is booked on: its budget's
    # month, too. The call may leave a moment later.
    day = models.DateField()
    started_at = models.DateTimeField()
    waited_ms = models.IntegerField(default=0)  # from claim to sending
    took_ms = models.IntegerField(default=0)
    http_status = models.SmallIntegerField(null=True)
    provider_request_id = models.CharField(max_length=200, blank=True)
    failure_class = models.CharField(max_length=20, blank=True)
    message = models.TextField(blank=True)
    retry_after_ms = models.IntegerField(null=True)
    input_tokens = models.IntegerField(default=0)
    cached_input_tokens = models.IntegerField(default=0)
    cache_write_tokens = models.IntegerField(default=0)  # kept for five minutes
    cache_write_1h_tokens = models.IntegerField(default=0, db_default=0)
    output_tokens = models.IntegerField(default=0)
    reasoning_tokens = models.IntegerField(default=0)
    usage_estimated = models.BooleanField(default=False)
    usage = models.TextField(blank=True)  # as received
    price = loose_key("jobs.Price", null=True)
    # What it was valued with, by value: see jobs.costs.pricing.Rates. Blank: no price.
    rates = models.CharField(max_length=120, blank=True, db_default="")
    cost = models.BigIntegerField(null=True)
    waste = models.CharField(max_length=10, choices=Waste, blank=True, db_default="")
    # The day on which a later change of this line is booked, where the month of `day` was closed.
    amended_on = models.DateField(null=True)
    # Of the whole request; two calls with the same key asked the same of the same model.
    request_key = models.UUIDField(null=True)
    request = models.TextField(null=True)  # the body sent, kept by the team's policy
    answer = models.TextField(null=True)  # the body received, kept by the team's policy

    class Meta:
        indexes = [
            # Few are, and they are looked for in the whole ledger.
            models.Index(
                fields=["connection"],
                condition=models.Q(outcome="in_doubt"),
                name="attempt_in_doubt",
            )
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of record {self.n}"


class RowEdit(models.Model):
    """The row a replay sends instead of the dataset's, which stays as it is. The newest counts."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    n = models.IntegerField()
    replay = models.ForeignKey("jobs.Replay", on_delete=models.CASCADE, related_name="edits")
    data = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "n", "replay"], name="one_edit_per_replay")
        ]

    def __str__(self) -> str:
        return f"edit of row {self.n}"


class Replay(models.Model):
    """Failed or chosen records of a job sent again, perhaps with changes. Applied in the background by
    chunks: `applied_to` is the last n that was looked at.

    The null fields mean "as in the job". Counts say what became of the records it sent.
    """

    public_id = public_id()
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="replays")
    key = models.CharField(max_length=64)  # one replay per filled-in form
    filter = models.JSONField(default=dict)  # {failure_class?, fingerprint?, rows?, status?}
    template_version = models.ForeignKey(
        TemplateVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, null=True, related_name="+"
    )
    model = models.CharField(max_length=200, blank=True)
    parameters = models.JSONField(default=dict)  # laid over the job's
    asked = models.IntegerField(default=0)  # records that matched when it was asked for
    applied_to = models.IntegerField(default=0)
    applied_at = models.DateTimeField(null=True)  # when all had been sent back to pending
    sent = models.IntegerField(default=0)  # records it put back to pending
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "key"], name="one_replay_per_form")]

    def __str__(self) -> str:
        return f"replay {self.public_id} of job {self.job_id}"
