"""The job pages in a real browser: accessible in both themes and widths, live without disturbing,
quiet towards the outside, and usable without scripts."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect
from pytest_django.live_server_helper import LiveServer

from jobs.models import Job, JobStatus, Record, RecordStatus, Replay
from tests.cast import cast  # noqa: F401
from tests.web.work import CALL, Work, work  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def _logged_in(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
    user: User,
    **options: object,
) -> BrowserContext:
    context = browser.new_context(base_url=live_server.url, **options)  # type: ignore[arg-type]
    session = work.cast.client(user).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
    )
    return context


def _listen(page: Page, own: str) -> list[str]:
    """What goes wrong in the page from now on: errors, and requests to anybody else."""
    trouble: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            trouble.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith((own, "data:")):
            trouble.append(request.url)

    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", said)
    page.on("request", asked)
    return trouble


@pytest.fixture
def visitor(browser: Browser, live_server: LiveServer, work: Work) -> Iterator[Page]:  # noqa: F811
    context = _logged_in(browser, live_server, work, work.cast.olivia)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_every_page_is_accessible_fits_and_asks_nobody_else(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
    width: int,
    theme: str,
) -> None:
    running = work.job(succeeded=30, failed=9, running=2, pending=9, budget=10**12)
    ended = work.job(succeeded=3, failed=4, status=JobStatus.COMPLETED_WITH_FAILURES)
    work.job(pending=5, status=JobStatus.PAUSED, status_reason="budget", status_detail="Used up")
    work.spent(running)
    replay = Replay.objects.create(job=ended, key="k", asked=2, created_by=work.cast.olivia)
    one, other = f"/jobs/{running.public_id}/", f"/jobs/{ended.public_id}/"
    full = ["/", "/jobs/", "/jobs/?q=zebra", f"/jobs/new/?clone={ended.public_id}", one]
    full += [f"{one}?status=failed", f"{other}?tab=activity", f"{other}?tab=config"]
    full += [f"{other}failures/", f"{other}records/5/", f"{other}replay/", "/costs/?by=job"]
    full += [f"{other}replays/{replay.public_id}/", "/costs/?by=version", "/jobs/compare/"]
    full += ["/costs/months/", f"/costs/report/?month={timezone.now():%Y-%m}"]
    full += [f"/jobs/compare/?a={running.public_id}&b={ended.public_id}"]
    found: dict[str, object] = {}
    for user, urls in (
        (work.cast.olivia, full),
        (work.cast.charlie, ["/", "/jobs/", "/jobs/new/", "/costs/"]),
    ):
        context = _logged_in(
            browser, live_server, work, user, viewport={"width": width, "height": 900}
        )
        context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
        page = context.new_page()
        trouble = _listen(page, live_server.url)
        for url in urls:
            page.goto(url)
            expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
            page.evaluate("document.querySelectorAll('main details').forEach(d => d.open = true)")
            results = Axe().run(page, options={"runOnly": RULES}).response["violations"]
            if results or not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                found[url] = [
                    (rule["id"], [node["html"] for node in rule["nodes"]]) for rule in results
                ] or "too wide"
        if trouble:
            found[user.username] = trouble
        context.close()
    assert found == {}


def test_a_poll_shows_the_end_and_leaves_what_one_is_doing_alone(
    visitor: Page,
    work: Work,  # noqa: F811
) -> None:
    job = work.job(succeeded=1, failed=1, pending=2)
    visitor.goto(f"/jobs/{job.public_id}/")
    visitor.get_by_role("checkbox", name="Select row 2").check()
    visitor.get_by_role("searchbox", name="Search records").fill("half a word")
    Job.objects.filter(pk=job.pk).update(succeeded=2, pending=1)
    Record.objects.filter(job=job, n=3).update(status=RecordStatus.SUCCEEDED)
    expect(visitor.locator("#row-3")).to_contain_text("succeeded")
    expect(visitor.get_by_role("link", name="2 succeeded")).to_be_visible()
    expect(visitor.get_by_role("checkbox", name="Select row 2")).to_be_checked()
    search = visitor.get_by_role("searchbox", name="Search records")
    expect(search).to_be_focused()
    expect(search).to_have_value("half a word")
    Job.objects.filter(pk=job.pk).update(
        succeeded=3, pending=0, status=JobStatus.COMPLETED_WITH_FAILURES
    )
    expect(visitor.locator("h1")).to_contain_text("completed with failures")
    assert visitor.locator("#live[hx-get]").count() == 0


def test_the_size_follows_the_form_and_a_double_click_launches_one_job(
    visitor: Page,
    work: Work,  # noqa: F811
) -> None:
    visitor.goto("/jobs/new/")
    visitor.get_by_label("Model").fill("sim-mini")
    visitor.get_by_label("Rows", exact=False).first.select_option("limit")
    visitor.get_by_label("How many").fill("7")
    visitor.get_by_label("How many").blur()
    expect(visitor.locator("#estimate")).to_contain_text("at most 1.4k")
    visitor.get_by_role("button", name="Launch").dblclick()
    expect(visitor.get_by_role("status")).to_contain_text("is launched with 7 rows")
    assert Job.objects.count() == 1


def test_cancelling_can_still_be_thought_over(visitor: Page, work: Work) -> None:  # noqa: F811
    job = work.job(running=1, pending=12)
    visitor.goto(f"/jobs/{job.public_id}/")
    visitor.get_by_role("button", name="Cancel job").click()
    dialog = visitor.locator("#confirm")
    expect(dialog).to_contain_text("12 rows that were not sent will be cancelled")
    dialog.get_by_role("button", name="Keep as it is").click()
    job.refresh_from_db()
    assert job.state is JobStatus.RUNNING
    visitor.get_by_role("button", name="Cancel job").click()
    dialog.get_by_role("button", name="Cancel job").click()
    expect(visitor.locator("h1")).to_contain_text("cancelling")


def test_failed_rows_are_reached_and_replayed_by_the_keyboard(
    visitor: Page,
    work: Work,  # noqa: F811
) -> None:
    job = work.job(succeeded=1, failed=2, status=JobStatus.COMPLETED_WITH_FAILURES)
    visitor.goto(f"/jobs/{job.public_id}/?status=failed")
    visitor.keyboard.press("j")
    visitor.keyboard.press("x")
    expect(visitor.locator("[data-bulk-count]")).to_have_text("1 selected")
    visitor.keyboard.press("j")
    visitor.keyboard.press("Enter")
    expect(visitor.locator("h1")).to_contain_text("Row 3")
    visitor.keyboard.press("r")
    expect(visitor.get_by_role("status")).to_contain_text("Row 3 is sent again.")
    assert Replay.objects.get().filter == {"rows": [3]}


def test_rows_that_succeeded_are_ticked_one_by_one_and_looked_at_before_they_are_sent(
    visitor: Page,
    work: Work,  # noqa: F811
) -> None:
    job = work.job(succeeded=2, failed=2, status=JobStatus.COMPLETED_WITH_FAILURES)
    visitor.goto(f"/jobs/{job.public_id}/")
    ticked = visitor.locator("[data-bulk-count]")
    visitor.get_by_role("checkbox", name="Select all failed rows on this page").check()
    expect(ticked).to_have_text("2 selected")
    visitor.get_by_role("checkbox", name="Select row 1").check()
    expect(ticked).to_have_text("3 selected")
    visitor.get_by_role("button", name="Replay as they were").click()
    expect(visitor.locator("#touch")).to_contain_text("1 of these succeeded already")
    assert not Replay.objects.exists()
    visitor.get_by_role("button", name="Replay 3 records").click()
    expect(visitor.get_by_role("status")).to_contain_text("Replaying 3.")
    assert Replay.objects.get().filter == {"rows": [1, 3, 4], "status": "all"}


def test_it_works_without_scripts(browser: Browser, live_server: LiveServer, work: Work) -> None:  # noqa: F811
    context = _logged_in(browser, live_server, work, work.cast.olivia, java_script_enabled=False)
    page = context.new_page()
    page.goto("/jobs/new/")
    page.get_by_label("Model").fill("sim-mini")
    page.get_by_role("button", name="Recalculate").click()
    expect(page.locator("#estimate")).to_contain_text("200")
    assert not Job.objects.exists()
    page.get_by_label("Pilot").select_option("10")
    page.get_by_role("button", name="Launch").click()
    expect(page.locator("h1")).to_contain_text("queued")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("h1")).to_contain_text("paused")
    job = work.job(failed=2, status=JobStatus.COMPLETED_WITH_FAILURES)
    page.goto(f"/jobs/{job.public_id}/?status=failed")
    page.get_by_role("checkbox", name="Select row 2").check()
    page.get_by_role("button", name="Replay as they were").click()
    expect(page.get_by_role("status")).to_contain_text("Replaying 1.")
    context.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_a_lead_sees_on_monday_who_spent_what_and_why_and_stops_it(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
    width: int,
) -> None:
    usual = work.job(succeeded=8, status=JobStatus.COMPLETED, name="Tickets of the night")
    dearer = work.job(succeeded=4, pending=40, name="Everything again", model="large")
    for days_ago in range(1, 57):
        work.spent(usual, days_ago=days_ago)
    for days_ago in range(3):
        work.spent(dearer, days_ago=days_ago, cost=64 * CALL // 10)
    context = _logged_in(
        browser, live_server, work, work.cast.bob, viewport={"width": width, "height": 900}
    )
    page = context.new_page()
    page.goto("/costs/")
    page.get_by_role("link", name="7 days").click()
    # Six days as they are usually, against seven, and the large model on top.
    why = page.locator(".card").filter(has_text="Why it changed")
    expect(why).to_contain_text("Tag tickets · large +$0.0058 new")
    expect(why.get_by_role("row", name="Mix")).to_contain_text("+$")
    odd = page.locator(".card").filter(has_text="against the same weekday")
    expect(odd).to_contain_text("More than a week before: “Everything again”, +$0.0019.")
    why.get_by_role("link", name="Tag tickets · large").click()
    behind = page.locator("tbody tr").filter(has_text="Everything again").last
    expect(behind).to_contain_text("$0.0058")
    expect(page.locator("tbody tr").filter(has_text="Tickets of the night")).to_have_count(0)
    page.get_by_role("button", name="Pause").first.click()
    expect(page.get_by_role("status").first).to_contain_text("“Everything again” is paused.")
    dearer.refresh_from_db()
    assert dearer.status == JobStatus.PAUSED
    context.close()
