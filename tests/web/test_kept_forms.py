"""Nothing that was typed is lost to an ended session or an old page, nothing is carried out by itself,
and what destroys asks first: on every page that declares it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone

from jobs.models import Replay
from tests.cast import cast  # noqa: F401
from tests.security.routes import Route, pages
from tests.security.walk import Walk
from tests.web.reading import LIVE, tags, text
from tests.web.work import MODEL, Work, work  # noqa: F401

pytestmark = pytest.mark.django_db
OURS = {"Origin": "http://testserver"}
TYPED = {"typed": ["with <care>", 'and "more"'], "api_key": "sk-secret-123", "password": "hush-456"}


@pytest.fixture
def walk(work: Work) -> Walk:  # noqa: F811
    return Walk(work)


@pytest.fixture
def alice(walk: Walk) -> Client:
    return walk.work.cast.client(walk.work.cast.alice)


def declared(name: str) -> list[Route]:
    found = [route for route in pages() if getattr(route.view, name, None)]
    assert len(found) > 3
    return found


def writes(act: Callable[[], Any]) -> tuple[Any, list[str]]:
    """The answer, and what was written on the way to it."""
    with CaptureQueriesContext(connection) as captured:
        answer = act()
    made = [one["sql"] for one in captured if one["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    return answer, [sql for sql in made if "django_session" not in sql]


def old_page(walk: Walk) -> Client:
    """Logged in, with pages open whose token is not of this session."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(walk.work.cast.alice, backend="django.contrib.auth.backends.ModelBackend")
    client.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
    return client


def bodies(walk: Walk) -> dict[str, dict[str, Any]]:
    """For each form something right to send: what carries it out."""
    template = {"name": "New one", "user": "{{ subject }}", "mode": "none", "action": "save"}
    connection_ = {"name": "New one", "api": "openai_chat", "base_url": "http://127.0.0.1:9"}
    return {
        "job_new": {
            "action": "launch", "mode": "realtime", "model": MODEL, "rows": "all", "nonce": "n",
            "dataset": walk.ids["dataset_id"], "template": walk.ids["template_id"],
            "connection": walk.ids["connection_id"], "max_attempts": 3, "max_repairs": 1,
            "tolerated": 30, "priority": 0,
        },
        "template_new": template,
        "template_edit": template,
        "template_rename": {"name": "Another"},
        "replay_new": {"intent": "create", "nonce": "n"},
        "record": {"nonce": "n", "column-0": "typed anew"},
        "dataset_upload": {"name": "New one"},
        "dataset_rename": {"name": "New one"},
        "dataset_read_again": {"bad_rows": "set_aside", "delimiter": ";"},
        "settings_connection_new": connection_,
        "settings_connection_change": {**connection_, "name": "Changed"},
        "settings_connection_test": {"model": "some-model"},
        "settings_price_new": {"model": "m", "input": "1", "output": "2"},
        "settings_member_new": {"username": "dora", "role": "operator"},
        "settings_token_new": {"name": "New one", "role": "operator"},
        "notice_preferences": {"email": "new@example.com", "end_after_minutes": "5"},
        "settings_webhook_new": {"url": "http://127.0.0.1:9/new", "kinds": ["job.failed"]},
        "settings_webhook_kinds": {"kinds": ["job.failed"]},
        "settings_team": {"keep_answers": "none"},
        "settings_teams": {"name": "New one"},
        "settings_reconciliation": {"connection": walk.ids["connection_id"]},
        "job_revalue": {"from": "2026-01-01"},
        "job_budget": {"budget": "5"},
        "settings_budget_set": {"warn_at": "1", "stop_at": "2"},
    }  # fmt: skip


def test_a_form_without_a_session_is_given_back_whole_but_for_its_secrets(walk: Walk) -> None:
    for route in declared("keeps"):
        path = walk.path(route)
        answer, written = writes(lambda path=path: Client().post(f"{path}?a=b", TYPED))
        assert (answer.status_code, written) == (401, []), route
        assert "Not kept, and to be entered again: the API key, the password." in text(answer)
        fields = [(one.get("name"), one.get("value")) for one in tags(answer, "input")]
        for value in TYPED["typed"]:
            assert ("typed", value) in fields
        assert "sk-secret" not in answer.content.decode()
        assert "hush-" not in answer.content.decode()
        assert {one["action"] for one in tags(answer, "form")} == {f"{path}?a=b"}


def test_a_form_that_came_back_is_shown_and_not_carried_out(walk: Walk, alice: Client) -> None:
    given = bodies(walk)
    walk.ids["n"] = 2  # a failed record, which no replay is about to send
    Replay.objects.update(applied_at=timezone.now())
    assert {route.name for route in declared("keeps")} == set(given)
    root = walk.work.cast.client(walk.work.cast.root)
    old = old_page(walk)
    for route in declared("keeps"):
        path, body = walk.path(route), given[route.name]
        people = [(alice, {**body, "resumed": "1", "left_out": "api_key"})]
        if route.name == "settings_teams":
            people = [(root, people[0][1])]
        else:
            people.append((old, body))
        for client, sent in people:
            answer, written = writes(
                lambda client=client, path=path, sent=sent: client.post(path, sent, headers=OURS)
            )
            assert written == [], (route, written)
            assert answer.status_code == (403 if client is old else 200), route
            words = text(answer)
            assert "Nothing was sent or saved yet." in words, route
            assert ("to be entered again: the API key" in words) == ("left_out" in sent), route
            for name in ("name", "username", "model", "column-0"):
                if name in body and not (name == "name" and route.name == "template_edit"):
                    assert str(body[name]) in answer.content.decode(), route
    # The same bodies are carried out where nothing came between; an upload lacks its file.
    for route in declared("keeps"):
        if route.name in (
            *("dataset_upload", "settings_reconciliation"),
            *("settings_teams", "dataset_read_again"),  # jobs use the dataset
        ):
            continue
        assert writes(lambda r=route: alice.post(walk.path(r), given[r.name]))[1], route


