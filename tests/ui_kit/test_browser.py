"""The kit in a real browser: accessibility, both themes, both widths, and each behaviour."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.ui_kit.gallery import Recorder, serving

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def gallery(page: Page, address: str) -> Iterator[Page]:
    """The gallery in a page; the test fails if anything was refused or broke on the way."""
    Recorder.posts, Recorder.fail = [], False
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda line: trouble.append(line.text) if line.type == "error" else None)
    page.on("request", lambda call: _same_host(call.url, address, trouble))
    page.goto(f"{address}/gallery/")
    yield page
    assert [line for line in trouble if not (Recorder.fail and "500" in line)] == []


def _same_host(url: str, address: str, trouble: list[str]) -> None:
    if not url.startswith((address, "data:")):
        trouble.append(f"asked {url}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_is_accessible_and_fits(browser: Browser, address: str, width: int, theme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.add_cookies([{"name": "theme", "value": theme, "url": address}])
    page = context.new_page()
    page.goto(f"{address}/gallery/")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
    page.evaluate(
        "document.querySelectorAll('main details').forEach((one) => { one.open = true; })"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    results = Axe().run(page, options={"runOnly": RULES}).response
    found = {one["id"]: [node["html"] for node in one["nodes"]] for one in results["violations"]}
    assert found == {}
    page.locator(".menu summary").click()
    page.keyboard.press("?")
    menu = Axe().run(page, context="dialog[open], .menu", options={"runOnly": RULES})
    assert menu.violations_count == 0
    context.close()


@pytest.mark.parametrize(
    "name", ["accounts/login.html", "403.html", "403_csrf.html", "404.html", "500.html"]
)
def test_a_page_without_the_frame_is_accessible(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/bare/{name}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert Axe().run(page, options={"runOnly": RULES}).violations_count == 0


def test_the_theme_follows_the_system_until_somebody_chooses(gallery: Page) -> None:
    gallery.emulate_media(color_scheme="dark")
    dark = gallery.evaluate("getComputedStyle(document.body).backgroundColor")
    gallery.emulate_media(color_scheme="light")
    assert gallery.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    gallery.locator(".menu summary").click()
    gallery.get_by_role("button", name="Theme").click(click_count=2)
    gallery.reload()
    expect(gallery.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert gallery.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_a_poll_keeps_what_is_open_and_stops_when_paused(gallery: Page) -> None:
    expect(gallery.locator("#polls")).to_be_visible()
    gallery.locator("#kept summary").click()
    before = gallery.locator("#polls").inner_text()
    expect(gallery.locator("#polls")).not_to_have_text(before)
    expect(gallery.locator("#kept")).to_have_attribute("open", "")
    sign = gallery.locator("#live-state")
    sign.click()
    expect(sign).to_contain_text("Paused")
    gallery.wait_for_load_state("networkidle")
    polls = Recorder.polls
    expect(sign).to_contain_text("updated 2 s ago")  # ten polls would have been
    assert Recorder.polls == polls
    sign.click()
    expect(sign).to_contain_text("Live")
    expect(gallery.locator("#polls")).not_to_have_text(str(polls))


def test_a_poll_stops_in_a_hidden_tab(gallery: Page) -> None:
    expect(gallery.locator("#polls")).to_be_visible()
    gallery.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    gallery.wait_for_load_state("networkidle")
    polls = Recorder.polls
    expect(gallery.locator("#live-state")).to_contain_text("updated 2 s ago")
    assert Recorder.polls == polls
    gallery.evaluate(
        "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
    )
    expect(gallery.locator("#polls")).not_to_have_text(str(polls))


def test_a_failing_poll_turns_stale_and_leaves_the_region_alone(gallery: Page) -> None:
    expect(gallery.locator("#polls")).to_be_visible()
    Recorder.fail = True
    expect(gallery.locator("#live-state")).to_contain_text("Stale")
    expect(gallery.locator("#polls")).to_be_visible()
    expect(gallery.get_by_text("Broken")).to_have_count(0)


def test_the_keyboard_moves_ticks_and_opens_rows(gallery: Page) -> None:
    gallery.keyboard.press("j")
    gallery.keyboard.press("j")
    gallery.keyboard.press("k")
    gallery.keyboard.press("j")
    expect(gallery.locator("[data-row]").nth(1)).to_have_class(re.compile("is-current"))
    gallery.keyboard.press("x")
    expect(gallery.get_by_label("Select row 2")).to_be_checked()
    gallery.keyboard.press("Enter")
    gallery.wait_for_url("**/x/2")


def test_the_keyboard_goes_to_places_and_searches(gallery: Page) -> None:
    gallery.keyboard.press("/")
    expect(gallery.get_by_label("Search")).to_be_focused()
    gallery.keyboard.type("gj?")
    expect(gallery.get_by_label("Search")).to_have_value("gj?")
    gallery.get_by_label("Search").blur()
    gallery.keyboard.press("g")
    gallery.keyboard.press("d")
    gallery.wait_for_url("**/datasets/")


def test_single_key_shortcuts_can_be_switched_off(gallery: Page) -> None:
    gallery.keyboard.press("?")
    gallery.get_by_label("Single-key shortcuts").uncheck()
    gallery.keyboard.press("Escape")
    gallery.reload()
    gallery.keyboard.press("?")
    expect(gallery.locator("#help")).to_be_hidden()
    gallery.get_by_role("button", name="Keyboard and help").click()
    expect(gallery.locator("#help")).to_be_visible()


def test_bulk_selects_rows_pages_and_everything(gallery: Page) -> None:
    count = gallery.locator("[data-bulk-count]")
    gallery.get_by_label("Select row 3").check()
    expect(count).to_have_text("1 selected")
    gallery.get_by_label("Select all on this page").check()
    expect(count).to_have_text("7 selected")
    gallery.get_by_label("All 1,204 records that match").check()
    expect(count).to_have_text("All 1,204 selected")
    gallery.get_by_role("button", name="Replay", exact=True).click()
    gallery.wait_for_url("**/x/done/")
    assert Recorder.posts == [{"all_matching": ["1"], "action": ["replay"]}]


def test_a_destructive_action_asks_first(gallery: Page) -> None:
    dialog = gallery.locator("#confirm")
    gallery.get_by_role("button", name="Cancel").click()
    expect(dialog).to_contain_text("2,961 records will not be sent")
    expect(gallery.get_by_role("button", name="Keep as it is")).to_be_focused()
    gallery.get_by_role("button", name="Keep as it is").click()
    expect(dialog).to_be_hidden()
    assert Recorder.posts == []
    gallery.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel").click()
    gallery.wait_for_url("**/x/done/")
    assert Recorder.posts == [{"confirmed": ["1"]}]


def test_a_double_click_sends_once(gallery: Page) -> None:
    gallery.get_by_role("button", name="Pause", exact=True).dblclick()
    gallery.wait_for_url("**/x/done/")
    assert Recorder.posts == [{}]


def test_an_action_that_is_not_allowed_does_nothing(gallery: Page) -> None:
    gallery.get_by_role("button", name="Pause or finish the job first.").click(force=True)
    assert gallery.url.endswith("/gallery/")
    assert Recorder.posts == []


def test_a_file_is_uploaded_with_progress(gallery: Page, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n1,2\n")
    gallery.set_input_files("input[type=file]", file)
    expect(gallery.locator("[data-drop-name]")).to_contain_text("rows.csv")
    gallery.get_by_role("button", name="Upload", exact=True).click()
    gallery.wait_for_url("**/x/done/")
    assert Recorder.posts == [{"file": ["rows.csv"]}]


def test_a_file_can_be_dropped(gallery: Page) -> None:
    gallery.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["a"], "dropped.jsonl"));
            const event = new DragEvent("drop", { dataTransfer: data, bubbles: true });
            document.querySelector("[data-drop]").dispatchEvent(event);
        }"""
    )
    expect(gallery.locator("[data-drop-name]")).to_contain_text("dropped.jsonl")
    assert gallery.evaluate("document.querySelector('input[type=file]').files[0].name")


