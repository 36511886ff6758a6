"""API tokens: shown once, stored as a hash, worth no more than their person, gone when revoked."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from jobs.models import ApiToken, AuditEvent, Membership, Role
from tests.cast import Cast, cast, join  # noqa: F401

pytestmark = pytest.mark.django_db
JOBS = "/api/v1/jobs"


def asked(raw: str, path: str = JOBS) -> int:
    return Client().get(path, headers={"Authorization": f"Bearer {raw}"}).status_code


def made(client: Client, **fields: str) -> Any:
    given = {"name": "nightly", "role": "operator", **fields}
    return client.post("/settings/tokens/new/", given, follow=True)


def test_it_is_shown_once_and_stored_as_a_hash(cast: Cast) -> None:  # noqa: F811
    client = cast.client(cast.olivia)
    answer = made(client)
    raw = answer.context["raw"]
    assert answer.content.decode().count(raw) == 1
    assert "no-store" in answer["Cache-Control"]
    ((shown, _),) = answer.redirect_chain
    again = client.get(shown, follow=True)
    assert "nightly was made and shown already" in again.content.decode()
    assert raw not in again.content.decode()
    assert raw not in client.get("/settings/tokens/").content.decode()
    token = ApiToken.objects.get()  # one, however often the page is loaded
    stored = [str(getattr(token, field.attname)) for field in ApiToken._meta.fields]
    assert not any(raw in value for value in stored)
    assert token.prefix == raw[:12]
    assert asked(raw) == 200
    assert asked(raw[:-1]) == asked(token.token_hash) == asked("") == 401


def test_it_is_worth_no_more_than_the_person_who_makes_it(cast: Cast) -> None:  # noqa: F811
    client = cast.client(cast.olivia)
    assert made(client, role="admin").status_code == 422
    assert not ApiToken.objects.exists()


def test_it_ends_at_once_when_it_is_revoked(cast: Cast) -> None:  # noqa: F811
    client = cast.client(cast.olivia)
    raw = made(client).context["raw"]
    path = f"/settings/tokens/{ApiToken.objects.get().public_id}/revoke/"
    for _ in range(2):  # a second click does nothing
        assert client.post(path, {"confirmed": "1"}).status_code == 302
    assert asked(raw) == 401
    assert "Revoked" in client.get("/settings/tokens/").content.decode()


def test_nobody_sees_or_revokes_the_token_of_somebody_else(cast: Cast) -> None:  # noqa: F811
    raw = cast.token(cast.olivia)
    admin = cast.client(cast.alice)
    token = ApiToken.objects.get()
    assert token.prefix not in admin.get("/settings/tokens/").content.decode()
    assert admin.post(f"/settings/tokens/{token.public_id}/revoke/").status_code == 404
    assert asked(raw) == 200


def test_it_notes_when_it_was_last_used(cast: Cast) -> None:  # noqa: F811
    raw = cast.token(cast.olivia)
    assert ApiToken.objects.get().last_used_at is None
    asked(raw)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    asked(raw)
    assert ApiToken.objects.get().last_used_at == first  # a busy program does not write each time
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    asked(raw)
    assert ApiToken.objects.get().last_used_at >= first


def test_it_speaks_for_its_own_team_alone(cast: Cast) -> None:  # noqa: F811
    """Also when its person is in both teams, and works in the other one in the browser."""
    join(cast.olivia, cast.other_team, Role.ADMIN)
    raw = cast.token(cast.olivia)
    browser = cast.client(cast.olivia)
    browser.post("/accounts/team/", {"team": cast.other_team.public_id})
    answer = Client().get("/api/v1/costs?group_by=team", headers={"Authorization": f"Bearer {raw}"})
    assert "Search" not in answer.content.decode()
    Membership.objects.filter(user=cast.olivia, team=cast.team).delete()
    assert asked(raw) == 401


def test_the_command_line_makes_one_and_says_so_in_the_log(
    cast: Cast,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("create_api_token", user="olivia", team="Support", name="cron")
    raw = capsys.readouterr().out.strip()
    assert asked(raw) == 200
    event = AuditEvent.objects.get(action="token.create")
    assert (event.actor_name, event.detail["by"]) == ("olivia", "command line")
    assert raw not in str(event.detail)