def test_ticked_rows_come_back_as_a_replay_to_be_looked_at(walk: Walk, alice: Client) -> None:
    sent = {"intent": "as_is", "selected": ["2", "3"], "nonce": "n", "resumed": "1"}
    url = f"/jobs/{walk.job.public_id}/replay/"
    answer, written = writes(lambda: alice.post(url, sent))
    assert (answer["Location"], written) == (f"{url}?rows=2%2C3", [])


def test_a_button_of_an_old_page_does_nothing_and_says_so(walk: Walk) -> None:
    job = f"/jobs/{walk.job.public_id}/"
    headers = {**OURS, "Referer": f"http://testserver{job}"}
    client = old_page(walk)
    answer, written = writes(lambda: client.post(f"{job}resume/", headers=headers))
    assert (answer["Location"], written) == (job, [])
    assert "Press the button again." in text(client.get(job))
    nobody = Client().post(f"{job}resume/", headers=headers)
    assert nobody["Location"] == f"/accounts/login/?next={job}"


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "https://testserver", ""])
def test_what_comes_from_elsewhere_is_refused_and_learns_nothing(walk: Walk, origin: str) -> None:
    """The same answer whatever is asked for, whoever is logged in; nothing of it is shown again."""
    headers = {"Origin": origin} if origin else {}
    answers = set()
    for client in (old_page(walk), Client(enforce_csrf_checks=True)):
        for path in (walk.ids["job_id"], "x" * 16):
            url = f"/jobs/{path}/replay/"
            for body in (TYPED, TYPED | {"resumed": "1"}):
                answer = client.post(url, body, headers=headers)
                answers.add((answer.status_code, text(answer)))
    assert len(answers) == 1
    status, words = answers.pop()
    assert status == 403
    assert "This form was too old" in words
    assert "care" not in words


def test_a_fragment_without_a_session_leaves_its_page_where_it_is(walk: Walk) -> None:
    job = f"/jobs/{walk.job.public_id}/"
    for answer in (
        Client().post("/templates/new/", {"user": "x"}, headers={"HX-Request": "true"}),
        Client().get(job, headers=LIVE),
        Client(enforce_csrf_checks=True).post(
            "/jobs/new/estimate/", headers={"HX-Request": "true", **OURS}
        ),
    ):
        assert answer.status_code == 401
        assert not {"HX-Redirect", "Location"} & set(answer.headers)
        assert "<" not in answer.content.decode()


def test_a_log_in_beside_an_open_form_sends_back_to_it(walk: Walk, alice: Client) -> None:
    answer = alice.get("/accounts/login/?next=/accounts/again/", follow=True)
    assert "go on in the other one" in text(answer)


FILES = ("job_results", "costs_csv", "costs_focus", "costs_chargeback")


def seen_by(walk: Walk, client: Client) -> list[Any]:
    found = [
        client.get(walk.path(route))
        for route in pages()
        if "<str:username>" not in route.pattern and route.name not in FILES
    ]
    return [answer for answer in found if answer.status_code == 200]


def test_every_secret_on_a_page_is_known_as_one(walk: Walk, alice: Client) -> None:
    """Else it would be written into the page that carries a form over the log-in."""
    seen = [*seen_by(walk, alice), *seen_by(walk, Client())]
    found = {
        str(one["name"])
        for answer in seen
        for one in tags(answer, "input")
        if one.get("type") in ("password", "file")
    }
    assert {"api_key", "password", "new_password1", "file"} <= found
    for name in found:
        answer = Client().post("/templates/new/", {name: "very-secret"})
        assert "very-secret" not in answer.content.decode(), name
        assert "Not kept, and to be entered again" in text(answer), name


def questions(walk: Walk, client: Client) -> dict[str, str]:
    """What the buttons on all pages ask, by where they lead."""
    forms = [form for answer in seen_by(walk, client) for form in tags(answer, "form")]
    return {str(one["action"]): str(one["data-confirm"]) for one in forms if "data-confirm" in one}


def test_what_destroys_asks_first_in_the_same_words_everywhere(walk: Walk, alice: Client) -> None:
    left = {route.name for route in declared("confirm")}

    def go_through() -> None:
        for url, words in questions(walk, alice).items():
            if "/alice/" in url:
                continue  # the last admin stays, whatever is answered
            name = resolve(url).url_name
            assert name in {route.name for route in declared("confirm")}, f"{url} would not ask"
            if name in left:
                confirmed(alice, url, words)
                left.remove(name)

    go_through()
    walk.job.delete()  # a dataset that a job uses cannot be deleted
    go_through()
    assert left == set(), "these ask, and no button says what"


def confirmed(client: Client, url: str, words: str) -> None:
    """Nothing happens without a yes, and what was sent goes along with it."""
    answer, written = writes(lambda: client.post(url, {"more": "kept"}))
    assert (answer.status_code, written) == (200, []), url
    assert " ".join(words.split()) in text(answer).replace("&#x27;", "'")
    fields = {one.get("name"): one.get("value") for one in tags(answer, "input")}
    assert fields["more"] == "kept"
    button = next(one for one in tags(answer, "button") if one.get("name") == "confirmed")
    assert writes(lambda: client.post(url, {"confirmed": button["value"]}))[1], url
