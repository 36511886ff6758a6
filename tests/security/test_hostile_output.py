"""Whatever a model says and a row holds, it is text: nothing is loaded, nothing runs, nothing moves."""

import csv
import io
import json
from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from jobs.models import (
    Attempt,
    DatasetRow,
    Job,
    JobStatus,
    Record,
    RecordStatus,
    Replay,
    TemplateVersion,
)
from jobs.teams.audit import record
from tests.security.payloads import EVIL, PAYLOADS
from tests.web.work import Work

pytestmark = pytest.mark.django_db(transaction=True)
COLUMNS = (*PAYLOADS[:7], PAYLOADS[-1])
EACH = 10  # payloads of a record
RECORDS = len(PAYLOADS) // EACH


@pytest.fixture
def hostile(work: Work) -> Work:
    """Everything that comes from outside holds payloads: names, columns, rows, prompts, answers."""
    all_of_them = " ".join(PAYLOADS)
    team, dataset, version = work.cast.team, work.dataset, work.version
    dataset.name, dataset.filename = PAYLOADS[0], PAYLOADS[1][:100]
    dataset.columns = [
        {"name": text, "type": "string", "nulls": 1, "examples": [text]} for text in COLUMNS
    ]
    dataset.notices = [all_of_them]
    dataset.errors = [{"row": n, "message": text} for n, text in enumerate(PAYLOADS, 1)]
    dataset.save()
    version.system, version.user = all_of_them, all_of_them
    version.template.name = PAYLOADS[21]
    version.template.latest_version = 2
    version.template.save()
    version.save()
    TemplateVersion.objects.create(
        template=version.template, version=2, system=all_of_them[::-1], user=all_of_them[1:]
    )
    work.connection.name = PAYLOADS[32]
    work.connection.test_failure, work.connection.test_message = "server_error", PAYLOADS[20]
    work.connection.capabilities = {"models": list(PAYLOADS), "model": PAYLOADS[33]}
    work.connection.save()
    team.name = PAYLOADS[16]
    team.save()
    return work


@pytest.fixture
def job(hostile: Work) -> Job:
    made = hostile.job(
        succeeded=RECORDS, failed=RECORDS, pending=1, name=PAYLOADS[22], model=PAYLOADS[31],
        status_detail=PAYLOADS[20], tags={PAYLOADS[2]: PAYLOADS[3]},
    )  # fmt: skip
    for n in range(1, 2 * RECORDS + 1):
        at = (n - 1) % RECORDS * EACH
        texts = PAYLOADS[at : at + EACH]
        row = dict(zip(COLUMNS, reversed(texts), strict=False))
        DatasetRow.objects.filter(dataset=hostile.dataset, n=n).update(data=json.dumps(row))
        text = "\n".join(texts)
        found = Record.objects.filter(job=made, n=n)
        if n <= RECORDS:
            found.update(output=json.dumps({name: name for name in texts}), model=texts[0])
        else:
            found.update(message=text[:2000], fingerprint=f"{n:012x}", model=texts[0])
        answer = json.dumps({"choices": [{"message": {"content": text}}]})
        Attempt.objects.filter(job=made, n=n).update(
            message=text[:2000], answer=answer, request=answer, model_returned=texts[0][:200],
            provider_request_id=texts[1][:200], worker=texts[0][:32],
        )  # fmt: skip
    record(hostile.cast.actor(hostile.cast.alice), "job.pause", made, note=" ".join(PAYLOADS))
    return made


class Watch:
    """What went on in a browser that should not have."""

    def __init__(self, context: BrowserContext, own: str) -> None:
        self.found: list[str] = []
        self._own = own
        context.on("request", lambda request: self._asked(request.url))
        context.on("dialog", lambda dialog: self._dialog(dialog))
        context.on("console", lambda said: self._said(said.type, said.text))
        context.on("weberror", lambda error: self.found.append(str(error.error)))
        context.on("page", lambda page: page.on("popup", lambda _: self.found.append("a popup")))

    def _asked(self, url: str) -> None:
        if not url.startswith((self._own, "data:")):
            self.found.append(f"asked for {url}")

    def _dialog(self, dialog: object) -> None:
        self.found.append("a dialog")
        dialog.dismiss()  # type: ignore[attr-defined]

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.found.append(f"{kind}: {text}")


