"""An ended session and a log-in in another tab, in the middle of a form, in a real browser."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Browser, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from jobs.models import Job, TemplateVersion
from tests.cast import PASSWORD, cast  # noqa: F401
from tests.web.test_browser import _logged_in
from tests.web.test_settings_browser import _judge
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["with scripts", "without scripts"])
def scripts(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "with scripts"


@pytest.fixture
def page(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
    scripts: bool,
) -> Iterator[Page]:
    context = _logged_in(
        browser, live_server, work, work.cast.olivia,
        java_script_enabled=scripts, reduced_motion="reduce",
    )  # fmt: skip
    yield context.new_page()
    context.close()


def log_in_beside(page: Page, link: Locator) -> None:
    """Through a link that opens another tab."""
    with page.context.expect_page() as opened:
        link.click()
    other = opened.value
    other.get_by_label("Username").fill("olivia")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Log in").click()
    expect(other.locator("main")).to_contain_text("go on in the other one")
    other.close()


def test_the_launch_form_comes_back_filled_in_after_the_log_in(
    page: Page,
    work: Work,  # noqa: F811
    scripts: bool,
) -> None:
    page.goto("/jobs/new/")
    page.get_by_label("Name").fill("Typed with care")
    page.get_by_label("Model").fill("sim-mini")
    page.get_by_label("Rows", exact=False).first.select_option("limit")
    page.get_by_label("How many").fill("7")
    page.get_by_label("Tags").fill("a=1\nb=2")
    Session.objects.all().delete()
    page.get_by_role("button", name="Launch").click()
    expect(page.locator("h1")).to_have_text("You were logged out")
    looked_at(page, scripts=scripts)
    go_on = page.get_by_role("button", name="go on with what I typed")
    go_on.click()
    expect(page.locator("h1")).to_have_text("You are still logged out")
    log_in_beside(page, page.get_by_role("link", name="Log in in a new tab"))
    go_on.click()
    expect(page.locator("main")).to_contain_text("Nothing was sent or saved yet.")
    expect(page.get_by_label("Name")).to_have_value("Typed with care")
    expect(page.get_by_label("Tags")).to_have_value("a=1\nb=2")
    assert not Job.objects.exists()
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("status")).to_contain_text("is launched with 7 rows")
    assert Job.objects.get().tags == {"a": "1", "b": "2"}


def looked_at(page: Page, *, scripts: bool = True) -> None:
    """In both themes and widths; axe is a script itself."""
    found: dict[str, object] = {}
    if scripts:
        before = page.viewport_size
        _judge(page, page.url, found)
        page.set_viewport_size(before or {"width": 1280, "height": 720})
    assert found == {}


@pytest.mark.parametrize("scripts", [True])
def test_the_template_editor_stays_and_says_where_to_log_in(page: Page, work: Work) -> None:  # noqa: F811
    page.goto("/templates/new/")
    page.get_by_label("Name", exact=True).fill("Typed with care")
    user = page.get_by_label("User", exact=True)
    user.fill("Ticket: {{ subject }}")
    expect(page.locator("#check")).to_contain_text("Ticket: Ticket 1")
    Session.objects.all().delete()
    user.press_sequentially(" and more")
    banner = page.locator("[role=alert] [data-trouble=logged-out]")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("You were logged out. Log in in another tab, then go on here.")
    assert page.url.endswith("/templates/new/")
    looked_at(page)
    expect(user).to_be_focused()
    expect(user).to_have_value("Ticket: {{ subject }} and more")
    expect(page.get_by_label("Dataset", exact=True)).to_be_visible()
    log_in_beside(page, banner.get_by_role("link"))
    user.press_sequentially(", {{ priority }}")
    expect(page.locator("#check")).to_contain_text("and more, 1")
    expect(banner).to_be_hidden()
    page.get_by_role("button", name="Save template").click()
    expect(page.get_by_role("status")).to_contain_text("Saved version 1")
    assert TemplateVersion.objects.get(template__name="Typed with care").user.endswith("}}")


def test_a_page_older_than_the_log_in_saves_or_asks_to_save_again(
    page: Page,
    work: Work,  # noqa: F811
    scripts: bool,
) -> None:
    page.goto("/templates/new/")
    page.get_by_label("Name", exact=True).fill("Typed with care")
    page.get_by_label("User", exact=True).fill("Line one\n\n  <b>{{ subject }}</b>")
    Session.objects.all().delete()
    other = page.context.new_page()
    other.goto("/accounts/login/")
    other.get_by_label("Username").fill("olivia")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Log in").click()
    expect(other.locator("h1")).to_have_text("Overview")
    page.get_by_role("button", name="Save template").click()
    if not scripts:  # scripts send the token of now
        expect(page.locator("main")).to_contain_text("Nothing was sent or saved yet.")
        assert not TemplateVersion.objects.filter(template__name="Typed with care").exists()
        page.get_by_role("button", name="Save template").click()
    expect(page.locator("h1")).to_have_text("Typed with care")
    saved = TemplateVersion.objects.get(template__name="Typed with care")
    assert saved.user == "Line one\n\n  <b>{{ subject }}</b>"


@pytest.mark.parametrize("scripts", [True])
def test_back_and_launch_again_asks_before_a_second_job(page: Page, work: Work) -> None:  # noqa: F811
    page.goto("/jobs/new/")
    page.get_by_label("Model").fill("sim-mini")
    page.get_by_role("button", name="Launch").click()
    expect(page.locator("h1")).to_contain_text("queued")
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    page.go_back()
    expect(page.get_by_label("Model")).to_have_value("sim-mini")
    page.get_by_role("button", name="Launch").click()
    expect(page.locator("main")).to_contain_text("This job was launched already:")
    looked_at(page)
    assert Job.objects.count() == 1
    page.get_by_role("button", name="Launch another").click()
    expect(page.locator("h1")).to_contain_text("queued")
    assert Job.objects.count() == 2
