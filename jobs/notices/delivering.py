"""Deliveries that are due leave: mail to the mail server, webhooks to their receivers.

A try that fails is made again after 10 s, 1 min, 5 min, 30 min, 2 h, 6 h and 12 h; after the eighth, or
two days, the delivery is given up. A target in trouble is not asked anew for every notice that waits for
it: they wait together. Some deliveries leave at a time, few of them for one target, so that a receiver
which hangs holds up nobody else. Nothing here runs within a request or a slice.

Not guaranteed: that a target sees a notice once where a worker dies between sending and noting it. The
id that goes with it is the same then.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs.models import Channel, Delivery, DeliveryState, Errand, Webhook
from jobs.notices.failing import Failed
from jobs.notices.mail import send_notice
from jobs.notices.posting import DEADLINE_S, event_of, post
from jobs.notices.spread import DELIVER, DELIVERER_SILENT, due_deliveries

WAITS = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1_800, 7_200, 21_600, 43_200))
KEPT_UP = timedelta(days=2)
AT_ONCE = 16
PER_TARGET = 4
# Whoever began a try and says nothing for so long has died with it.
TRY_AT_MOST = timedelta(seconds=12 * DEADLINE_S)


def deliver_due(told_to_stop: Callable[[], bool]) -> None:
    """Until nothing is due. Two processes at a time do no harm: a delivery is begun by one of them."""
    while not told_to_stop():
        now = timezone.now()
        Errand.objects.filter(name=DELIVER).update(until=now + DELIVERER_SILENT)
        begun = _begin(now)
        if not begun:
            break
        # Threads send and nothing else: the database is this thread's alone.
        with ThreadPoolExecutor(len(begun), thread_name_prefix="deliver") as threads:
            sending = {threads.submit(_send, delivery, now): delivery for delivery in begun}
            for done in as_completed(sending):
                _settle(sending[done], done.result(), timezone.now())
    Errand.objects.filter(name=DELIVER).update(until=None)


def _begin(now: datetime) -> list[Delivery]:
    """Some of those that are due, the longest due first. What is theirs no more is dropped."""
    waiting = Delivery.objects.filter(due_deliveries(now))
    waiting.filter(webhook__removed_at__isnull=False).update(
        state=DeliveryState.GIVEN_UP, settled_at=now
    )
    found = waiting.select_related("notice__team", "webhook__team").order_by("next_at", "id")
    begun: list[Delivery] = []
    of_target: Counter[str] = Counter()
    for delivery in found[: AT_ONCE * PER_TARGET]:
        if len(begun) == AT_ONCE:
            break
        if of_target[delivery.target] == PER_TARGET:
            continue
        mine = Delivery.objects.filter(pk=delivery.pk, next_at=delivery.next_at)
        if mine.filter(state=DeliveryState.WAITING).update(
            next_at=now + TRY_AT_MOST, attempts=F("attempts") + 1
        ):
            of_target[delivery.target] += 1
            delivery.attempts += 1
            begun.append(delivery)
    return begun


def _send(delivery: Delivery, now: datetime) -> Failed | None:
    if delivery.channel == Channel.EMAIL:
        return send_notice(delivery)
    assert delivery.webhook is not None
    return post(delivery.webhook, event_of(delivery.notice), now)


def _settle(delivery: Delivery, failed: Failed | None, now: datetime) -> None:
    own = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING)
    if delivery.webhook is not None:
        webhook_tried(delivery.webhook, failed, now)
    if failed is None:
        own.update(state=DeliveryState.SENT, failure="", message="", settled_at=now)
        return
    told = {"failure": failed.failing.value, "message": failed.message[:300]}
    tried_out = delivery.attempts > len(WAITS) or delivery.notice.created_at < now - KEPT_UP
    if failed.for_good or tried_out:
        own.update(state=DeliveryState.GIVEN_UP, settled_at=now, **told)
        return
    again = now + WAITS[delivery.attempts - 1]
    own.update(next_at=again, **told)
    if failed.of_target:
        there = (
            Q(channel=Channel.EMAIL) if delivery.webhook is None else Q(webhook=delivery.webhook)
        )
        others = Delivery.objects.filter(there, state=DeliveryState.WAITING, next_at__lt=again)
        others.update(next_at=again)


def webhook_tried(webhook: Webhook, failed: Failed | None, now: datetime) -> None:
    """What its page says of it."""
    found = Webhook.objects.filter(pk=webhook.pk)
    if failed is None:
        found.update(failing_since=None, failure="", message="", tried_at=now)
        return
    found.update(
        failing_since=Coalesce(F("failing_since"), now),
        failure=failed.failing.value,
        message=failed.message[:300],
        tried_at=now,
    )