@pytest.fixture
def alice(browser: Browser, live_server: LiveServer, hostile: Work) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=live_server.url)
    session = hostile.cast.client(hostile.cast.alice).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
    )
    yield context
    context.close()


def test_nothing_of_it_loads_runs_or_speaks(
    alice: BrowserContext, live_server: LiveServer, hostile: Work, job: Job
) -> None:
    watch = Watch(alice, live_server.url)
    page = alice.new_page()
    base, settings_of = f"/jobs/{job.public_id}/", "/settings/connections/"
    dataset, template = hostile.dataset.public_id, hostile.version.template.public_id
    replay = Replay.objects.create(
        job=job, key="k", model=PAYLOADS[2][:200], created_by=hostile.cast.alice
    )
    urls = ["/", "/jobs/", f"/jobs/?q={PAYLOADS[0]}", f"/jobs/new/?clone={job.public_id}"]
    urls += [f"{base}?status=failed", f"{base}?tab=activity", f"{base}?tab=config"]
    urls += [f"{base}failures/", f"{base}replay/", f"{base}replays/{replay.public_id}/"]
    urls += [f"{base}records/{n}/" for n in range(1, 2 * RECORDS + 1)]
    urls += ["/datasets/", f"/datasets/{dataset}/", "/templates/", f"/templates/{template}/"]
    urls += [f"/templates/{template}/edit/?dataset={dataset}", f"/templates/{template}/diff/1/2/"]
    urls += [settings_of, f"{settings_of}{hostile.connection.public_id}/", "/settings/audit/"]
    urls += ["/costs/?by=model", "/costs/?by=template", "/settings/prices/", "/settings/members/"]
    for url in urls:
        answer = page.goto(url)
        assert answer is not None
        assert answer.ok, url
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.locator("main").count() == 1, url
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url
        assert page.evaluate(f"document.querySelectorAll('[src^=\"{EVIL}\"]').length") == 0, url
    assert watch.found == []
    with page.expect_console_message():
        page.evaluate(f"new Image().src = '{EVIL}/control'")
    assert watch.found  # it would have been seen


def test_no_cell_of_a_downloaded_table_is_a_formula(hostile: Work, job: Job) -> None:
    client = hostile.cast.client(hostile.cast.alice)
    answer = client.get(f"/jobs/{job.public_id}/results/?format=csv&include=all")
    table = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))  # type: ignore[arg-type, attr-defined]
    assert len(table) == 2 * RECORDS + 2  # the header, and a row still pending
    cells = [cell for row in table for cell in row]
    assert any("=HYPERLINK" in cell for cell in table[0])
    assert any("=HYPERLINK" in cell for cell in table[RECORDS])
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []


def test_a_poll_brings_nothing_to_life_either(
    alice: BrowserContext, live_server: LiveServer, job: Job
) -> None:
    watch = Watch(alice, live_server.url)
    page: Page = alice.new_page()
    page.goto(f"/jobs/{job.public_id}/")
    Record.objects.filter(job=job, n=2 * RECORDS + 1).update(
        status=RecordStatus.FAILED, failure_class="refusal", message=" ".join(PAYLOADS)[:2000]
    )
    Job.objects.filter(pk=job.pk).update(
        pending=0, failed=RECORDS + 1, status=JobStatus.COMPLETED_WITH_FAILURES
    )
    expect(page.locator("h1")).to_contain_text("completed with failures")
    expect(page.locator(f"#row-{2 * RECORDS + 1}")).to_contain_text("failed")
    assert watch.found == []


def test_the_page_of_the_api_works_with_what_we_serve_ourselves(
    alice: BrowserContext, live_server: LiveServer, hostile: Work
) -> None:
    watch = Watch(alice, live_server.url)
    page = alice.new_page()
    page.goto("/api/v1/docs")
    operation = page.locator("#operations-jobs-job_list")
    operation.get_by_role("button").first.click()
    expect(operation).to_contain_text("Try it out")
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").fill(hostile.cast.token(hostile.cast.alice))
    page.locator(".auth-container").get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close", exact=True).click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator("tr.response .response-col_status").first).to_contain_text("200")
    assert watch.found == []
