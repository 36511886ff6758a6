"""A notice leaves once by each channel; a target in trouble loses nothing and holds up nobody."""

import json
import re
from contextlib import ExitStack
from datetime import timedelta
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.test import override_settings
from django.utils import timezone
from django_q.models import OrmQ

from jobs.models import (
    Delivery,
    DeliveryState,
    Notice,
    NoticeCopy,
    NoticeKind,
    NoticePreference,
    Role,
    Webhook,
)
from jobs.notices import delivering, posting
from jobs.notices.delivering import WAITS, deliver_due
from jobs.notices.posting import new_secret
from jobs.notices.spread import spread_notices
from jobs.notices.write import notice_write
from jobs.teams.crypto import encrypt
from tests.cast import Cast, cast  # noqa: F401
from tests.notices.receivers import mail_server, receiving
from tests.providers.stand_in import Asked, Writer, answer, saying, silence

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = new_secret()
GUIDE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
OK = answer(b"")


def tell(cast: Cast, **more: Any) -> None:  # noqa: F811
    told: dict[str, Any] = {
        "team_id": cast.team.pk,
        "kind": NoticeKind.BUDGET_STOP,
        "key": "budget:1:stop",
        "title": "The budget is <used> up",
        "body": "Raise it, or wait for the next month.",
        "link": "/costs/",
        "facts": [("Spent", "$10.00")],
        "data": {"spent": "10.00"},
        "role": Role.LEAD,
        "at": timezone.now(),
    }
    notice_write(**(told | more))


def webhook(cast: Cast, url: str, *kinds: NoticeKind) -> Webhook:  # noqa: F811
    return Webhook.objects.create(
        team=cast.team,
        url=url,
        secret_encrypted=encrypt(SECRET),
        kinds=list(kinds or NoticeKind.values),
    )


def go() -> None:
    spread_notices(timezone.now())
    deliver_due(lambda: False)


def later() -> None:
    """As if the time of the next try had come."""
    Delivery.objects.filter(state=DeliveryState.WAITING).update(next_at=timezone.now())


def test_it_is_told_once_to_each_person_mailbox_and_webhook(cast: Cast) -> None:  # noqa: F811
    with receiving(saying(OK)) as there:
        webhook(cast, f"{there.url}/hook")
        webhook(cast, f"{there.url}/other", NoticeKind.JOB_FAILED)
        for _ in range(2):
            tell(cast)
            go()
        assert OrmQ.objects.count() == 1  # one doorbell for all of it
        Notice.objects.update(spread_at=None)  # a reconciler died in the middle of it
        go()
        assert len(there.asked) == 1
    people = set(NoticeCopy.objects.values_list("user__username", flat=True))
    assert people == {"alice", "bob"}  # leads and admins of the team
    assert sorted(message.to[0] for message in mail.outbox) == [
        "alice@example.com",
        "bob@example.com",
    ]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}


