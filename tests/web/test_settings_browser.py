"""Settings, accounts and error pages in a real browser: accessible, fitting, usable, quiet."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client
from django.urls import path
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from batchllm.urls import urlpatterns as real
from jobs.engine.history import note
from jobs.engine.limits import SharedState
from jobs.models import ApiToken, Connection, LimitState, NoticeCopy, NoticeKind, Worker
from jobs.teams.tokens import token_create, token_revoke
from tests.cast import PASSWORD, cast  # noqa: F401
from tests.notices.test_delivery import go, tell, webhook
from tests.simulator_process import SimulatorProcess
from tests.web.test_browser import RULES, _listen, _logged_in
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)

OPTIONS = {"runOnly": RULES, "resultTypes": ["violations"]}


def breaks(request: WSGIRequest) -> None:
    raise RuntimeError("on purpose")


urlpatterns = [path("breaks/", breaks), *real]


@pytest.fixture
def furnished(work: Work) -> Work:  # noqa: F811
    """Something on every page."""
    now = timezone.now()
    work.priced()
    work.job(pending=1)
    work.connection.tested_at = now
    work.connection.test_failure, work.connection.test_message = "timeout", "No answer came."
    work.connection.capabilities = {"structured": "tool", "usage": False, "model": "sim-mini"}
    work.connection.save()
    alice, team = work.cast.alice, work.cast.team
    token_create(user=alice, team=team, role=work.cast.actor(alice).role, name="nightly")
    token_revoke(token_create(user=alice, team=team, role=work.cast.actor(alice).role, name="x")[0])
    for n, kind in enumerate(("cluster", "slice", "short")):
        Worker.objects.create(
            id=kind, kind=kind, host="machine-7", pid=n, version="0.1.0", started_at=now,
            seen_at=now - timedelta(minutes=n), detail={"workers": 2},
        )  # fmt: skip
    for model in ("sim-mini", "a-model-with-a-name-that-is-longer-than-most-2026-05-14-preview"):
        state = SharedState()
        for minutes in range(29, -1, -1):
            level = 300 if minutes > 12 else 588
            note(state.past, now.timestamp() - 60 * minutes, level - minutes % 7, 2, level)
        LimitState.objects.create(
            connection=work.connection, model=model, state=state.dump(), updated_at=now
        )
    webhook(work.cast, "http://127.0.0.1:9/hook")
    for n, kind in enumerate(NoticeKind):
        tell(work.cast, kind=kind, key=f"notice {n}")
    go()
    NoticeCopy.objects.filter(notice__kind=NoticeKind.JOB_FAILED).update(read_at=now)
    return work


@pytest.mark.urls(__name__)
def test_every_page_is_accessible_and_fits(
    browser: Browser, live_server: LiveServer, furnished: Work
) -> None:
    people: dict[User | None, list[str]] = {
        furnished.cast.alice: [
            "connections/", f"connections/{furnished.connection.public_id}/", "connections/new/",
            "prices/", "prices/new/", "members/", "members/new/", "tokens/", "tokens/new/",
            "workers/", "team/", "audit/", "audit/?q=zebra", "webhooks/", "webhooks/new/",
            f"webhooks/{furnished.cast.team.webhooks.get().public_id}/", "/notices/",
            "/notices/?show=unread", "/accounts/notices/",
        ],
        furnished.cast.charlie: [
            "connections/", "prices/", "tokens/", "audit/", "webhooks/", "/notices/",
        ],
        furnished.cast.olivia: [
            f"connections/{furnished.connection.public_id}/", "/accounts/password/",
            "/settings/audit/", "/nothing/", "/breaks/",
        ],
        furnished.cast.root: ["/settings/teams/"],
        None: ["/accounts/login/"],
    }  # fmt: skip
    found: dict[str, object] = {}
    for user, urls in people.items():
        context = _open(browser, live_server, furnished, user)
        page = context.new_page()
        for url in urls:
            page.goto(url if url.startswith("/") else f"/settings/{url}")
            _judge(page, url, found)
        if user is furnished.cast.alice:
            _faulty_and_once(page, found)
        if user is None:
            _shut_out(page, found)
        context.close()
    assert found == {}


def _open(
    browser: Browser, live_server: LiveServer, furnished: Work, user: User | None
) -> BrowserContext:
    if user is None:
        return browser.new_context(base_url=live_server.url, reduced_motion="reduce")
    return _logged_in(browser, live_server, furnished, user, reduced_motion="reduce")


def _faulty_and_once(page: Page, found: dict[str, object]) -> None:
    """Forms with their errors, and the pages that show a secret."""
    page.goto("/settings/connections/new/")
    page.locator("form[novalidate], main form").first.evaluate("form => form.noValidate = true")
    page.get_by_label("Requests a minute").fill("-1")
    page.get_by_role("button", name="Add OpenAI connection").click()
    _judge(page, "a faulty connection", found)
    page.goto("/settings/tokens/new/")
    page.get_by_label("Name").fill("shown")
    page.get_by_role("button", name="Make token").click()
    _judge(page, "a token shown", found)
    page.goto("/settings/members/new/")
    page.get_by_label("User name").fill("dora")
    page.get_by_role("button", name="Add member").click()
    _judge(page, "a password shown", found)


def _shut_out(page: Page, found: dict[str, object]) -> None:
    """Without the cookie of the form, with a wrong password, and with too many of them."""
    page.context.clear_cookies(name="csrftoken")
    page.get_by_label("Username").fill("olivia")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("h1")).to_have_text("This form was too old")
    _judge(page, "csrf", found)
    for n in range(settings.AXES_FAILURE_LIMIT):
        if n:
            Client().post("/accounts/login/", {"username": "olivia", "password": "wrong"})
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill("olivia")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("h1")).to_have_text("Too many attempts")
    _judge(page, "locked", found)


def _judge(page: Page, what: str, found: dict[str, object]) -> None:
    """Wide and light, then narrow and dark: colours hang on the theme alone, room on the width."""
    for width, theme in ((1440, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(f"document.documentElement.dataset.bsTheme = '{theme}'")
        violations = Axe().run(page, options=OPTIONS).response["violations"]
        if violations:
            found[f"{what} {theme}"] = [
                (one["id"], [node["html"] for node in one["nodes"]]) for one in violations
            ]
        elif not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            found[f"{what} {width}"] = "too wide"


@pytest.fixture
def alice(browser: Browser, live_server: LiveServer, work: Work) -> Iterator[Page]:  # noqa: F811
    context = _logged_in(browser, live_server, work, work.cast.alice)
    page = context.new_page()
    trouble = _listen(page, live_server.url)
    yield page
    context.close()
    assert trouble == []


def test_a_connection_from_its_first_entry_to_its_end(alice: Page) -> None:
    with SimulatorProcess() as simulator:
        alice.goto("/settings/connections/")
        alice.get_by_role("link", name="Add connection").click()
        alice.get_by_role("link", name="OpenAI-compatible server").click()
        alice.get_by_label("Name").fill("Local model")
        alice.get_by_label("Base URL").fill(simulator.url)
        alice.get_by_label("API key").fill("sk-invalid-0123456789")
        alice.get_by_role("button", name="Add OpenAI-compatible server connection").dblclick()
        expect(alice.locator("h1")).to_have_text("Local model")
        assert Connection.objects.filter(name="Local model").count() == 1
        alice.get_by_role("button", name="Test connection").click()
        expect(alice.locator("#test")).to_contain_text("The key was refused. Enter a valid key.")
        alice.get_by_label("API key").fill("sk-works-0123456789")
        alice.get_by_role("button", name="Save").click()
        expect(alice.get_by_role("status")).to_contain_text("Saved.")
        alice.get_by_role("button", name="Test connection").click()
        expect(alice.locator("#test")).to_contain_text("The connection works.")
        expect(alice.get_by_text("ends in 6789")).to_be_visible()
    alice.get_by_role("button", name="Remove").click()
    dialog = alice.locator("#confirm")
    expect(dialog).to_contain_text("Its key is erased")
    dialog.get_by_role("button", name="Keep as it is").click()
    alice.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(alice.get_by_role("status")).to_contain_text("Removed Local model")
    expect(alice.locator("main")).not_to_contain_text("Local model")


def test_a_token_is_shown_once_and_copied(alice: Page) -> None:
    alice.goto("/settings/tokens/new/")
    alice.get_by_label("Name").fill("nightly")
    alice.get_by_role("button", name="Make token").click()
    prefix = ApiToken.objects.get().prefix
    shown = alice.locator("main").inner_text()
    assert prefix in shown
    alice.goto("/settings/tokens/")
    expect(alice.locator("main")).to_contain_text(f"{prefix}…")
    raw = next(word for word in shown.split() if word.startswith(prefix))
    expect(alice.locator("main")).not_to_contain_text(raw)
    alice.get_by_role("button", name="Revoke").click()
    alice.locator("#confirm").get_by_role("button", name="Revoke").click()
    expect(alice.locator("main")).to_contain_text("revoked")


def test_a_role_is_changed_by_choosing_it(alice: Page) -> None:
    alice.goto("/settings/members/")
    alice.get_by_label("Role of olivia").select_option("lead")
    expect(alice.get_by_role("status")).to_contain_text("olivia is team lead now.")
    alice.get_by_label("Role of alice").select_option("operator")
    expect(alice.get_by_role("status")).to_contain_text("keeps at least one admin")


def test_the_workers_page_follows_what_happens(alice: Page) -> None:
    alice.goto("/settings/workers/")
    expect(alice.locator("#workers")).to_contain_text("No workers")
    now = timezone.now()
    Worker.objects.create(
        id="w", kind="cluster", host="machine-7", pid=1, version="0.1.0", started_at=now,
        seen_at=now, detail={"workers": 2},
    )  # fmt: skip
    expect(alice.locator("#workers")).to_contain_text("machine-7", timeout=10_000)
    expect(alice.locator("#workers")).not_to_contain_text("No workers")


def test_a_log_in_with_a_first_password_leads_to_an_own_one(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
) -> None:
    answer = work.cast.client(work.cast.alice).post(
        "/settings/members/new/", {"username": "dora", "role": "operator"}
    )
    context = browser.new_context(base_url=live_server.url)
    page = context.new_page()
    page.goto("/jobs/")
    page.get_by_label("Username").fill("dora")
    page.get_by_label("Password").fill(answer.context["password"])
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Change your password")
    page.get_by_label("Old password").fill(answer.context["password"])
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password confirmation").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("status")).to_contain_text("Your password was changed.")
    context.close()
