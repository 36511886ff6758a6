"""Datasets on their pages: the list, the upload, one with its columns and rows, what can be done."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from jobs.models import Dataset, DatasetStatus
from tests.cast import cast  # noqa: F401
from tests.datasets.uploading import Uploads, rows_of, uploads, work_off  # noqa: F401
from tests.web.reading import assert_harmless, queries, tag_with, tags, text
from tests.web.test_browser import RULES, _listen, _logged_in
from tests.web.work import HOSTILE, Work, work  # noqa: F401

POLL = {"HX-Request": "true", "HX-Target": "section#live"}
OPTIONS = {"runOnly": RULES, "resultTypes": ["violations"]}
RAGGED = b"id,text\n1,a\n2\n3,c\n"


def url_of(dataset: Dataset) -> str:
    return f"/datasets/{dataset.public_id}/"


@pytest.mark.django_db
def test_the_list_narrows_pages_and_says_what_failed(work: Work, uploads: Uploads) -> None:  # noqa: F811
    failed = uploads.read(RAGGED, "broken.csv")
    page = work.olivia.get("/datasets/")
    assert "tickets.csv" in text(page)
    assert tag_with(page, "span", title=failed.errors[0]["message"])
    assert "broken" not in text(work.olivia.get("/datasets/?status=ready"))
    assert "tickets" not in text(work.olivia.get("/datasets/?q=BROK&status=failed"))
    nothing = work.olivia.get("/datasets/?q=zebra")
    assert "No datasets match" in text(nothing)
    assert work.olivia.get("/datasets/?before=x&status=odd").status_code == 200
    for odd in ("/datasets/?q=%00", "/templates/?q=a%00", "/jobs/?q=%00"):
        assert work.olivia.get(odd).status_code == 400
    assert work.olivia.post(f"{url_of(failed)}rename/", {"name": "a\0b"}).status_code == 400
    few = queries(work.olivia, "/datasets/")
    Dataset.objects.bulk_create(
        Dataset(team=work.cast.team, name=f"More {n}", filename="m.csv") for n in range(60)
    )
    assert queries(work.olivia, "/datasets/") <= few
    first = work.olivia.get("/datasets/")
    following = next(one["href"] for one in tags(first, "a") if one.get("rel") == "next")
    assert "tickets.csv" in text(work.olivia.get(f"/datasets/{following}"))
    stranger = work.cast.client(work.cast.charlie)
    assert "No datasets yet" in text(stranger.get("/datasets/"))
    assert stranger.get(url_of(failed)).status_code == 404


@pytest.mark.django_db
def test_its_page_shows_rows_as_they_are_and_tells_nothing_from_empty(uploads: Uploads) -> None:  # noqa: F811
    rows: list[dict[str, Any]] = [
        {"a": "null", "b": None, "c": ""},
        {"a": HOSTILE, "b": {"x": [1]}, "c": " 7 "},
        {"c": "x" * 5000},
        *({"a": str(n)} for n in range(30)),
    ]
    dataset = uploads.read("".join(json.dumps(row) + "\n" for row in rows).encode(), "rows.jsonl")
    page = uploads.olivia.get(url_of(dataset))
    assert_harmless(page)
    shown = page.content.decode()
    assert (
        '<td class="clip">null</td><td class="clip"><span class="unknown">null</span></td>' in shown
    )
    assert '<td class="clip"><span class="unknown">—</span></td>' in shown
    assert "x" * 199 + "…" in shown
    assert "x" * 201 not in shown
    assert tag_with(page, "a", rel="next")["href"] == "?after=20"
    later = uploads.olivia.get(f"{url_of(dataset)}?after=20")
    assert (tag_with(later, "a", rel="prev")["href"], "rel=next" in shown) == ("?after=0", False)
    assert "33" in text(later)
    assert uploads.olivia.get(f"{url_of(dataset)}?after=999999999999").status_code == 200


@pytest.mark.django_db
def test_while_it_is_read_the_page_tells_how_far_and_then_loads_whole(uploads: Uploads) -> None:  # noqa: F811
    dataset = uploads.send(b"a\n1\n")
    Dataset.objects.filter(pk=dataset.pk).update(rows=5000, ingest_bytes=2)
    page = uploads.olivia.get(url_of(dataset))
    assert "5,000 rows so far. You can leave this page." in text(page)
    assert tag_with(page, "progress")["value"] == "2"
    part = uploads.olivia.get(url_of(dataset), headers=POLL)
    assert "<html" not in part.content.decode()
    same = uploads.olivia.get(
        url_of(dataset),
        headers={**POLL, "HX-PTag": tag_with(part, "section", id="live")["hx-ptag"]},
    )
    assert same.status_code == 304
    refused = uploads.olivia.post(f"{url_of(dataset)}read/")
    assert refused.status_code in (302, 422)
    work_off()
    assert uploads.olivia.get(url_of(dataset), headers=POLL)["HX-Refresh"] == "true"
    assert "hx-get" not in tag_with(uploads.olivia.get(url_of(dataset)), "section", id="live")


@pytest.mark.django_db
def test_an_upload_without_a_file_keeps_what_was_typed(uploads: Uploads) -> None:  # noqa: F811
    typed = {"name": HOSTILE, "sheet": "März", "encoding": "utf-16", "delimiter": ";;"}
    page = uploads.olivia.post("/datasets/new/", {**typed, "bad_rows": "set_aside"})
    assert page.status_code == 422
    assert "Choose a file to upload" in text(page)
    assert tag_with(page, "input", name="name")["value"] == HOSTILE
    assert tag_with(page, "input", name="sheet")["value"] == "März"
    assert "selected" in tag_with(page, "option", value="set_aside")
    assert "selected" in tag_with(page, "option", value="utf-16")
    assert "open" in tag_with(page, "details", id="reading-options")
    assert "A browser does not keep a chosen file" in text(page)


@pytest.mark.django_db
def test_bad_rows_are_set_aside_with_one_click_and_nothing_else_changes(uploads: Uploads) -> None:  # noqa: F811
    content = "id;text\n1;Ж\n2\n".encode("koi8-r")
    dataset = uploads.read(content, encoding="koi8-r", delimiter=";")
    page = uploads.olivia.get(url_of(dataset))
    assert "Set these rows aside and read the others" in text(page)
    hidden = {
        str(one["name"]): str(one["value"])
        for one in tags(page, "input")
        if one.get("type") == "hidden" and one["name"] != "csrfmiddlewaretoken"
    }
    again = uploads.read_again(dataset, **hidden, bad_rows="set_aside")
    assert (again.encoding, rows_of(again)) == ("koi8-r", [{"id": "1", "text": "Ж"}])
    # A fault that is no row's cannot be set aside.
    broken = uploads.olivia.get(url_of(uploads.read(b"a,a\n1,2\n")))
    assert "Set these rows aside" not in text(broken)
    assert "(line 1)" in text(broken)
    assert "Rows that could not be read" not in text(broken)


@pytest.mark.django_db
def test_what_jobs_use_can_neither_be_deleted_nor_read_again(work: Work, uploads: Uploads) -> None:  # noqa: F811
    job = work.job(succeeded=1)
    page = work.olivia.get(url_of(work.dataset))
    assert tag_with(page, "a", href=f"/jobs/{job.public_id}/")
    assert "Delete – not available: Jobs use it" in text(page)
    assert "It cannot be read again with other options: jobs use this dataset" in text(page)
    kept = work.olivia.post(f"{url_of(work.dataset)}delete/", follow=True)  # nothing to ask
    assert "1 job uses this dataset: their results refer to its rows." in text(kept)
    refused = work.olivia.post(f"{url_of(work.dataset)}read/", {"encoding": "utf-16"})
    assert refused.status_code == 422
    assert "Jobs use this dataset" in text(refused)
    free = uploads.read(b"a\n1\n")
    gone = work.olivia.post(f"{url_of(free)}delete/", {"confirmed": "1"}, follow=True)
    assert "Deleted “data”." in text(gone)
    assert not Dataset.objects.filter(pk=free.pk).exists()


@pytest.mark.django_db
def test_it_is_renamed_and_a_bad_name_stands_to_be_mended(work: Work) -> None:  # noqa: F811
    page = work.olivia.post(f"{url_of(work.dataset)}rename/", {"name": "x" * 201})
    assert page.status_code == 422
    assert tag_with(page, "input", id="id_rename")["value"] == "x" * 201
    page = work.olivia.post(f"{url_of(work.dataset)}rename/", {"name": " New "}, follow=True)
    assert "Renamed." in text(page)
    work.dataset.refresh_from_db()
    assert work.dataset.name == "New"


# --- in a browser ------------------------------------------------------------------------------
@pytest.fixture
def visitor(browser: Browser, live_server: LiveServer, work: Work) -> Iterator[Page]:  # noqa: F811
    context = _logged_in(browser, live_server, work, work.cast.olivia)
    yield context.new_page()
    context.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (390, "light")])
def test_every_page_is_accessible_fits_and_asks_nobody_else(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
    uploads: Uploads,  # noqa: F811
    width: int,
    theme: str,
) -> None:
    ready = uploads.read(b"id,a long column name,text\n1,2,3\n4,5,%s\n" % (b"word " * 100))
    again = uploads.read(b"id,a long column name,text\n1,2,3\n4,5,%s\n" % (b"word " * 100))
    aside = uploads.read(RAGGED, bad_rows="set_aside")
    failed, waiting = uploads.read(RAGGED), uploads.send(b"a\n1\n")
    work.job(succeeded=1)
    found: dict[str, object] = {}
    urls = ["/datasets/", "/datasets/?q=zebra", "/datasets/new/"]
    urls += [url_of(one) for one in (ready, again, aside, failed, waiting, work.dataset)]
    for user, some in ((work.cast.olivia, urls), (work.cast.charlie, ["/datasets/"])):
        context = _logged_in(
            browser, live_server, work, user, viewport={"width": width, "height": 900}
        )
        context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
        page = context.new_page()
        trouble = _listen(page, live_server.url)
        for url in some:
            page.goto(url)
            page.evaluate("document.querySelectorAll('main details').forEach(d => d.open = true)")
            rules = Axe().run(page, options=OPTIONS).response["violations"]
            if rules or not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                found[url] = [
                    (rule["id"], [node["html"] for node in rule["nodes"]]) for rule in rules
                ] or "too wide"
        if trouble:
            found[user.username] = trouble
        context.close()
    assert found == {}


DROP = """([input, name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name));
  input.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
}"""


@pytest.mark.django_db(transaction=True)
def test_a_file_is_dropped_sent_read_and_looked_at(visitor: Page, uploads: Uploads) -> None:  # noqa: F811
    visitor.goto("/datasets/new/")
    field = visitor.get_by_label("File", exact=True)
    content = "id;city\n" + "".join(f"{n:03d};Köln\n" for n in range(1, 41))
    field.evaluate(f"(input, given) => ({DROP})([input, ...given])", ["leads.csv", content])
    expect(visitor.locator("[data-drop-name]")).to_contain_text("leads.csv")
    visitor.get_by_role("button", name="Upload").click()
    expect(visitor.locator("h1")).to_contain_text("leads")
    expect(visitor.locator("h1")).to_contain_text("ingesting")
    expect(visitor.get_by_role("progressbar", name="Read so far")).to_be_visible()
    dataset = Dataset.objects.get(name="leads")
    work_off()
    # By itself: the page polls while the file is read.
    expect(visitor.locator("h1")).to_contain_text("ready")
    expect(visitor.get_by_role("table").first).to_contain_text("city")
    expect(visitor.get_by_text("Fields are separated by semicolons")).to_be_visible()
    rows = visitor.get_by_role("region", name="Rows", exact=True)
    expect(rows).to_contain_text("001")
    visitor.get_by_role("link", name="Next").click()
    expect(rows).to_contain_text("040")
    visitor.get_by_role("link", name="Compose a template").click()
    expect(visitor.get_by_label("Dataset", exact=True)).to_have_value(dataset.public_id)


@pytest.mark.django_db(transaction=True)
def test_a_refused_upload_can_be_sent_again_from_the_same_page(
    visitor: Page,
    uploads: Uploads,  # noqa: F811
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    path = tmp_path / "large.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 1000)
    visitor.goto("/datasets/new/")
    visitor.get_by_label("Name").fill("Typed with care")
    visitor.get_by_label("File", exact=True).set_input_files(path)
    visitor.get_by_role("button", name="Upload").click()
    expect(visitor.get_by_text("The file is larger than 1,000 bytes")).to_be_visible()
    expect(visitor.get_by_label("Name")).to_have_value("Typed with care")
    settings.MAX_UPLOAD_BYTES = 10_000
    visitor.get_by_label("File", exact=True).set_input_files(path)
    visitor.get_by_role("button", name="Upload").click()
    expect(visitor.locator("h1")).to_contain_text("Typed with care")
    assert Dataset.objects.filter(name="Typed with care").count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_upload_whose_page_grew_too_old_gets_through_at_the_next_press(
    visitor: Page,
    uploads: Uploads,  # noqa: F811
) -> None:
    visitor.goto("/datasets/new/")
    visitor.get_by_label("File").set_input_files(
        {"name": "kept.csv", "mimeType": "text/csv", "buffer": b"a\n1\n"}
    )
    visitor.context.clear_cookies(name="csrftoken")
    press = visitor.get_by_role("button", name="Upload")
    press.click()
    expect(visitor.locator("form[data-upload] output")).to_have_text(
        "This page had grown too old, and nothing was saved. "
        "Press Upload again: the file is still chosen."
    )
    assert not Dataset.objects.filter(filename="kept.csv").exists()
    press.click()
    expect(visitor.locator("h1")).to_contain_text("kept")
    assert Dataset.objects.filter(filename="kept.csv").count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_works_without_scripts(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
    uploads: Uploads,  # noqa: F811
    tmp_path: Path,
) -> None:
    context = _logged_in(browser, live_server, work, work.cast.olivia, java_script_enabled=False)
    page = context.new_page()
    page.goto("/datasets/new/")
    (tmp_path / "plain.csv").write_bytes(RAGGED)
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "plain.csv")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("h1")).to_contain_text("ingesting")
    work_off()
    page.reload()
    expect(page.locator("h1")).to_contain_text("failed")
    page.get_by_role("button", name="Set these rows aside").click()
    work_off()
    page.reload()
    expect(page.locator("h1")).to_contain_text("ready")
    expect(page.locator("#errors")).to_contain_text("The row has 1 field, the header has 2")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("main")).to_contain_text("This cannot be undone.")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("Deleted “plain”.")
    assert not Dataset.objects.filter(status=DatasetStatus.READY, name="plain").exists()
    context.close()
