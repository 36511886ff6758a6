"""Bearer tokens, and the command that makes them"""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from jobs.models import ApiToken, Membership, Role, Team
from jobs.teams.tokens import token_revoke
from tests.api.caller import Caller
from tests.cast import Cast

pytestmark = pytest.mark.django_db


def made(*arguments: str) -> str:
    out = io.StringIO()
    call_command("create_api_token", *arguments, stdout=out)
    return out.getvalue()


# --- at the API ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer nope", "Basic YTpi", "bllm_x", "Bearer é"]
)
def test_it_asks_for_a_token(header: str, cast: Cast) -> None:
    headers = {"Authorization": header} if header else {}
    answer = Caller().ask("GET", "/jobs", **headers)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["errors"][0]["loc"] == ["Authorization"]


def test_it_takes_no_session_for_a_token(cast: Cast) -> None:
    """So that no other site's page can make a browser call the API."""
    assert cast.client(cast.alice).get("/api/v1/jobs").status_code == 401


def test_it_refuses_before_it_reads(cast: Cast) -> None:
    assert Caller().ask("POST", "/jobs", "{").status_code == 401
    assert Caller().ask("GET", "/jobs/none").status_code == 401


def test_it_ends_with_its_token_its_person_and_their_membership(cast: Cast) -> None:
    token = cast.token(cast.bob)
    caller = Caller(token)
    caller.get("/jobs")
    entry = ApiToken.objects.get()
    assert entry.last_used_at
    assert token not in (entry.token_hash, entry.prefix)
    membership = Membership.objects.get(user=cast.bob)
    membership.delete()
    caller.get("/jobs", 401)
    membership.save(force_insert=True)
    User.objects.filter(pk=cast.bob.pk).update(is_active=False)
    caller.get("/jobs", 401)
    User.objects.filter(pk=cast.bob.pk).update(is_active=True)
    caller.get("/jobs")
    token_revoke(entry)
    caller.get("/jobs", 401)


def test_it_is_worth_no_more_than_its_person(cast: Cast) -> None:
    price = {"model": "m", "input": 1, "output": 1}
    Caller(cast.token(cast.alice, Role.ADMIN)).post("/prices", price, 201)
    refused = Caller(cast.token(cast.alice, Role.OPERATOR)).post("/prices", price, 403)
    assert "admin" in refused["detail"]
    assert refused["errors"] == [{"loc": ["Authorization"], "msg": refused["detail"]}]
    Caller(cast.token(cast.olivia, Role.ADMIN)).post("/prices", price, 403)


# --- manage.py create_api_token -----------------------------------------------------------------
def test_it_prints_the_token_alone(cast: Cast, capsys: Any) -> None:
    printed = made("--user", "olivia", "--team", "Support", "--name", "nightly")
    token = printed.rstrip("\n")
    assert printed == f"{token}\n"
    assert token.split() == [token]
    assert capsys.readouterr() == ("", "")
    assert Caller(token).get("/jobs")["items"] == []
    entry = ApiToken.objects.get()
    assert (entry.role, entry.name, entry.user) == ("operator", "nightly", cast.olivia)
    # Shown once: it stands nowhere.
    assert token not in str(ApiToken.objects.values())


def test_it_makes_what_is_missing_only_when_told(cast: Cast) -> None:
    for arguments, word in (
        (("--user", "dora", "--team", "Support"), "--create"),
        (("--user", "alice", "--team", "Nowhere"), "--create"),
        (("--user", "charlie", "--team", "Support"), "--create"),
    ):
        with pytest.raises(CommandError, match=word):
            made(*arguments)
    assert not ApiToken.objects.exists()
    assert not User.objects.filter(username="dora").exists()
    token = made("--user", "dora", "--team", "New", "--role", "admin", "--create").strip()
    Caller(token).post("/prices", {"model": "m", "input": 1, "output": 1}, 201)
    membership = Membership.objects.get(user__username="dora")
    assert (membership.team, membership.role) == (Team.objects.get(name="New"), "admin")
    assert not User.objects.get(username="dora").has_usable_password()


def test_it_gives_no_more_than_the_person_has(cast: Cast) -> None:
    with pytest.raises(CommandError, match="is operator in"):
        made("--user", "olivia", "--team", "Support", "--role", "lead")
    with pytest.raises(CommandError, match="is operator in"):
        made("--user", "olivia", "--team", "Support", "--role", "lead", "--create")
    assert Membership.objects.get(user=cast.olivia).role == "operator"
    made("--user", "alice", "--team", "Support", "--role", "lead")
    assert ApiToken.objects.get().role == "lead"
    # An installation admin needs no membership.
    token = made("--user", "root", "--team", "Support", "--role", "admin").strip()
    Caller(token).get("/connections")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--user", "alice"),
        ("--team", "Support"),
        ("--user", "alice", "--team", "Support", "--role", "king"),
        ("--user", "", "--team", "Support", "--create"),
        ("--user", "a b\n", "--team", "Support", "--create"),
        ("--user", "alice", "--team", "", "--create"),
        ("--user", "alice", "--team", "t" * 101, "--create"),
        ("--user", "alice", "--team", "Support", "--name", "n" * 101),
    ],
)
def test_it_refuses_what_it_cannot_make(cast: Cast, arguments: tuple[str, ...]) -> None:
    teams, users = Team.objects.count(), User.objects.count()
    with pytest.raises(CommandError):
        made(*arguments)
    assert (Team.objects.count(), User.objects.count()) == (teams, users)
    assert not ApiToken.objects.exists()
