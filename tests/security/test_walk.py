"""A walk over every page, operation and method: as nobody, stranger, wrong role, and revoked."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import Membership, Role
from jobs.teams.policy import MINIMUM_ROLE, Action
from tests.security.routes import METHODS, Route, operations, pages, routes
from tests.security.walk import MARK, Walk

pytestmark = pytest.mark.django_db
CLOSED = {401, 403, 404, 405}


def found_bearer(raw: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {raw}"}


def about_objects(route: Route) -> bool:
    return bool(route.parameters)


def test_it_opens_nothing_to_nobody(walk: Walk) -> None:
    leaks = []
    for route in routes():
        if route.rule == "public":
            continue
        for method in METHODS:
            answer = walk.ask(Client(), route, method, query=walk.query)
            to_login = answer.status_code == 302 and "/accounts/login/" in answer["Location"]
            if not (to_login or answer.status_code in CLOSED) or MARK in answer.text_seen:
                leaks.append(f"{method} {route}: {answer.status_code}")
    assert leaks == []


def test_it_answers_nobody_on_the_public_routes_without_naming_anything(walk: Walk) -> None:
    for route in pages():
        if route.rule == "public":
            answer = walk.ask(Client(), route, "GET", query=walk.query)
            assert answer.status_code in (200, 503), route  # 503: no queue cluster lives here
            assert MARK not in answer.text_seen, route


def test_it_shows_a_stranger_nothing_of_another_team(walk: Walk) -> None:
    client = walk.work.cast.client(walk.work.cast.charlie)
    token = walk.work.cast.token(walk.work.cast.charlie)
    leaks = []
    for route in routes():
        for method in route.methods:
            headers = found_bearer(token) if route.is_operation else {}
            browser = Client() if route.is_operation else client
            answer = walk.ask(browser, route, method, query=walk.query, headers=headers)
            if about_objects(route) and answer.status_code not in CLOSED:
                leaks.append(f"{method} {route}: {answer.status_code}")
            if MARK in answer.text_seen:
                leaks.append(f"{method} {route}: shows the other team's things")
    assert leaks == []


def test_it_tells_a_foreign_object_and_an_absent_one_alike(walk: Walk) -> None:
    """A stranger learns not even that it exists."""
    token = walk.work.cast.token(walk.work.cast.charlie)
    client = walk.work.cast.client(walk.work.cast.charlie)
    for route in routes():
        if not about_objects(route) or "GET" not in route.methods:
            continue
        headers = found_bearer(token) if route.is_operation else {}
        browser = Client() if route.is_operation else client
        foreign = walk.ask(browser, route, "GET", headers=headers)
        before, walk.ids = (
            walk.ids,
            dict.fromkeys(walk.ids, "x" * 16)
            | {name: value for name, value in walk.ids.items() if isinstance(value, int)},
        )
        absent = walk.ask(browser, route, "GET", headers=headers)
        walk.ids = before
        assert foreign.status_code == absent.status_code, route


@pytest.mark.parametrize("role", list(Role))
def test_it_lets_each_role_do_what_the_table_says_and_no_more(walk: Walk, role: Role) -> None:
    person = {
        Role.OPERATOR: walk.work.cast.olivia,
        Role.LEAD: walk.work.cast.bob,
        Role.ADMIN: walk.work.cast.alice,
    }[role]
    client, token = walk.work.cast.client(person), walk.work.cast.token(person)
    wrong, opened = [], 0
    for route in routes():
        if not isinstance(route.rule, Action):
            continue
        within = role.rank >= MINIMUM_ROLE[route.rule].rank
        for method in route.methods:
            headers = found_bearer(token) if route.is_operation else {}
            browser = Client() if route.is_operation else client
            answer = walk.ask(browser, route, method, headers=headers)
            if answer.status_code == 405:
                continue
            if within == (answer.status_code == 403):
                wrong.append(f"{method} {route}: {answer.status_code} as {role}")
            opened += within and answer.status_code < 400
    assert wrong == []
    assert opened > 20


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.LEAD])
def test_it_counts_a_token_for_no_more_than_its_role(walk: Walk, role: Role) -> None:
    """Also in the hands of an admin."""
    token = walk.work.cast.token(walk.work.cast.alice, role)
    for route in operations():
        assert isinstance(route.rule, Action)
        if role.rank < MINIMUM_ROLE[route.rule].rank:
            for method in route.methods:
                answer = walk.ask(Client(), route, method, headers=found_bearer(token))
                assert answer.status_code == 403, route


def test_it_shuts_out_who_was_taken_from_the_team_at_once(walk: Walk) -> None:
    alice = walk.work.cast.alice
    client, token = walk.work.cast.client(alice), walk.work.cast.token(alice)
    Membership.objects.filter(user=alice).delete()
    leaks = []
    for route in routes():
        if not isinstance(route.rule, Action):
            continue
        for method in route.methods:
            headers = found_bearer(token) if route.is_operation else {}
            browser = Client() if route.is_operation else client
            answer = walk.ask(browser, route, method, query=walk.query, headers=headers)
            expected = {401} if route.is_operation else {403, 405}
            if answer.status_code not in expected or MARK in answer.text_seen:
                leaks.append(f"{method} {route}: {answer.status_code}")
    assert leaks == []


def test_it_takes_a_lowered_role_into_account_at_once(walk: Walk) -> None:
    alice = walk.work.cast.alice
    client, token = walk.work.cast.client(alice), walk.work.cast.token(alice)
    assert client.get("/settings/audit/").status_code == 200
    Membership.objects.filter(user=alice).update(role=Role.OPERATOR)
    assert client.get("/settings/audit/").status_code == 403
    payload = {"name": "x", "kind": "simulator"}
    answer = client.post(
        "/api/v1/connections", payload, "application/json", headers=found_bearer(token)
    )
    assert answer.status_code == 403


def test_it_refuses_a_revoked_token_and_a_switched_off_account(walk: Walk) -> None:
    headers = found_bearer(walk.token_text)
    client = walk.work.cast.client(walk.work.cast.alice)
    assert Client().get("/api/v1/jobs", headers=headers).status_code == 200
    User.objects.filter(username="alice").update(is_active=False)
    assert Client().get("/api/v1/jobs", headers=headers).status_code == 401
    assert client.get("/jobs/").status_code == 302
    User.objects.filter(username="alice").update(is_active=True)
    agreed = {"confirmed": "1"}
    revoke = f"/settings/tokens/{walk.token.public_id}/revoke/"
    assert client.post(revoke, agreed).status_code == 302
    for route in operations():
        for method in route.methods:
            assert walk.ask(Client(), route, method, headers=headers).status_code == 401, route


def test_it_believes_no_session_on_the_api(walk: Walk) -> None:
    """A session would make the API's POSTs forgeable from another site."""
    client = walk.work.cast.client(walk.work.cast.alice)
    for route in operations():
        for method in route.methods:
            assert walk.ask(client, route, method).status_code == 401, route