def test_a_toast_can_be_dismissed(gallery: Page) -> None:
    gallery.evaluate(
        """() => {
            const toast = document.createElement("div");
            toast.dataset.toast = "";
            toast.append(Object.assign(document.createElement("button"), { textContent: "Go" }));
            toast.firstChild.dataset.toastClose = "";
            document.getElementById("toasts").append(toast);
        }"""
    )
    gallery.get_by_role("button", name="Go", exact=True).click()
    expect(gallery.locator("[data-toast]")).to_have_count(0)


def test_text_is_copied(gallery: Page) -> None:
    gallery.context.grant_permissions(["clipboard-read", "clipboard-write"])
    gallery.get_by_role("button", name="Copy output").click()
    expect(gallery.get_by_role("button", name="Copy output")).to_contain_text("Copied")
    assert "{{ settings }}" in gallery.evaluate("navigator.clipboard.readText()")


def test_times_grow_older_while_the_page_is_open(page: Page, address: str) -> None:
    page.clock.install()
    page.goto(f"{address}/gallery/")
    first = page.locator("tbody time").first
    expect(first).to_have_text("1 min ago")
    page.clock.fast_forward("02:00:00")
    expect(first).to_have_text("2 h ago")


def test_a_filter_applies_at_once_and_keeps_the_address_short(gallery: Page) -> None:
    gallery.get_by_label("Model").first.select_option("gpt-5-mini")
    gallery.wait_for_url("**/gallery/?status=failed&model=gpt-5-mini")


def test_it_works_without_script(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    Recorder.posts = []
    page.goto(f"{address}/gallery/")
    page.get_by_label("Select row 3").check()
    page.get_by_role("button", name="Replay", exact=True).click()
    page.wait_for_url("**/x/done/")
    assert Recorder.posts == [{"selected": ["3"], "action": ["replay"]}]
    context.close()
