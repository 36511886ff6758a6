"""A new installation: no account, no team, no default password. How the first ones come about."""

import pytest
from django.core.management import call_command
from django.test import Client

from jobs.models import Membership, Team
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db


def log_in(username: str, password: str) -> Client:
    client = Client()
    answer = client.post("/accounts/login/", {"username": username, "password": password})
    assert answer.status_code == 302
    return client


def test_a_new_installation_gets_its_first_admin_team_and_members(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", "--username=root", "--email=r@example.com")
    root = log_in("root", PASSWORD)
    # There is no page to work on without a team: every one of them leads to where one is made.
    for page in ("/", "/jobs/", "/datasets/"):
        assert root.get(page).headers["Location"] == "/settings/teams/"
    assert "No teams yet" in root.get("/settings/teams/").content.decode()

    answer = root.post("/settings/teams/", {"name": "Support"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/settings/members/"
    assert root.get("/").status_code == 200
    answer = root.post("/settings/members/new/", {"username": "olivia", "role": "operator"})
    password = answer.context["password"]
    assert Membership.objects.get(user__username="olivia").team == Team.objects.get()

    # Somebody else has seen that password: it opens one page, where one's own is chosen.
    olivia = log_in("olivia", password)
    assert olivia.get("/").headers["Location"] == "/accounts/password/"
    mine = "another-long-and-quiet-word-7"
    chosen = {"old_password": password, "new_password1": mine, "new_password2": mine}
    assert olivia.post("/accounts/password/", chosen).status_code == 302
    assert olivia.get("/").status_code == 200


def test_an_account_without_a_team_is_told_so_unless_it_can_make_one(
    django_user_model: type,
) -> None:
    django_user_model.objects.create_user("nobody", password=PASSWORD)  # type: ignore[attr-defined]
    answer = log_in("nobody", PASSWORD).get("/")
    assert answer.status_code == 403
    assert "You belong to no team yet" in answer.content.decode()
