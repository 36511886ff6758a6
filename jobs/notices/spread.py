"""A notice that was written finds its people, mailboxes and webhooks. The reconciler does it, seconds
after the notice; each step leaves what was done before as it is, so that to do it twice changes nothing.
"""

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

from jobs import queue
from jobs.models import (
    Channel,
    Delivery,
    DeliveryState,
    Errand,
    Membership,
    Notice,
    NoticeCopy,
    NoticeKind,
    NoticePreference,
    Role,
    Webhook,
)

AT_ONCE = 100
DELIVER = "jobs.notices.tasks.deliver"
# A deliverer says so often at least that it lives; silent for longer, another is called.
DELIVERER_SILENT = timedelta(seconds=60)


def spread_notices(now: datetime) -> None:
    """Spread what is not spread yet, and see to it that somebody delivers what is due."""
    waiting = Notice.objects.filter(spread_at__isnull=True).order_by("id")
    for notice in waiting.select_related("person")[:AT_ONCE]:
        with transaction.atomic():
            _spread(notice, now)
    _call_deliverer(now)


def _spread(notice: Notice, now: datetime) -> None:
    people = people_of(notice)
    NoticeCopy.objects.bulk_create(
        [NoticeCopy(notice=notice, user=user) for user in people], ignore_conflicts=True
    )
    wanted = {one.user_id: one for one in NoticePreference.objects.filter(user__in=people)}
    mailed = {
        user.email for user in people if user.email and _wants_mail(notice, wanted.get(user.pk))
    }
    targets: list[tuple[Channel, str, Webhook | None]] = [
        (Channel.EMAIL, address, None) for address in sorted(mailed)
    ]
    for webhook in Webhook.objects.filter(team_id=notice.team_id, removed_at__isnull=True):
        if notice.kind in webhook.kinds:
            targets.append((Channel.WEBHOOK, webhook.public_id, webhook))
    Delivery.objects.bulk_create(
        [
            Delivery(notice=notice, channel=channel, target=target, webhook=webhook, next_at=now)
            for channel, target, webhook in targets
        ],
        ignore_conflicts=True,
    )
    Notice.objects.filter(pk=notice.pk, spread_at__isnull=True).update(spread_at=now)


def people_of(notice: Notice) -> list[User]:
    """Whoever it is for, as far as they may see it now; where nobody is left, the leads."""
    members = Membership.objects.filter(team_id=notice.team_id, user__is_active=True)
    found = {}
    person = notice.person
    if (
        person is not None
        and person.is_active
        and (person.is_superuser or members.filter(user=person).exists())
    ):
        found[person.pk] = person
    if notice.role or not found:
        least = Role(notice.role or Role.LEAD)
        roles = [role.value for role in Role if role.rank >= least.rank]
        for membership in members.filter(role__in=roles).select_related("user"):
            found[membership.user_id] = membership.user
    return list(found.values())


def _wants_mail(notice: Notice, preference: NoticePreference | None) -> bool:
    wanted = preference or NoticePreference()
    if notice.kind in wanted.mail_off:
        return False
    return not NoticeKind(notice.kind).is_end or notice.lasted_s >= wanted.end_after_minutes * 60


def due_deliveries(now: datetime) -> Q:
    return Q(state=DeliveryState.WAITING, next_at__lte=now)


def _call_deliverer(now: datetime) -> None:
    if not Delivery.objects.filter(due_deliveries(now)).exists():
        return
    Errand.objects.get_or_create(name=DELIVER)
    free = Q(until__isnull=True) | Q(until__lte=now) | Q(until__gt=now + 2 * DELIVERER_SILENT)
    if Errand.objects.filter(free, name=DELIVER).update(until=now + DELIVERER_SILENT):
        queue.enqueue(DELIVER)
