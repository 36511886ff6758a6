"""The walk of somebody with a spreadsheet: from the upload to results that are paid for, in a browser,
against a real `manage.py serve` and a provider over HTTP."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from tests.installation.installation import Installation
from tests.simulator_process import SimulatorProcess
from tests.walk.conftest import MODEL, PASSWORD

pytestmark = pytest.mark.installation

ROWS, TROUBLES = 40, 4
ODD = ["007", "1e5", " 3.20 ", ""]


def spreadsheet(path: Path) -> Path:
    """Semicolons, a byte order mark, line breaks in cells; values that a careless reader spoils."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";")
    writer.writerow(["sku", "Product name", "price", "notes"])
    for n in range(1, ROWS + 1):
        notes = "trouble\nwith it" if n % 10 == 3 else f"=SUM(A{n})"
        writer.writerow([f"{n:04d}", f'Café "{n}"; <b>new</b>', ODD[n % 4], notes])
    path.write_text(text.getvalue(), encoding="utf-8-sig")
    return path


def log_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("olivia")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()


def upload(page: Page, file: Path) -> None:
    page.get_by_role("link", name="Upload a dataset").click()
    page.get_by_role("link", name=re.compile("Upload")).first.click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("h1")).to_contain_text("ready")
    columns = page.get_by_role("region", name="Columns")
    expect(columns.get_by_role("row").filter(has_text="price")).to_contain_text("75%")
    rows = page.get_by_role("region", name="Rows")
    expect(rows.get_by_role("cell", name="007", exact=True).first).to_be_visible()
    expect(rows.get_by_role("cell", name='Café "1"; <b>new</b>')).to_be_visible()


def compose(page: Page) -> None:
    page.get_by_role("link", name="Compose a template").click()
    page.get_by_label("Name", exact=True).fill("Sort products")
    page.get_by_role("textbox", name="System").fill("You sort products.")
    user = page.get_by_role("textbox", name="User")
    user.fill('{{ row["Product name"] }} at {{ prise }}: {{ notes }}')
    check = page.locator("#check")
    expect(check).to_contain_text("No such column in this dataset: prise")
    user.fill('{{ row["Product name"] }} at {{ price }}: {{ notes }}')
    expect(check).not_to_contain_text("No such column")
    expect(check).to_contain_text('Café "1"; <b>new</b> at 1e5: =SUM(A1)')
    page.get_by_label("Kind").select_option("Fields, as listed below")
    page.get_by_label("Field 1: name").fill("kind")
    page.get_by_label("Field 1: allowed values").fill("food, tool, other")
    page.get_by_role("button", name="More fields").click()
    page.get_by_label("Field 2: name").fill("weight")
    page.get_by_label("Field 2: type").select_option("number")
    page.get_by_label("Field 2: required").select_option("no")
    page.get_by_label("Model").fill(MODEL)
    page.get_by_role("textbox", name="Rows").fill("1, 2")
    page.get_by_role("button", name="Try").click()
    tried = page.locator("#tried")
    expect(tried.get_by_text("accepted")).to_have_count(2)
    expect(tried).to_contain_text('"kind"')
    page.get_by_role("button", name="Save template").click()
    expect(page.get_by_role("status")).to_contain_text("Saved version 1 of “Sort products”.")


def launch(page: Page) -> None:
    page.get_by_role("link", name="Launch a job").click()
    # One template, one dataset, one connection: nothing is left to choose.
    page.get_by_label("Model").fill(MODEL)
    page.get_by_label("Model").blur()
    expect(page.locator("#estimate dd").first).to_have_text(str(ROWS))
    page.get_by_role("button", name="Launch").dblclick()
    expect(page.get_by_role("status")).to_contain_text(f"is launched with {ROWS} rows.")


def watch(page: Page) -> str:
    """To the end, without ever loading the page again; returns the job's address."""
    page.evaluate("window.sameDocument = true")
    expect(page.locator("h1")).to_contain_text("completed with failures", timeout=30_000)
    assert page.evaluate("window.sameDocument")
    expect(page.get_by_role("link", name=f"{ROWS - TROUBLES} succeeded")).to_be_visible()
    expect(page.get_by_role("link", name=f"{TROUBLES} failed", exact=True)).to_be_visible()
    assert page.locator("#live[hx-get]").count() == 0, "it polls on after the end"
    return page.url


