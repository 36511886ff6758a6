"""What a person does with their notices: mark them as read, say which are worth a mail."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from jobs.models import NoticeCopy, NoticePreference
from jobs.teams.access import Actor
from jobs.teams.audit import record


def notices_mark_read(*, actor: Actor, copy: NoticeCopy | None = None) -> int:
    """One's own, in the current team: one of them, or all. Returns how many were unread."""
    found = NoticeCopy.objects.filter(
        user=actor.user, notice__team=actor.team, read_at__isnull=True
    )
    if copy is not None:
        found = found.filter(pk=copy.pk)
    return found.update(read_at=timezone.now())


def preference_of(user: User) -> NoticePreference:
    """As stored, or what holds without."""
    return NoticePreference.objects.filter(user=user).first() or NoticePreference(user=user)


def preference_save(
    *,
    user: User,
    actor: Actor | None,
    email: str,
    mail_off: Sequence[str],
    end_after_minutes: int,
) -> None:
    """`actor` is the same person in a team, whose log it is then told to; None in no team."""
    with transaction.atomic():
        changed = user.email != email
        if changed:
            user.email = email
            user.save(update_fields=["email"])
        told = {"mail_off": sorted(mail_off), "end_after_minutes": end_after_minutes}
        NoticePreference.objects.update_or_create(user=user, defaults=told)
        if actor is not None:
            record(actor, "account.notices", user, address_changed=changed, **told)
