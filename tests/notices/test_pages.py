"""The bell and the list, and the settings: each person's mail, a team's webhooks."""

import re

import pytest
from django.core import mail

from jobs.models import AuditEvent, Delivery, NoticeCopy, NoticeKind, NoticePreference, Webhook
from jobs.teams.crypto import decrypt
from tests.cast import Cast, cast  # noqa: F401
from tests.notices.receivers import receiving
from tests.notices.test_delivery import OK, SECRET, go, later, tell, webhook
from tests.providers.stand_in import answer, saying
from tests.web.reading import queries, tag_with, text

pytestmark = pytest.mark.django_db(transaction=True)
BELL = {"HX-Request": "true", "HX-Target": "section#bell"}


def test_the_bell_counts_until_they_are_read(cast: Cast) -> None:  # noqa: F811
    bob = cast.client(cast.bob)
    tell(cast, title="<b>Budget</b>")
    tell(cast, key="another", team_id=cast.other_team.pk, title="not ours")
    go()
    page = bob.get("/notices/")
    assert "&lt;b&gt;Budget&lt;/b&gt;" in page.content.decode()
    assert "not ours" not in text(page)
    poll = bob.get("/notices/", headers=BELL)
    assert "1 unread notice" in text(poll)
    assert bob.get("/notices/", headers=BELL | {"HX-PTag": poll["HX-PTag"]}).status_code == 304
    assert queries(bob, "/notices/", headers=BELL) <= 5
    for n in range(3):
        tell(cast, key=f"one of several {n}")
    go()
    first = NoticeCopy.objects.filter(user=cast.bob).first()
    assert first is not None
    bob.post(f"/notices/{first.notice.public_id}/read/")
    assert "3 unread notices" in text(bob.get("/"))
    bob.post("/notices/read/")
    assert "none unread" in text(bob.get("/"))
    assert "No unread notices match" in text(bob.get("/notices/?show=unread"))
    alice = NoticeCopy.objects.filter(user=cast.alice, read_at__isnull=True)
    assert alice.count() == 4  # what somebody else has read is unread still


def test_what_another_team_was_told_is_pointed_to(cast: Cast) -> None:  # noqa: F811
    cast.other_team.memberships.create(user=cast.bob, role="lead")
    bob = cast.client(cast.bob)
    bob.post("/accounts/team/", {"team": cast.team.public_id})
    tell(cast, team_id=cast.other_team.pk)
    go()
    assert "1 unread in Search" in text(bob.get("/notices/"))
    assert "none unread" in text(bob.get("/"))


def test_a_person_chooses_what_reaches_them_by_mail_and_where(cast: Cast) -> None:  # noqa: F811
    bob = cast.client(cast.bob)
    tag_with(bob.get("/accounts/notices/"), "input", name="email", value="bob@example.com")
    given = {"email": "b@example.org", "mail": ["budget.stop"], "end_after_minutes": "0"}
    assert bob.post("/accounts/notices/", given | {"end_after_minutes": "x"}).status_code == 422
    assert bob.post("/accounts/notices/", given).status_code == 302
    tell(cast)
    tell(cast, key="forecast", kind=NoticeKind.BUDGET_FORECAST)
    go()
    own = [message.subject for message in mail.outbox if message.to == ["b@example.org"]]
    assert own == ["The budget is <used> up · Support"]
    assert set(NoticePreference.objects.get().mail_off) == set(NoticeKind.values) - {"budget.stop"}
    assert "No mail reaches you" not in text(bob.get("/notices/"))
    bob.post("/accounts/notices/", given | {"email": ""})
    assert "No mail reaches you" in text(bob.get("/notices/"))
    tell(cast, key="a third")
    go()
    assert len([message for message in mail.outbox if "example.org" in message.to[0]]) == 1
    assert AuditEvent.objects.filter(action="account.notices").count() == 2


def test_a_webhooks_secret_is_shown_once(cast: Cast) -> None:  # noqa: F811
    alice = cast.client(cast.alice)
    given = {"url": "http://127.0.0.1:9/hook", "kinds": ["job.failed", "budget.stop"]}
    assert alice.post("/settings/webhooks/new/", given | {"kinds": []}).status_code == 422
    faulty = alice.post("/settings/webhooks/new/", given | {"url": "http://169.254.169.254/"})
    assert "never allowed" in text(faulty)
    made = alice.post("/settings/webhooks/new/", given)
    (shown,) = re.findall(r"whsec_[\w+/=]+", alice.get(made["Location"]).content.decode())
    stored = Webhook.objects.get()
    assert decrypt(stored.secret_encrypted) == shown
    assert shown not in stored.secret_encrypted
    again = alice.get(made["Location"], follow=True)
    assert "whsec_" not in again.content.decode()
    assert "cannot be shown again" in text(again)
    for path in ("/settings/webhooks/", f"/settings/webhooks/{stored.public_id}/"):
        assert shown not in alice.get(path).content.decode()
        assert cast.client(cast.bob).get(path).status_code == 403
    kinds = f"/settings/webhooks/{stored.public_id}/kinds/"
    alice.post(kinds, {"kinds": ["job.paused"]})
    stored.refresh_from_db()
    assert stored.kinds == ["job.paused"]
    remove = f"/settings/webhooks/{stored.public_id}/remove/"
    assert "its secret is erased" in text(alice.post(remove))  # asked first
    alice.post(remove, {"confirmed": "1"})
    stored.refresh_from_db()
    assert stored.secret_encrypted == ""
    assert alice.get(f"/settings/webhooks/{stored.public_id}/").status_code == 404
    actions = AuditEvent.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["webhook.add", "webhook.change", "webhook.remove"]
    assert all("/hook" not in str(event.detail) for event in AuditEvent.objects.all())


def test_a_test_answers_with_a_class_and_no_word_of_the_receiver(cast: Cast) -> None:  # noqa: F811
    alice = cast.client(cast.alice)
    refusing = saying(answer(b"internal: db-7.corp, password hunter2", status="500 hunter2"))
    with receiving(refusing, refusing, saying(OK)) as there:
        hook = webhook(cast, there.url)
        path = f"/settings/webhooks/{hook.public_id}/"
        page = alice.post(f"{path}test/", follow=True)
        assert "Server error" in text(page)
        assert "It answered 500" in text(page)
        assert "hunter2" not in page.content.decode()
        tell(cast)
        go()
        page = alice.get(path)
        assert "Waiting" in text(page)
        assert "Server error" in text(alice.get("/settings/webhooks/"))
        page = alice.post(f"{path}test/", follow=True)
        assert "The receiver took the test" in text(page)
        later()
        go()
        assert "Sent" in text(alice.get(path))
        types = [asked.headers["webhook-id"][:5] for asked in there.asked]
        assert types[0] == types[2] == "test_"
    assert Delivery.objects.filter(webhook=hook, state="sent").count() == 1
    assert SECRET not in str(list(Webhook.objects.values()))