def look_into_the_failures(page: Page) -> None:
    page.get_by_role("link", name=f"Failures {TROUBLES}").click()
    expect(page.get_by_text(f"1 cause, {TROUBLES} failures")).to_be_visible()
    expect(page.get_by_role("heading", name="Model refused")).to_be_visible()
    page.get_by_role("link", name="13", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Row 13")
    expect(page.locator("main")).to_contain_text("Change the template, or replay")
    page.get_by_text("Answer of attempt 1").click()
    expect(page.get_by_role("region", name="Answer of attempt 1")).to_contain_text("choices")
    page.get_by_role("link", name="Next match").click()
    expect(page.locator("h1")).to_contain_text("Row 23")


def replay(page: Page, job: str) -> None:
    page.goto(f"{job}failures/")
    page.get_by_role("link", name=f"Replay these {TROUBLES}").click()
    expect(page.locator("#touch")).to_contain_text(f"{TROUBLES} records")
    expect(page.locator("#touch")).to_contain_text("$0.0")
    page.get_by_role("button", name=f"Replay {TROUBLES} records").dblclick()
    expect(page.locator("main")).to_contain_text(f"Done. {TROUBLES} succeeded", timeout=30_000)
    page.goto(job)
    expect(page.locator("h1")).to_contain_text("completed")
    expect(page.get_by_role("link", name=f"{ROWS} succeeded")).to_be_visible()
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_role("link", name="Replayed")).to_have_count(1)


def download(page: Page, job: str, kind: str) -> Path:
    page.goto(job)
    page.locator("#downloads summary").click()
    with page.expect_download() as started:
        page.get_by_role("link", name=f"Results, {kind}").click()
    path = started.value.path()
    assert path
    assert "partial" not in started.value.suggested_filename
    return Path(path)


def check_downloads(page: Page, job: str) -> None:
    with download(page, job, "CSV").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    lines = [json.loads(line) for line in download(page, job, "JSONL").read_text().splitlines()]
    parquet = pq.read_table(download(page, job, "Parquet")).to_pylist()
    for rows in (table, lines, parquet):
        assert [row["sku"] for row in rows] == [f"{n:04d}" for n in range(1, ROWS + 1)]
        assert {row["kind"] for row in rows} <= {"food", "tool", "other"}
        assert {row["_status"] for row in rows} == {"succeeded"}
        assert [str(row["_attempts"]) for row in rows].count("2") == TROUBLES
    assert [row["price"] for row in lines] == [ODD[n % 4] for n in range(1, ROWS + 1)]


def check_costs(page: Page, simulator: SimulatorProcess) -> None:
    """The page's total, to the last digit, is what the provider counted at the team's price."""
    main = page.get_by_role("navigation", name="Main")
    main.get_by_role("link", name="Costs", exact=True).click()
    total = page.get_by_role("row").filter(has_text="Total").get_by_role("cell").nth(1)
    shown = Decimal((total.locator("[title]").get_attribute("title") or "").split()[0])
    used = simulator.stats()["models"][MODEL]
    tokens = used["input_tokens"] * Decimal("0.15") + used["output_tokens"] * Decimal("0.60")
    assert shown == tokens / 1_000_000
    groups = page.get_by_role("navigation", name="Group by")
    groups.get_by_role("link", name="Template").click()
    expect(page.get_by_role("table").get_by_role("link", name="Sort products")).to_be_visible()


def test_somebody_with_a_spreadsheet_gets_results_that_are_paid_for(
    visitor: Page, installation: Installation, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    log_in(visitor)
    upload(visitor, spreadsheet(tmp_path / "products.csv"))
    compose(visitor)
    launch(visitor)
    job = watch(visitor)
    jobs = installation.api("/jobs")["items"]
    assert [f"{installation.url}/jobs/{one['id']}/" for one in jobs] == [job]
    look_into_the_failures(visitor)
    replay(visitor, job)
    check_downloads(visitor, job)
    check_costs(visitor, simulator)
    visitor.goto("/")
    expect(visitor.get_by_text("No job is running.")).to_be_visible()
    expect(visitor.get_by_text("Needs attention")).to_have_count(0)