def test_it_wants_a_csrf_token_for_everything_that_changes_something(walk: Walk) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(walk.work.cast.alice, backend="django.contrib.auth.backends.ModelBackend")
    for route in pages():
        answer = walk.ask(client, route, "POST", body={"name": "x"})
        assert answer.status_code in (403, 405), route


def test_it_shows_an_admin_of_the_installation_one_team_at_a_time(walk: Walk) -> None:
    """Who may enter every team is still in one: an id of another one leads nowhere."""
    root, cast = walk.work.cast.root, walk.work.cast
    client = cast.client(root)
    client.post("/accounts/team/", {"team": cast.other_team.public_id})
    for route in pages():
        if "job_id" in route.parameters or "dataset_id" in route.parameters:
            answer = walk.ask(client, route, "GET")
            assert answer.status_code in (404, 405), route
    client.post("/accounts/team/", {"team": cast.team.public_id})
    assert client.get(f"/jobs/{walk.job.public_id}/").status_code == 200


def test_it_switches_nobody_into_a_foreign_team(walk: Walk) -> None:
    client = walk.work.cast.client(walk.work.cast.charlie)
    team = walk.work.cast.team
    for chosen in (team.public_id, str(team.pk)):
        assert client.post("/accounts/team/", {"team": chosen}).status_code == 404
    session = client.session
    session["team"] = team.public_id  # as if it had been theirs once
    session.save()
    assert MARK not in client.get("/jobs/").content.decode()
