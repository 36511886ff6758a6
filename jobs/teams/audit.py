"""The audit log: append-only."""

from typing import Any

from django.db.models import Model

from jobs.models import AuditEvent
from jobs.teams.access import Actor


def record(actor: Actor, action: str, target: Model, **detail: Any) -> None:
    """Write who did what to which object. `detail` holds no secret and no row's content."""
    AuditEvent.objects.create(
        team=actor.team,
        actor=actor.user,
        actor_name=actor.user.get_username(),
        action=action,
        object_type=target._meta.model_name or "",
        object_id=str(getattr(target, "public_id", target.pk)),
        detail=detail,
        address=actor.address,
    )
