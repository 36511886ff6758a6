"""Log-in and session: throttled, rotated, ended; leading nowhere else; strong passwords."""

import re
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from jobs.models import AuditEvent, Role
from tests.cast import PASSWORD, Cast, cast, join  # noqa: F401

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


def log_in(client: Client, password: str = PASSWORD, *, name: str = "olivia", **more: str) -> int:
    return client.post(LOGIN, {"username": name, "password": password, **more}).status_code


def test_it_locks_after_too_many_wrong_passwords_and_says_until_when(cast: Cast) -> None:  # noqa: F811
    for name in ("olivia", "nobody"):  # a name that is none is told no otherwise
        tries = [log_in(Client(), "wrong", name=name) for _ in range(settings.AXES_FAILURE_LIMIT)]
        assert tries == [422] * (settings.AXES_FAILURE_LIMIT - 1) + [429]
    answer = Client().post(LOGIN, {"username": "olivia", "password": PASSWORD})
    assert answer.status_code == 429
    found = re.search(r"Wait until <strong>(\d\d):(\d\d) UTC", answer.content.decode())
    assert found is not None
    until = timezone.now() + timedelta(minutes=15)
    assert abs(int(found[1]) * 60 + int(found[2]) - until.hour * 60 - until.minute) in (
        0, 1, 24 * 60 - 1,
    )  # fmt: skip
    assert log_in(Client(), name="bob") == 302  # others are not shut out
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert log_in(Client()) == 302


def test_a_session_ends_when_its_password_changes(cast: Cast) -> None:  # noqa: F811
    here, there = Client(), Client()
    log_in(here)
    log_in(there)
    new = "violet-Tram-77-north"
    fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert here.post("/accounts/password/", fields).status_code == 302
    assert here.get("/jobs/").status_code == 200
    assert there.get("/jobs/").status_code == 302
    assert AuditEvent.objects.get(action="account.password").actor == cast.olivia


def test_a_session_ends_when_its_account_is_switched_off_or_logs_out(cast: Cast) -> None:  # noqa: F811
    client = Client()
    log_in(client)
    User.objects.filter(username="olivia").update(is_active=False)
    assert client.get("/jobs/").status_code == 302
    assert log_in(Client()) == 422
    User.objects.filter(username="olivia").update(is_active=True)
    log_in(client)
    stolen = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post("/accounts/logout/")
    client.cookies[settings.SESSION_COOKIE_NAME] = stolen
    assert client.get("/jobs/").status_code == 302
    assert client.get("/accounts/logout/").status_code == 405  # no image on a page logs out


def test_a_log_in_takes_no_session_that_somebody_else_chose(cast: Cast) -> None:  # noqa: F811
    client = Client()
    log_in(client)
    before = client.cookies[settings.SESSION_COOKIE_NAME].value
    csrf = client.cookies["csrftoken"].value if "csrftoken" in client.cookies else ""
    client.post("/accounts/logout/")
    client.cookies[settings.SESSION_COOKIE_NAME] = before
    log_in(client)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != before
    assert not csrf or client.cookies["csrftoken"].value != csrf


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "evil:x",
     "javascript:alert(1)", "http:///evil.example", "https:evil.example", "/%0d%0aX: y//evil"],
)  # fmt: skip
def test_a_log_in_leads_nowhere_else(cast: Cast, target: str) -> None:  # noqa: F811
    client = Client()
    for path in (LOGIN, f"{LOGIN}?next={target}"):
        fields = {"username": "olivia", "password": PASSWORD, "next": target}
        to = client.post(path, fields).headers["Location"]
        assert to.startswith("/"), to
        assert not to.startswith(("//", "/\\")), to
    # Nor does the answer to a form, or to a switch of the team, follow a foreign referrer.
    answer = client.post(
        "/accounts/team/", {"team": cast.team.public_id}, headers={"Referer": target}
    )
    assert answer.headers["Location"] == "/"


def test_it_leads_back_to_where_one_wanted_to_go(cast: Cast) -> None:  # noqa: F811
    client = Client()
    to = client.get("/jobs/?q=a b&status=failed").headers["Location"]
    answer = client.post(to, {"username": "olivia", "password": PASSWORD})
    assert answer.headers["Location"] == "/jobs/?q=a%20b&status=failed"


@pytest.mark.parametrize("weak", ["short1!", "password123", "1234567890123", "olivia@example"])
def test_a_weak_password_is_refused_in_words(cast: Cast, weak: str) -> None:  # noqa: F811
    client = cast.client(cast.olivia)
    fields = {"old_password": PASSWORD, "new_password1": weak, "new_password2": weak}
    answer = client.post("/accounts/password/", fields)
    assert answer.status_code == 422
    assert "This password is" in text(answer) or "too similar" in text(answer)
    assert weak not in text(answer)
    wrong = fields | {"old_password": "x", "new_password1": "violet-Tram-77-north"}
    assert client.post("/accounts/password/", wrong).status_code == 422
    assert cast.olivia.check_password(PASSWORD)


def text(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined, no-any-return]


def test_one_works_in_one_team_at_a_time(cast: Cast) -> None:  # noqa: F811
    join(cast.olivia, cast.other_team, Role.ADMIN)
    client = cast.client(cast.olivia)
    switch = "/accounts/team/"
    client.post(switch, {"team": cast.team.public_id})
    assert client.get("/settings/audit/").status_code == 403  # an operator here
    answer = client.post(
        switch,
        {"team": cast.other_team.public_id},
        headers={"Referer": "http://testserver/jobs/abcdefgh/"},
    )
    assert answer.headers["Location"] == "/jobs/"  # not to an object of the other team
    assert client.get("/settings/audit/").status_code == 200  # an admin there
    for wrong in ("", "nothing", "9" * 30):
        assert client.post(switch, {"team": wrong}).status_code == 404
