"""Members: their first password, their roles, their going; a team never without an admin."""

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from jobs.errors import Conflict, NotAllowed
from jobs.models import ApiToken, AuditEvent, Membership, Role
from jobs.teams.members import member_add, member_remove, member_set_role
from tests.cast import Cast, cast, join, make_user  # noqa: F401

pytestmark = pytest.mark.django_db


def of(cast: Cast, name: str) -> Membership:  # noqa: F811
    return Membership.objects.get(team=cast.team, user__username=name)


def test_the_last_admin_stays(cast: Cast) -> None:  # noqa: F811
    client = cast.client(cast.alice)
    for path, fields in (
        ("/settings/members/alice/remove/", {"confirmed": "1"}),
        ("/settings/members/alice/role/", {"role": "operator"}),
    ):
        answer = client.post(path, fields, follow=True)
        assert "keeps at least one admin" in answer.content.decode()
    assert of(cast, "alice").role == Role.ADMIN
    assert not AuditEvent.objects.exists()
    join(make_user("dora"), cast.team, Role.ADMIN)
    client.post("/settings/members/alice/remove/", {"confirmed": "1"})
    assert not Membership.objects.filter(user=cast.alice).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("last_act", ["demote", "remove"])
def test_two_admins_who_send_each_other_away_leave_one(cast: Cast, last_act: str) -> None:  # noqa: F811
    dora = make_user("dora")
    join(dora, cast.team, Role.ADMIN)
    together, refused = Barrier(2), []

    def act(actor_name: str, target: str) -> None:
        actor = cast.actor(cast.alice if actor_name == "alice" else dora)
        membership = of(cast, target)
        together.wait()
        try:
            if last_act == "demote":
                member_set_role(actor=actor, membership=membership, role=Role.LEAD)
            else:
                member_remove(actor=actor, membership=membership)
        except Conflict as conflict:
            refused.append(str(conflict))
        finally:
            connection.close()

    threads = [Thread(target=act, args=names) for names in (("alice", "dora"), ("dora", "alice"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert Membership.objects.filter(team=cast.team, role=Role.ADMIN).count() == 1


def test_only_admins_change_members(cast: Cast) -> None:  # noqa: F811
    lead = cast.actor(cast.bob)
    attempts: list[Callable[[], object]] = [
        lambda: member_add(actor=lead, username="dora", role="operator"),
        lambda: member_set_role(actor=lead, membership=of(cast, "olivia"), role="admin"),
        lambda: member_set_role(actor=lead, membership=of(cast, "bob"), role="admin"),
        lambda: member_remove(actor=lead, membership=of(cast, "alice")),
    ]
    for attempt in attempts:
        with pytest.raises(NotAllowed):
            attempt()


def test_a_new_member_chooses_an_own_password_before_anything_else(cast: Cast) -> None:  # noqa: F811
    given = {"username": "dora", "role": "operator"}
    answer = cast.client(cast.alice).post("/settings/members/new/", given)
    first = answer.context["password"]
    assert answer.content.decode().count(first) == 1
    assert "no-store" in answer["Cache-Control"]
    browser = Client()
    browser.post("/accounts/login/", {"username": "dora", "password": first})
    for page in ("/", "/jobs/", "/settings/tokens/new/", "/settings/"):
        answer = browser.get(page, follow=True)
        assert answer.request["PATH_INFO"] == "/accounts/password/", page
    change = {"old_password": first, "new_password1": "violet-Tram-77", "new_password2": "x"}
    assert browser.post("/accounts/password/", change).status_code == 422
    change["new_password2"] = change["new_password1"]
    browser.post("/accounts/password/", change)
    assert browser.get("/jobs/").status_code == 200
    # The first one is worth nothing any more.
    assert not User.objects.get(username="dora").check_password(first)


def test_an_account_that_exists_joins_with_its_own_password(cast: Cast) -> None:  # noqa: F811
    actor = cast.actor(cast.alice)
    membership, password = member_add(actor=actor, username="charlie", role="operator")
    assert password is None
    before = cast.charlie.password
    cast.charlie.refresh_from_db()
    assert (membership.role, cast.charlie.password) == (Role.OPERATOR, before)


def test_tokens_go_with_their_person_and_do_not_come_back(cast: Cast) -> None:  # noqa: F811
    actor = cast.actor(cast.alice)
    cast.token(cast.olivia)
    member_remove(actor=actor, membership=of(cast, "olivia"))
    member_add(actor=actor, username="olivia", role="operator")
    assert ApiToken.objects.get().revoked_at is not None
