"""Teams, who belongs to them, their tokens, and the audit log."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models

from jobs.models.fields import public_id


class Role(models.TextChoices):
    OPERATOR = "operator", "Operator"
    LEAD = "lead", "Team lead"
    ADMIN = "admin", "Admin"

    @property
    def rank(self) -> int:
        return [Role.OPERATOR, Role.LEAD, Role.ADMIN].index(self)


class KeepAnswers(models.TextChoices):
    FAILURES = "failures", "Raw answers of failed attempts only"
    ALL = "all", "Raw answers of every attempt"
    NONE = "none", "No raw answers"


class Team(models.Model):
    public_id = public_id()
    name = models.CharField(max_length=100, unique=True)
    keep_answers = models.CharField(
        max_length=10, choices=KeepAnswers, default=KeepAnswers.FAILURES
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=10, choices=Role, default=Role.OPERATOR)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership")]

    def __str__(self) -> str:
        return f"{self.user} in {self.team} as {self.role}"


class ApiToken(models.Model):
    """A program's key to the API. The token itself is shown once and stored as a hash.

    It never carries more than its user's role in the team at the time of the call.
    """

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="api_tokens")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    role = models.CharField(max_length=10, choices=Role, default=Role.OPERATOR)
    name = models.CharField(max_length=100, blank=True)
    prefix = models.CharField(max_length=12)
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name or 'token'} {self.prefix}…"


class AppendOnlyQuerySet(models.QuerySet["AuditEvent"]):
    def update(self, **_: Any) -> NoReturn:
        raise TypeError("The audit log is append-only")

    def delete(self) -> NoReturn:
        raise TypeError("The audit log is append-only")


class AuditEvent(models.Model):
    """Who did what to which object, when, from where. Append-only: what is written is neither changed
    nor deleted by any code of ours. Not guaranteed against whoever holds the database itself.
    """

    at = models.DateTimeField(auto_now_add=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, related_name="+")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    actor_name = models.CharField(max_length=150)  # kept when the account is gone
    action = models.CharField(max_length=50)  # "job.pause"
    object_type = models.CharField(max_length=30)
    object_id = models.CharField(max_length=40)
    detail = models.JSONField(default=dict)
    address = models.GenericIPAddressField(null=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["team", "-id"], name="audit_team"),
            models.Index(fields=["object_type", "object_id"], name="audit_object"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.actor_name} {self.action} {self.object_id}"

    def save(self, **options: Any) -> None:
        if not self._state.adding:
            raise TypeError("The audit log is append-only")
        super().save(**options)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("The audit log is append-only")


class IdempotencyKey(models.Model):
    """The answer to a POST that was already carried out, given again for the same key.

    `request_hash` tells a repeated request from another one under the same key. A row whose
    `status` is still 0 belongs to a request in progress.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return self.key
