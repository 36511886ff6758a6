"""Webhooks of a team: added with a secret that is shown once, tried, changed, taken away.

The address of one never changes: another address is another webhook with a secret of its own.
"""

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from jobs.errors import Conflict, FieldError, Invalid
from jobs.models import NoticeKind, Webhook
from jobs.notices.delivering import webhook_tried
from jobs.notices.failing import Failed
from jobs.notices.posting import new_secret, post, test_event
from jobs.providers.guard import AddressRefused, check_url
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.crypto import encrypt
from jobs.teams.policy import Action

# Each is another request for every notice.
MOST = 20


def webhook_add(*, actor: Actor, url: str, kinds: Sequence[str]) -> tuple[Webhook, str]:
    """A new webhook and its secret, which nothing can show again. Raises Invalid and Conflict."""
    actor.require(Action.WEBHOOK_WRITE)
    errors, url = [], url.strip()
    try:
        if len(url) > 500:
            raise AddressRefused("At most 500 characters")
        check_url(url, settings.ALLOW_PRIVATE_ADDRESSES)
    except AddressRefused as refusal:
        errors.append(FieldError(("url",), str(refusal)))
    wanted = _checked(kinds, errors)
    if Webhook.objects.filter(team=actor.team, removed_at__isnull=True).count() >= MOST:
        raise Conflict(f"A team has at most {MOST} webhooks. Remove one that is not used any more.")
    secret = new_secret()
    with transaction.atomic():
        webhook = Webhook.objects.create(
            team=actor.team,
            url=url,
            secret_encrypted=encrypt(secret),
            kinds=wanted,
            created_by=actor.user,
        )
        record(actor, "webhook.add", webhook, host=webhook.host, kinds=", ".join(wanted))
    return webhook, secret


def webhook_change(*, actor: Actor, webhook: Webhook, kinds: Sequence[str]) -> None:
    """Raises Invalid."""
    actor.require(Action.WEBHOOK_WRITE)
    wanted = _checked(kinds, [])
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook.pk).update(kinds=wanted)
        record(actor, "webhook.change", webhook, host=webhook.host, kinds=", ".join(wanted))


def webhook_remove(*, actor: Actor, webhook: Webhook) -> None:
    """What waits for it is dropped; its secret is erased."""
    actor.require(Action.WEBHOOK_WRITE)
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook.pk).update(removed_at=timezone.now(), secret_encrypted="")
        record(actor, "webhook.remove", webhook, host=webhook.host)


def webhook_test(*, actor: Actor, webhook: Webhook) -> Failed | None:
    """Post an event of the type `webhook.test` now, once. None when the receiver took it."""
    actor.require(Action.WEBHOOK_WRITE)
    now = timezone.now()
    failed = post(webhook, test_event(webhook, now), now)
    with transaction.atomic():
        webhook_tried(webhook, failed, now)
        outcome = failed.failing.value if failed else "ok"
        record(actor, "webhook.test", webhook, host=webhook.host, outcome=outcome)
    return failed


def _checked(kinds: Sequence[str], errors: list[FieldError]) -> list[str]:
    """The kinds in their order. Raises Invalid with these errors and its own."""
    wanted = [kind for kind in NoticeKind.values if kind in kinds]
    if not wanted:
        errors.append(FieldError(("kinds",), "Choose at least one"))
    if unknown := set(kinds) - set(NoticeKind.values):
        errors.append(FieldError(("kinds",), f"There is no “{min(unknown)[:40]}”"))
    if errors:
        raise Invalid(errors)
    return wanted
