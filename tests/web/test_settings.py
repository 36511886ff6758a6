"""The settings pages: what they show, what they say when something is wrong, what they keep typed."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from jobs.engine.history import note
from jobs.engine.limits import SharedState
from jobs.models import (
    Connection,
    Job,
    JobStatus,
    KeepAnswers,
    LimitState,
    Membership,
    Price,
    Team,
    Worker,
)
from jobs.queue import ring
from jobs.teams.audit import record
from tests.cast import cast, make_connection  # noqa: F401
from tests.simulator_process import SimulatorProcess
from tests.web.reading import assert_harmless, tag_with, text
from tests.web.work import HOSTILE, Work, work  # noqa: F401

pytestmark = pytest.mark.django_db
NEW = "/settings/connections/new/?kind=openai_compatible"
FORM = {"name": "Local", "api": "openai_chat", "base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture
def alice(work: Work) -> Any:  # noqa: F811
    return work.cast.client(work.cast.alice)


# --- Connections ----------------------------------------------------------------------------
def test_a_connection_is_added_changed_and_removed(alice: Any, work: Work) -> None:  # noqa: F811
    alice.post(NEW, FORM | {"rpm": "600", "api_key": "sk-long-enough-key-1234"})
    made = Connection.objects.get(name="Local")
    path = f"/settings/connections/{made.public_id}/"
    assert "…1234" in text(alice.get("/settings/connections/"))
    page = alice.get(path)
    assert tag_with(page, "input", name="rpm")["value"] == "600"
    assert "value" not in tag_with(page, "input", name="api_key")
    answer = alice.post(f"{path}change/", FORM | {"name": "Renamed", "rpm": ""}, follow=True)
    assert "Saved." in text(answer)
    made.refresh_from_db()
    assert (made.name, made.rpm, made.key_last4) == ("Renamed", None, "1234")
    work.connection = made
    work.job(pending=1)
    assert "1 unfinished job on it will pause" in alice.get(path).content.decode()
    assert "Removed Renamed" in text(alice.post(f"{path}remove/", {"confirmed": "1"}, follow=True))
    assert "Renamed" not in text(alice.get("/settings/connections/"))
    assert alice.get(path).status_code == 404


def test_a_connection_shows_what_it_was_held_to_and_what_it_called(
    alice: Any,
    work: Work,  # noqa: F811
) -> None:
    path = f"/settings/connections/{work.connection.public_id}/"
    assert "Limits at work" not in text(alice.get(path))
    now = timezone.now()
    for model, level in (("found", 588), ("free", None)):
        state = SharedState()
        for minutes in range(10, 0, -1):
            note(state.past, now.timestamp() - 60 * minutes, 580, 4, level)
        LimitState.objects.create(
            connection=work.connection, model=model, state=state.dump(), updated_at=now
        )
    LimitState.objects.create(
        connection=work.connection, model="old", updated_at=now - timedelta(hours=1)
    )
    page = text(alice.get(path))
    assert "found 590 as found 584 99% 40 of 5,840 calls" in page
    assert "free — no limit met 584 40 of 5,840 calls" in page
    assert "Calls a minute, latest 584" in page
    assert "old" not in page.split("Limits at work")[1]


def test_another_address_takes_the_key_away_and_says_so(alice: Any) -> None:
    alice.post(NEW, FORM | {"api_key": "sk-long-enough-key-1234"})
    made = Connection.objects.get(name="Local")
    change = f"/settings/connections/{made.public_id}/change/"
    answer = alice.post(change, FORM | {"base_url": "http://127.0.0.1:10"}, follow=True)
    assert "The address changed, so the stored key was removed" in text(answer)
    alice.post(change, FORM | {"base_url": "http://127.0.0.1:10", "api_key": "sk-another-key-5678"})
    answer = alice.post(
        change, FORM | {"base_url": "http://127.0.0.1:10", "remove_key": "on"}, follow=True
    )
    assert "Saved." in text(answer)
    made.refresh_from_db()
    assert made.key_encrypted == ""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "Simulator"}, "Another connection of this team has this name"),
        ({"base_url": "ftp://x"}, "must begin with https://"),
        ({"base_url": "http://169.254.169.254/"}, "never allowed"),
        ({"base_url": "http://no-such-host.invalid"}, "cannot be found"),
        ({"rpm": "-3"}, "A whole number from 1"),
        ({"rpm": "many"}, "Enter a whole number"),
        ({"api": "nothing"}, "Select a valid choice"),
        ({"api_key": "sk-ünicode"}, "printable ASCII"),
    ],
)
def test_a_faulty_connection_is_said_beside_its_field_and_kept(
    alice: Any, wrong: dict[str, str], words: str
) -> None:
    given = FORM | {"max_in_flight": "7"} | wrong
    answer = alice.post(NEW, given)
    assert answer.status_code == 422
    assert words in text(answer).replace("’", "'")
    for name in ("name", "base_url", "rpm", "max_in_flight"):
        typed = tag_with(answer, "input", name=name).get("value")
        assert (typed or "") == given.get(name, ""), name
    assert Connection.objects.count() == 1


def test_a_key_is_never_sent_back_with_a_faulty_form(alice: Any) -> None:
    answer = alice.post(NEW, FORM | {"name": "", "api_key": "sk-typed-but-lost-1234"})
    assert "Enter the key again" in text(answer)
    assert "sk-typed-but-lost-1234" not in answer.content.decode()


def test_a_test_says_in_words_what_is_wrong_for_each_failure(alice: Any, work: Work) -> None:  # noqa: F811
    path = f"/settings/connections/{work.connection.public_id}/"
    said: dict[str, str] = {}
    with SimulatorProcess() as simulator:
        Connection.objects.update(base_url=simulator.url)
        for fault in ("", "authentication", "permission", "quota_exhausted", "model_not_found",
                      "rate_limited", "overloaded", "server_error", "invalid_request", "html_200",
                      "content_filter", "refusal", "truncated", "empty_output"):  # fmt: skip
            simulator.set_faults({fault: 1} if fault else {})
            answer = alice.post(f"{path}test/", {"model": "sim-small"}, follow=True)
            work.connection.refresh_from_db()
            said[fault] = work.connection.test_message
            assert said[fault] in text(answer).replace("&#x27;", "'").replace("&quot;", '"')
            label = work.connection.test_failure_label or "works"
            assert label in text(alice.get("/settings/connections/"))
    answer = alice.post(f"{path}test/", {"model": "sim-small"}, follow=True)
    assert "The server cannot be reached" in text(answer)
    assert said[""] == "The connection works."
    assert said["authentication"] == "The key was refused. Enter a valid key. (HTTP 401)"
    assert "no credit left" in said["quota_exhausted"]
    assert "Check the base URL" in said["html_200"]
    # A page of somebody's web server and its own error are one failure; all others differ.
    assert len(set(said.values())) >= len(said) - 1


def test_who_may_not_change_connections_sees_them_and_why(work: Work) -> None:  # noqa: F811
    page = work.olivia.get(f"/settings/connections/{work.connection.public_id}/")
    assert "Needs the role “admin” in this team" in text(page)
    assert "http://127.0.0.1:9" in text(page)
    assert not [one for one in page.content.decode().split("<form") if "change/" in one[:200]]


# --- Prices ---------------------------------------------------------------------------------
def test_a_price_is_set_and_an_unknown_one_is_said(alice: Any, work: Work) -> None:  # noqa: F811
    work.job(pending=1, model="nobody-knows-me")
    assert "nobody-knows-me" in text(alice.get("/settings/prices/"))
    assert (
        tag_with(alice.get("/settings/prices/new/?model=nobody-knows-me"), "input", name="model")[
            "value"
        ]
        == "nobody-knows-me"
    )
    given = {"model": "nobody-knows-me", "input": "0.25", "output": "2", "cached_input": "0.025"}
    alice.post("/settings/prices/new/", given)
    page = text(alice.get("/settings/prices/"))
    assert "The price of some models" not in page
    assert "$0.025" in page
    price = Price.objects.get()
    assert (price.input, price.output, price.cached_input) == (250_000, 2_000_000, 25_000)


@pytest.mark.parametrize(
    "wrong", [{"input": "-1"}, {"input": "a lot"}, {"output": "0.0000001"}, {"model": ""},
              {"connection": "zzzzzzzz"}, {"effective_from": "someday"}],
)  # fmt: skip
def test_a_faulty_price_is_kept_as_typed(alice: Any, wrong: dict[str, str]) -> None:
    given = {"model": "m", "input": "1", "output": "2", "cache_write": "3"} | wrong
    answer = alice.post("/settings/prices/new/", given)
    assert answer.status_code == 422
    for name in ("model", "input", "output", "cache_write"):
        assert (tag_with(answer, "input", name=name).get("value") or "") == given[name]
    assert not Price.objects.exists()


# --- Members, tokens, team ------------------------------------------------------------------
def test_members_are_added_given_roles_and_taken_out(alice: Any, work: Work) -> None:  # noqa: F811
    for wrong in ("", "a", "no spaces", "<b>x</b>", "olivia"):
        answer = alice.post("/settings/members/new/", {"username": wrong, "role": "lead"})
        assert answer.status_code == 422, wrong
        assert (tag_with(answer, "input", name="username").get("value") or "") == wrong
        assert "checked" in tag_with(answer, "input", type="radio", value="lead")
    assert "Shown this once" in text(
        alice.post("/settings/members/new/", {"username": "dora", "role": "lead"})
    )
    answer = alice.post("/settings/members/dora/role/", {"role": "operator"}, follow=True)
    assert "dora is operator now" in text(answer)
    assert "One of operator, lead, admin" in text(
        alice.post("/settings/members/dora/role/", {"role": "king"}, follow=True)
    )
    answer = alice.post("/settings/members/dora/remove/", {"confirmed": "1"}, follow=True)
    assert "dora is no longer in the team" in text(answer)
    assert Membership.objects.filter(team=work.cast.team).count() == 3
    page = work.cast.client(work.cast.bob).get("/settings/members/")
    assert "Needs the role “admin”" in text(page)


def test_a_token_without_a_name_is_not_made(alice: Any) -> None:
    answer = alice.post("/settings/tokens/new/", {"name": "", "role": "admin"})
    assert answer.status_code == 422
    assert "selected" in tag_with(answer, "option", value="admin")


def test_a_team_says_which_answers_it_keeps(alice: Any, work: Work) -> None:  # noqa: F811
    assert "checked" in tag_with(alice.get("/settings/team/"), "input", value="failures")
    alice.post("/settings/team/", {"keep_answers": "none"})
    assert Team.objects.get(pk=work.cast.team.pk).keep_answers == KeepAnswers.NONE
    assert alice.post("/settings/team/", {"keep_answers": "some"}).status_code == 422


def test_an_admin_of_the_installation_makes_teams(work: Work) -> None:  # noqa: F811
    root = work.cast.client(work.cast.root)
    assert "Support" in text(root.get("/settings/teams/"))
    answer = root.post("/settings/teams/", {"name": "Support"})
    assert answer.status_code == 422
    assert "There is a team of this name already" in text(answer)
    assert tag_with(answer, "input", name="name")["value"] == "Support"
    page = root.post("/settings/teams/", {"name": "Legal"}, follow=True)
    assert "Made Legal" in text(page)
    assert "Nobody but the admins of the installation" in text(page)


# --- Workers --------------------------------------------------------------------------------
def seen(kind: str, ago: int, **detail: Any) -> Worker:
    now = timezone.now()
    return Worker.objects.create(
        id=f"{kind}{ago}", kind=kind, host="machine-7", pid=41, version="0.1.0",
        started_at=now - timedelta(hours=1), seen_at=now - timedelta(seconds=ago), detail=detail,
    )  # fmt: skip


def test_workers_are_told_with_heartbeat_version_and_what_they_run(work: Work) -> None:  # noqa: F811
    own = work.job(running=4, status=JobStatus.RUNNING)
    other = Job.objects.create(
        team=work.cast.other_team, name="Secret of Search", dataset=own.dataset, model="m", total=1,
        template_version=own.template_version, connection=own.connection,
    )  # fmt: skip
    seen("cluster", 3, workers=2)
    seen("slice", 4, jobs={str(own.pk): 4, str(other.pk): 9}, rate=17.5)
    seen("slice", 400, rate=99.0)
    ring()
    OrmQ.objects.update(lock=timezone.now() - timedelta(seconds=40))
    page = work.olivia.get("/settings/workers/")
    words = text(page)
    assert words.count("machine-7 :41") == 3
    assert "Cluster of 2 processes" in words
    assert "Nightly tags 4 in flight" in words
    assert "1 job of other teams" in words
    assert "Secret of Search" not in words
    assert words.count("alive") == 2
    assert words.count("gone") == 1
    assert "0.1.0" in words
    assert "Slices 1 unread" in words
    assert "Slices 40 s waits the oldest" in words
    # What a dead process did last is over.
    assert "17.5" in words
    assert "99.0" not in words
    assert "No workers" not in words
    assert "2 workers" in words


def test_no_worker_is_red_everywhere(work: Work) -> None:  # noqa: F811
    assert "0 workers · never seen" in text(work.olivia.get("/"))
    seen("cluster", 65, workers=2)
    page = work.olivia.get("/settings/workers/")
    assert "0 workers · seen 1 min" in text(page)
    assert "No workers Jobs wait until a queue cluster runs" in text(page)
    header = tag_with(page, "a", title="Workers whose heartbeat is fresh")
    assert "tone-red" in str(header["class"])


# --- Audit ----------------------------------------------------------------------------------
def test_the_audit_log_is_searched_and_paged(alice: Any, work: Work) -> None:  # noqa: F811
    actor = work.cast.actor(work.cast.alice)
    for n in range(60):
        record(actor, "job.pause", work.dataset, n=n)
    record(actor, "member.add", work.dataset, note=HOSTILE)
    first = alice.get("/settings/audit/")
    assert_harmless(first)
    assert first.content.decode().count("data-row>") == 50
    older = alice.get(f"/settings/audit/{first.context['next_url']}")
    assert older.content.decode().count("data-row>") == 11
    assert "member.add" not in text(alice.get("/settings/audit/?kind=job"))
    assert "Clear filters" in text(alice.get("/settings/audit/?q=zebra"))
    for odd in ("before=x", "before=9" + "9" * 30, "kind=zz", "before=-1"):
        assert alice.get(f"/settings/audit/?{odd}").status_code == 200


def test_each_role_sees_the_tabs_it_may_open(work: Work) -> None:  # noqa: F811
    tabs = {
        "olivia": {"Connections", "Prices", "Budgets", "API tokens", "Workers"},
        "bob": {"Connections", "Prices", "Budgets", "API tokens", "Workers", "Members"},
        "alice": {"Connections", "Prices", "Budgets", "API tokens", "Workers", "Members",
                  "Answers kept", "Audit log", "Webhooks", "Reconciliation"},
    }  # fmt: skip
    for name, expected in tabs.items():
        client = work.cast.client(getattr(work.cast, name))
        page = client.get("/settings/", follow=True)
        assert {tab["label"] for tab in page.context["settings_tabs"]} == expected
        for tab in page.context["settings_tabs"]:
            assert client.get(tab["url"]).status_code == 200
    make_connection(work.cast.other_team, name="Theirs")
    assert "Theirs" not in text(work.olivia.get("/settings/connections/"))


def test_what_a_dead_process_had_in_flight_is_over(alice: Any, work: Work) -> None:  # noqa: F811
    job, now = work.job(running=7, name="Half done"), timezone.now()
    for name, age in (("alive", 1), ("gone", 60)):
        Worker.objects.create(
            id=name, kind="slice", host=f"{name}-host", pid=1, version="1", in_flight=41 + age,
            started_at=now, seen_at=now - timedelta(seconds=age), detail={"jobs": {job.pk: 41}},
        )  # fmt: skip
    page = alice.get("/settings/workers/").content.decode()
    alive, gone = (
        page.split(f'id="worker-{name}"')[1].split("</tr>")[0] for name in ("alive", "gone")
    )
    assert "Half done" in alive
    assert ">42<" in alive
    assert "Half done" not in gone
    assert "101" not in gone
