"""What people and programs are told of, who has read it, and where it goes beyond the application."""

from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import Q

from jobs.models.fields import public_id
from jobs.models.teams import Role, Team


class NoticeKind(models.TextChoices):
    """The value is the event's name for programs."""

    JOB_COMPLETED = "job.completed", "Job completed"
    JOB_COMPLETED_WITH_FAILURES = "job.completed_with_failures", "Job completed with failures"
    JOB_FAILED = "job.failed", "Job failed"
    JOB_PAUSED = "job.paused", "Job paused itself"
    JOB_STALLED = "job.stalled", "Job stands still"
    BUDGET_WARNING = "budget.warning", "Budget: the warning was reached"
    BUDGET_STOP = "budget.stop", "Budget: the stop was reached"
    BUDGET_FORECAST = "budget.forecast", "Budget: the month will exceed it"
    LEDGER_DIFFERENCE = "ledger.difference", "The books of a job do not agree"
    MONTHLY_REPORT = "report.monthly", "Monthly report"

    @property
    def is_end(self) -> bool:
        return self in _ENDS

    @property
    def is_of_a_job(self) -> bool:
        return self.value.startswith("job.")


_ENDS = frozenset(
    {
        NoticeKind.JOB_COMPLETED,
        NoticeKind.JOB_COMPLETED_WITH_FAILURES,
        NoticeKind.JOB_FAILED,
    }
)


class Notice(models.Model):
    """One thing to be told, written in the transaction of what it tells of. `key` names that thing, so
    that it is told once, however often and by whomever it is found.

    Whom it reaches is settled a moment later (`spread_at`): copies for people, deliveries to mail and
    webhooks. It is told to `person`, to everybody of `role` or more, or to both.
    """

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=40, choices=NoticeKind)
    key = models.CharField(max_length=150, unique=True)
    title = models.CharField(max_length=300)
    body = models.TextField(blank=True)
    link = models.CharField(max_length=300)  # a path of this application
    facts = models.JSONField(default=list)  # [label, value] for people
    data = models.JSONField(default=dict)  # the same for programs
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    role = models.CharField(max_length=10, choices=Role, blank=True)
    # Of a job's end: how long it ran. A person says from which length on a mail is worth it.
    lasted_s = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    spread_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=Q(spread_at__isnull=True), name="notice_unspread"
            ),
            models.Index(fields=["team", "-id"], name="notice_team"),
        ]

    def __str__(self) -> str:
        return self.title


class NoticeCopy(models.Model):
    """A notice as one person has it in the application."""

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="copies")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_copies"
    )
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["notice", "user"], name="one_notice_copy")]
        indexes = [
            models.Index(fields=["user"], condition=Q(read_at__isnull=True), name="notice_unread")
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} for {self.user_id}"


class NoticePreference(models.Model):
    """What a person wants by mail. Without a row: everything, and job ends from `END_AFTER_MINUTES` on.
    In the application everything is shown."""

    END_AFTER_MINUTES = 10

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_preference"
    )
    mail_off = models.JSONField(default=list)  # kinds
    end_after_minutes = models.PositiveIntegerField(default=END_AFTER_MINUTES)

    def __str__(self) -> str:
        return f"preference of {self.user_id}"


class Webhook(models.Model):
    """An address of another program. The secret that signs is encrypted at rest and shown once."""

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    secret_encrypted = models.TextField()
    kinds = models.JSONField(default=list)
    # Since when every try has failed, and how the last one did; empty while all is well.
    failing_since = models.DateTimeField(null=True)
    failure = models.CharField(max_length=30, blank=True)
    message = models.CharField(max_length=300, blank=True)
    tried_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.host

    @property
    def host(self) -> str:
        """What may stand in a log: the path of some addresses is as good as a password."""
        return urlsplit(self.url).netloc


class Channel(models.TextChoices):
    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    GIVEN_UP = "given_up", "Given up"


class Delivery(models.Model):
    """A notice on its way to one target. The row is the intent: it is there before anything is sent,
    and says what became of it. A try begins by moving `next_at` on, so that no two processes make the
    same one; a process that dies in the middle of it leaves a delivery that is due again.
    """

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=10, choices=Channel)
    target = models.CharField(max_length=320)  # an address, or a webhook's id
    webhook = models.ForeignKey(
        Webhook, on_delete=models.CASCADE, null=True, related_name="deliveries"
    )
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    failure = models.CharField(max_length=30, blank=True)
    message = models.CharField(max_length=300, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["notice", "channel", "target"], name="one_delivery")
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="delivery_due")
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} by {self.channel}"