def test_a_receiver_can_check_who_sent_it_and_when(cast: Cast) -> None:  # noqa: F811
    with receiving(saying(OK)) as there:
        webhook(cast, there.url)
        tell(cast)
        go()
        (asked,) = there.asked
    (checking,) = re.findall(r"^```python\n(import base64.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(checking, names)  # what the guide tells receivers to do
    is_genuine, sent = names["is_genuine"], asked.headers
    assert is_genuine(SECRET, sent, asked.body)
    assert not is_genuine(SECRET, sent, asked.body + b" ")
    assert not is_genuine(new_secret(), sent, asked.body)
    assert not is_genuine(SECRET, sent | {"webhook-timestamp": "1700000000"}, asked.body)
    event = json.loads(asked.body)
    assert event["type"] == "budget.stop"
    assert event["id"] == sent["webhook-id"] == Notice.objects.get().public_id
    assert event["data"] == {"spent": "10.00"}
    assert event["link"].endswith("/costs/")
    assert asked.line.startswith("POST /")


async def _redirect_home(asked: Asked, writer: Writer) -> None:
    there = writer.get_extra_info("sockname")
    writer.write(answer(b"", f"location: http://{there[0]}:{there[1]}/taken", status="302 Found"))


async def _two_gigabytes(_: Asked, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2147483648\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def _endless(_: Asked, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await writer.drain()


def test_receivers_in_trouble_are_tried_again_and_hold_up_nobody(
    cast: Cast,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(posting, "DEADLINE_S", 1.0)
    told = {
        "server_error": saying(answer(b"secret words", status="500 Oh no")),
        "timeout": silence,
        "redirect": _redirect_home,
        "connection": _two_gigabytes,
        "connection ": _endless,
        "refused": saying(answer(b"", status="410 Gone")),
    }
    with receiving(saying(OK)) as well:
        servers = {}
        hooks = {}
        with ExitStack() as stack:
            for name, script in told.items():
                servers[name] = stack.enter_context(receiving(script, script, saying(OK)))
                hooks[name] = webhook(cast, servers[name].url)
            good = webhook(cast, well.url)
            tell(cast)
            go()
            assert len(well.asked) == 1
            assert Delivery.objects.get(webhook=good).state == DeliveryState.SENT
            assert len(mail.outbox) == 2
            for name, hook in hooks.items():
                hook.refresh_from_db()
                delivery = Delivery.objects.get(webhook=hook)
                assert (name, delivery.state, delivery.attempts) == (name, "waiting", 1)
                assert hook.failure == delivery.failure == name.strip()
                assert "secret words" not in hook.message
                assert hook.failing_since
                assert len(servers[name].asked) == 1  # no redirect was followed
                assert WAITS[0] / 2 < delivery.next_at - timezone.now() <= WAITS[0]
            go()  # nothing is due
            assert all(len(server.asked) == 1 for server in servers.values())
            later()
            go()
            later()
            go()
            for name, hook in hooks.items():
                delivery = Delivery.objects.get(webhook=hook)
                assert (name, delivery.state, delivery.attempts) == (name, "sent", 3)
                ids = {asked.headers["webhook-id"] for asked in servers[name].asked}
                assert len(servers[name].asked) == 3
                assert len(ids) == 1
                hook.refresh_from_db()
                assert not hook.failing_since
            assert len(well.asked) == 1


@override_settings(ALLOW_PRIVATE_ADDRESSES=False)
def test_an_address_that_became_private_is_not_connected_to(cast: Cast) -> None:  # noqa: F811
    with receiving(saying(OK)) as there:
        hook = webhook(cast, there.url.replace("127.0.0.1", "localhost"))
        tell(cast)
        go()
        assert there.connections == 0
    hook.refresh_from_db()
    assert hook.failure == "address"


def test_it_gives_up_after_eight_tries_and_what_is_removed_at_once(cast: Cast) -> None:  # noqa: F811
    with receiving(saying(answer(b"", status="503 No"))) as there:
        hook, gone = webhook(cast, there.url), webhook(cast, there.url)
        tell(cast)
        spread_notices(timezone.now())
        Webhook.objects.filter(pk=gone.pk).update(removed_at=timezone.now())
        for _ in range(len(WAITS) + 3):
            later()
            deliver_due(lambda: False)
        assert len(there.asked) == len(WAITS) + 1
    assert Delivery.objects.get(webhook=hook).state == DeliveryState.GIVEN_UP
    assert Delivery.objects.get(webhook=gone).attempts == 0


def test_many_notices_wait_together_for_a_receiver_that_hangs(
    cast: Cast,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(posting, "DEADLINE_S", 0.3)
    with receiving(silence) as hanging, receiving(saying(OK)) as well:
        webhook(cast, hanging.url)
        webhook(cast, well.url)
        for n in range(30):
            tell(cast, key=f"one of many {n}")
        go()
        assert len(well.asked) == 30
        assert len(hanging.asked) <= delivering.PER_TARGET


def test_a_mail_server_that_is_down_loses_nothing(cast: Cast) -> None:  # noqa: F811
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    refuse = lambda line: "550 nobody" if "bob" in line else "250 ok"  # noqa: E731
    with mail_server(refuse=refuse) as server:
        down = {"host": "127.0.0.1", "port": 9, "timeout": 2}
        with override_settings(MAILERS={"default": {"BACKEND": smtp, "OPTIONS": down}}):
            tell(cast)
            go()
        assert set(Delivery.objects.values_list("state", "failure")) == {("waiting", "connection")}
        up = down | {"port": server.port}
        with override_settings(MAILERS={"default": {"BACKEND": smtp, "OPTIONS": up}}):
            later()
            go()
    assert Delivery.objects.get(target="alice@example.com").state == DeliveryState.SENT
    assert Delivery.objects.get(target="bob@example.com").state == DeliveryState.GIVEN_UP
    (taken,) = server.taken
    message = message_from_string(taken, policy=policy.default)
    assert message["Subject"] == "The budget is <used> up · Support"
    assert message["Message-ID"].startswith(f"<{Notice.objects.get().public_id}.")
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "The budget is <used> up" in text.get_content()
    assert "Spent: $10.00" in text.get_content()
    assert "The budget is &lt;used&gt; up" in html.get_content()


def test_a_person_says_what_is_worth_a_mail(cast: Cast) -> None:  # noqa: F811
    NoticePreference.objects.create(user=cast.bob, mail_off=["budget.stop"], end_after_minutes=60)
    tell(cast)
    ended = {"kind": NoticeKind.JOB_COMPLETED, "role": None}
    tell(cast, key="short", person_id=cast.olivia.pk, lasted_s=5 * 60, **ended)
    tell(cast, key="long", person_id=cast.olivia.pk, lasted_s=50 * 60, **ended)
    tell(cast, key="not so long", person_id=cast.bob.pk, lasted_s=50 * 60, **ended)
    go()
    assert sorted(message.to[0] for message in mail.outbox) == [
        "alice@example.com",
        "olivia@example.com",
    ]
    assert NoticeCopy.objects.filter(user=cast.olivia).count() == 2
    assert NoticeCopy.objects.filter(user=cast.bob).count() == 2


def test_what_is_for_somebody_who_left_reaches_the_leads(cast: Cast) -> None:  # noqa: F811
    cast.olivia.memberships.all().delete()
    tell(cast, kind=NoticeKind.JOB_PAUSED, person_id=cast.olivia.pk, role=None)
    go()
    people = set(NoticeCopy.objects.values_list("user__username", flat=True))
    assert people == {"alice", "bob"}


def test_a_deliverer_that_died_is_followed_by_another(cast: Cast) -> None:  # noqa: F811
    tell(cast)
    now = timezone.now()
    spread_notices(now)
    assert OrmQ.objects.count() == 1
    begun = delivering._begin(now)
    assert len(begun) == 2  # and here its process was killed
    spread_notices(now + timedelta(seconds=70))
    assert OrmQ.objects.count() == 1  # nothing is due before the tries are given up
    spread_notices(now + delivering.TRY_AT_MOST + timedelta(seconds=1))
    assert OrmQ.objects.count() == 2
