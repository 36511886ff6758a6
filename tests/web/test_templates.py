"""Templates on their pages: composed with live checks, tried for real, saved as versions, compared."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from jobs.models import DirectCall, JobStatus, Price, PromptTemplate, TemplateVersion
from tests.cast import cast  # noqa: F401
from tests.simulator_process import SimulatorProcess
from tests.web.reading import assert_harmless, queries, tag_with, tags, text
from tests.web.test_browser import RULES, _listen, _logged_in
from tests.web.work import HOSTILE, MODEL, Work, work  # noqa: F401

CHECK = {"HX-Request": "true", "HX-Target": "section#check"}
TRIED = {"HX-Request": "true", "HX-Target": "section#tried"}
OPTIONS = {"runOnly": RULES, "resultTypes": ["violations"]}


def url_of(work: Work) -> str:  # noqa: F811
    return f"/templates/{work.version.template.public_id}/"


def draft(**changes: Any) -> dict[str, Any]:
    """What the editor sends."""
    fields = {"field_name": "", "field_type": "string", "field_enum": "", "field_description": ""}
    return {
        "action": "save",
        "name": "Route",
        "system": "You route.",
        "user": "{{ subject }}",
        "mode": "none",
        **fields,
        "field_required": "yes",
        **changes,
    }


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess() as process:
        yield process


@pytest.mark.django_db
def test_the_list_tells_what_the_latest_versions_achieved(work: Work) -> None:  # noqa: F811
    work.job(succeeded=3, failed=1, status=JobStatus.COMPLETED_WITH_FAILURES)
    page = work.olivia.get("/templates/")
    assert "Tag tickets" in text(page)
    assert "75%" in text(page)
    assert tag_with(page, "a", href=f"/jobs/?template={work.version.template.public_id}")
    few = queries(work.olivia, "/templates/")
    for n in range(20):
        template = PromptTemplate.objects.create(
            team=work.cast.team, name=f"More {n}", latest_version=1
        )
        TemplateVersion.objects.create(template=template, version=1, user="x")
    assert queries(work.olivia, "/templates/") <= few
    assert "More 7" in text(work.olivia.get("/templates/?q=more 7"))
    assert "No templates match" in text(work.olivia.get("/templates/?q=zebra"))
    assert "No templates yet" in text(work.cast.client(work.cast.charlie).get("/templates/"))


@pytest.mark.django_db
def test_a_cost_that_nobody_knows_is_not_nothing(work: Work) -> None:  # noqa: F811
    work.job(succeeded=2, status=JobStatus.COMPLETED, cost=0, unpriced_attempts=2)
    for url in ("/templates/", url_of(work)):
        page = text(work.olivia.get(url))
        assert "unknown" in page
        assert "$0.00" not in page


@pytest.mark.django_db
def test_saving_makes_a_version_once_and_the_page_keeps_each(work: Work) -> None:  # noqa: F811
    first = work.olivia.post("/templates/new/", draft(user="one {{ subject }}"), follow=True)
    assert "Saved version 1 of “Route”." in text(first)
    template = PromptTemplate.objects.get(name="Route")
    edit = f"/templates/{template.public_id}/edit/"
    editor = work.olivia.get(edit)
    assert "one {{ subject }}" in editor.content.decode()
    assert "Save version 2" in text(editor)
    changed = draft(user=f"two {{{{ subject }}}}\n{HOSTILE}", name="not used")
    assert "Saved version 2" in text(
        work.olivia.post(edit, {**changed, "user": "two\r\nlines"}, follow=True)
    )
    again = work.olivia.post(edit, {**changed, "user": "two\r\nlines"}, follow=True)
    assert "Nothing changed: version 2 stays the latest." in text(again)
    # As programs save it, and as a browser sends back what it was shown.
    TemplateVersion.objects.filter(template=template, version=2).update(user="\ntwo\rlines")
    assert ">\n\ntwo" in work.olivia.get(edit).content.decode()
    again = work.olivia.post(edit, {**changed, "user": "\r\ntwo\r\nlines"}, follow=True)
    assert "Nothing changed: version 2 stays the latest." in text(again)
    TemplateVersion.objects.filter(template=template, version=2).update(user="two\nlines")
    page = work.olivia.get(f"/templates/{template.public_id}/?version=1")
    assert "one {{ subject }}" in page.content.decode()
    assert tag_with(page, "a", href=f"{edit}?version=1")
    diff = work.olivia.get(f"/templates/{template.public_id}/diff/1/2/")
    assert [one["class"] for one in tags(diff, "tr") if one.get("class")] == [
        "diff-removed", "diff-added", "diff-added",
    ]  # fmt: skip
    assert "These versions are the same" in text(
        work.olivia.get(f"/templates/{template.public_id}/diff/2/2/")
    )
    for nowhere in ("diff/1/9/", f"diff/1/{10**30}/", "?version=99", f"?version={'9' * 30}"):
        assert work.olivia.get(f"/templates/{template.public_id}/{nowhere}").status_code == 404
    stranger = work.cast.client(work.cast.charlie)
    for path in ("", "edit/", "diff/1/2/"):
        assert stranger.get(f"/templates/{template.public_id}/{path}").status_code == 404


@pytest.mark.django_db
def test_hostile_texts_stay_texts_on_every_page(work: Work) -> None:  # noqa: F811
    work.version.system = HOSTILE
    work.version.output_schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "description": HOSTILE}},
        "required": ["a"],
        "additionalProperties": False,
    }
    work.version.save()
    for url in (
        url_of(work),
        f"{url_of(work)}edit/",
        f"/templates/new/?from={url_of(work)[11:-1]}",
    ):
        assert_harmless(work.olivia.get(url))
    other = draft(user="changed", system="changed")
    work.olivia.post(f"{url_of(work)}edit/", other)
    assert_harmless(work.olivia.get(f"{url_of(work)}diff/1/2/"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": " "}, "1 to 200 characters"),
        ({"user": ""}, "The user message must not be empty"),
        ({"user": "a\n{{ b c }}"}, "(line 2)"),
        ({"system": "{% include 'x' %}"}, "“include” cannot be used in a template"),
        ({"user": "{{ 'x' * 100000000 }}"}, "“*” cannot be used in a template"),
        ({"mode": "json", "schema": " "}, "Write a JSON Schema, or choose “Plain text”"),
        ({"mode": "json", "schema": '{"type": NaN}'}, "This is not JSON"),
        ({"mode": "json", "schema": "[" * 100_000}, "This is not JSON"),
        ({"mode": "json", "schema": "[]"}, "A schema is a JSON object"),
        ({"mode": "json", "schema": '{"type": "object"}'}, "The schema must describe an object"),
        ({"mode": "json", "schema": '{"type":"object","properties":{"a":{"$ref":"http://x"}}}'},
         "schemas may only refer to themselves"),
        ({"mode": "fields"}, "Name a field, or choose “Plain text”"),
        ({"mode": "fields", "field_name": "n", "field_type": "integer", "field_enum": "1, b"},
         "“n”: “b” is not of the type integer"),
        ({"rules": "{"}, "This is not JSON"),
        ({"rules": '[{"min": "x"}]'}, "Rule 1: “min” takes a number"),
        ({"rules": '[{"pattern": "(?=a)"}]'}, "look-around"),
        ({"max_tokens": "0"}, "greater than or equal to 1"),
        ({"more_parameters": "[1]"}, "Write an object"),
    ],
)  # fmt: skip
def test_a_fault_stands_beside_its_field_and_nothing_typed_is_lost(
    work: Work,  # noqa: F811
    changes: dict[str, str],
    words: str,
) -> None:
    typed = draft(
        **{
            "name": "Typed with care", "system": "All of\nthis", "user": "{{ subject }}",
            "schema": "kept", "rules": "", "top_p": "0.5", **changes,
        }
    )  # fmt: skip
    page = work.olivia.post("/templates/new/", typed)
    assert page.status_code == 422
    assert words in text(page).replace("&quot;", '"')
    assert "Something must be mended before this can be saved." in text(page)
    assert tag_with(page, "input", name="name")["value"] == typed["name"]
    assert tag_with(page, "input", name="top_p")["value"] == "0.5"
    assert tags(page, "input")
    for area in ("system", "user", "schema"):
        assert f"{typed[area].splitlines()[-1] if typed[area] else ''}</textarea>" in _unescaped(
            page
        )
    assert PromptTemplate.objects.count() == 1


def _unescaped(page: Any) -> str:
    return html.unescape(page.content.decode())


@pytest.mark.django_db
def test_a_schema_goes_from_fields_to_json_and_back(work: Work) -> None:  # noqa: F811
    fields = {
        "mode": "fields",
        "field_name": ["label", "score"],
        "field_type": ["string", "integer"],
        "field_enum": ["a, b", ""],
        "field_required": ["yes", "no"],
        "field_description": ["Which", ""],
    }
    page = work.olivia.post("/templates/new/", draft(action="to_json", **fields))
    assert page.status_code == 200
    assert "selected" in tag_with(page, "option", value="json")
    written = _unescaped(page).partition('name="schema"')[2].partition(">")[2]
    schema = json.loads(written.partition("</textarea>")[0])
    assert schema["properties"]["label"] == {
        "type": "string",
        "enum": ["a", "b"],
        "description": "Which",
    }
    back = work.olivia.post(
        "/templates/new/", draft(action="to_fields", mode="json", schema=json.dumps(schema))
    )
    assert "selected" in tag_with(back, "option", value="fields")
    names = [one["value"] for one in tags(back, "input") if one.get("name") == "field_name"]
    assert names == ["label", "score", ""]
    schema["properties"]["label"]["maxLength"] = 5
    more = work.olivia.post(
        "/templates/new/", draft(action="to_fields", mode="json", schema=json.dumps(schema))
    )
    assert "This schema says more than fields can: it stays as JSON" in text(more)
    assert '"maxLength": 5' in _unescaped(more)
    saved = work.olivia.post("/templates/new/", draft(**fields), follow=True)
    assert "Saved version 1" in text(saved)
    stored = TemplateVersion.objects.get(template__name="Route").output_schema
    assert list(stored["properties"]) == ["label", "score"]


@pytest.mark.django_db
def test_what_is_typed_is_checked_against_a_dataset(work: Work) -> None:  # noqa: F811
    work.priced()
    asked = {"action": "check", "dataset": work.dataset.public_id, "row": "7"}

    def checked(**changes: Any) -> str:
        part = work.olivia.post("/templates/new/", draft(**{**asked, **changes}), headers=CHECK)
        assert part.status_code == 200
        assert "<html" not in part.content.decode()
        return _unescaped(part)

    assert "Ticket 7 " in checked()
    assert "Not used: priority." in checked()
    assert "No such column in this dataset: <strong>subjct</strong>" in checked(user="{{ subjct }}")
    assert "The row has no value for “subjct”" in checked(user="{{ subjct }}")
    assert "No such column" not in checked(user="{{ subjct|default('none') }}")
    assert "(user, line 2)" in checked(user="a\n{{ b")
    assert "The dataset has rows 1 to 200" in checked(row="999")
    assert "The output cannot be checked like this." in checked(mode="json", schema="{")
    assert "The rules cannot be used." in checked(rules="[1]")
    costs = checked(try_connection=work.connection.public_id, try_model=MODEL)
    assert "for all 200 rows like it. As input these cost" in costs
    assert "$" in costs
    unknown = checked(try_connection=work.connection.public_id, try_model="nobody-knows")
    assert "no price is set for nobody-knows" in unknown
    assert "The dataset has rows 1 to 200" in checked(row="0")
    for odd in ("-1", "x", "9" * 30, ""):
        assert "Ticket 1 " in checked(row=odd)


@pytest.mark.django_db
def test_it_says_what_the_order_of_text_and_columns_is_worth(work: Work) -> None:  # noqa: F811
    work.priced()
    Price.objects.update(input=1_000_000, cached_input=100_000, cache_write=1_250_000)
    sent = {"try_connection": work.connection.public_id, "try_model": MODEL}
    long = "Heed what follows. " * 400  # 1,900 tokens

    def told(**texts: str) -> str:
        page = work.olivia.post(f"{url_of(work)}edit/", {**draft(**texts), **sent}, headers=CHECK)
        return text(page)

    # 999 of 1,000 calls read 1,908 tokens at a tenth of 1 USD a million.
    kept = told(system=long, action="check")
    assert "begins with the same 1.9k tokens or so" in kept
    assert "(from 1,024 on): about $1.72 saved for 1,000 rows with" in kept
    first = told(user="{{ subject }}" + long, system="", action="check")
    assert "Put what is taken from the row at the end." in first
    assert "about $1.72 saved for 1,000 rows" in first
    # Nothing to say of what is short in any order, and of text that not every row gets.
    for texts in (
        {"system": "Heed."},
        {"user": "{{ subject }}{% if subject %}" + long + "{% endif %}"},
    ):
        said = told(**{"action": "check", **texts})
        assert "between calls" not in said


@pytest.mark.django_db
def test_the_editor_begins_with_the_dataset_that_the_template_ran_over(work: Work) -> None:  # noqa: F811
    newest = work.dataset
    used = work.dataset.__class__.objects.create(
        team=work.cast.team, name="used", filename="u", status="ready", rows=1
    )
    assert newest.pk != used.pk
    fresh = work.olivia.get("/templates/new/")
    assert tag_with(fresh, "input", name="try_rows")["value"] == "1"  # it has no second row
    work.job(succeeded=1)
    editor = work.olivia.get(f"{url_of(work)}edit/")
    assert "selected" in tag_with(editor, "option", value=newest.public_id)
    assert "selected" in tag_with(
        work.olivia.get("/templates/new/"), "option", value=used.public_id
    )


@pytest.mark.django_db
def test_it_is_renamed_archived_and_taken_out_again(work: Work) -> None:  # noqa: F811
    work.olivia.post("/templates/new/", draft())
    taken = work.olivia.post(f"{url_of(work)}rename/", {"name": "Route"})
    assert taken.status_code == 422
    assert "Another template of this team has this name" in text(taken)
    assert tag_with(taken, "input", id="id_name")["value"] == "Route"
    assert "Renamed." in text(
        work.olivia.post(f"{url_of(work)}rename/", {"name": "Other"}, follow=True)
    )
    put_away = work.olivia.post(f"{url_of(work)}archive/", {"archived": "1"}, follow=True)
    assert "This template is archived." in text(put_away)
    assert "Other" not in text(work.olivia.get("/templates/"))
    assert "Other" in text(work.olivia.get("/templates/?archived=1"))
    assert work.version.template.public_id not in work.olivia.get("/jobs/new/").content.decode()
    back = work.olivia.post(f"{url_of(work)}archive/", {"archived": "0"}, follow=True)
    assert "is taken out again" in text(back)


def attempt(client: Client, work: Work, **changes: Any) -> str:  # noqa: F811
    asked = {
        "action": "try",
        "dataset": work.dataset.public_id,
        "try_connection": work.connection.public_id,
        "try_model": MODEL,
        "try_rows": "1, 2",
    }
    return _unescaped(client.post("/templates/new/", draft(**{**asked, **changes}), headers=TRIED))


@pytest.mark.django_db
def test_a_try_says_what_it_lacks_and_then_asks_nobody(work: Work) -> None:  # noqa: F811
    for changes, words in (
        ({"try_rows": ""}, "Name 1 to 5 rows, such as 1, 5, 9"),
        ({"try_rows": "1,2,3,4,5,6"}, "1 to 5 rows"),
        ({"try_rows": "900"}, "There is no row 900: rows are 1 to 200"),
        ({"try_rows": "all"}, "Name 1 to 5 rows"),
        ({"try_connection": ""}, "Choose a connection"),
        ({"try_model": " "}, "Name a model"),
        ({"user": "{{ a b }}"}, "Unexpected identifier"),
        ({"mode": "json", "schema": "{"}, "This is not JSON"),
        ({"max_tokens": "-1"}, "greater than or equal to 1"),
    ):
        assert words in attempt(work.olivia, work, **changes), changes
    assert not DirectCall.objects.exists()
    shown = attempt(work.olivia, work, user="{{ nothing }}")
    assert "The row has no value for “nothing”" in shown
    assert not DirectCall.objects.exists()


# --- in a browser ------------------------------------------------------------------------------
@pytest.fixture
def visitor(browser: Browser, live_server: LiveServer, work: Work) -> Iterator[Page]:  # noqa: F811
    context = _logged_in(browser, live_server, work, work.cast.olivia)
    yield context.new_page()
    context.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_every_page_is_accessible_fits_and_asks_nobody_else(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
    width: int,
    theme: str,
) -> None:
    work.job(succeeded=1)
    work.priced()
    work.olivia.post(
        f"{url_of(work)}edit/", draft(user="{{ subject }} {{ x }}", rules='[{"max":1}]')
    )
    fields = draft(name="Fields", mode="fields", field_name="label", field_enum="a, b")
    work.olivia.post("/templates/new/", fields)
    made = PromptTemplate.objects.get(name="Fields").public_id
    found: dict[str, object] = {}
    urls = ["/templates/", "/templates/?q=zebra", "/templates/new/", url_of(work)]
    urls += [
        f"{url_of(work)}edit/?version=1",
        f"/templates/{made}/edit/",
        f"{url_of(work)}diff/1/2/",
    ]
    for user, some in (
        (work.cast.olivia, urls),
        (work.cast.charlie, ["/templates/", "/templates/new/"]),
    ):
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


@pytest.mark.django_db(transaction=True)
def test_a_template_is_composed_tried_for_real_and_saved(
    visitor: Page,
    work: Work,  # noqa: F811
    simulator: SimulatorProcess,
) -> None:
    work.connection.base_url = simulator.url
    work.connection.save()
    work.priced()
    visitor.goto("/templates/new/")
    visitor.get_by_label("Name", exact=True).fill("Route")
    user = visitor.get_by_label("User", exact=True)
    user.fill("Ticket: {{ sub }}")
    check = visitor.locator("#check")
    expect(check).to_contain_text("No such column in this dataset: sub.")
    expect(check).to_contain_text("Not used: subject, priority.")
    user.fill("Ticket: {{ subject }}")
    user.press("End")
    expect(check).to_contain_text("Ticket: Ticket 1 ")
    expect(user).to_be_focused()
    check.get_by_label("Row", exact=True).fill("42")
    expect(check).to_contain_text("Ticket: Ticket 42 ")
    expect(check.get_by_label("Row", exact=True)).to_be_focused()
    # One way of writing the output at a time.
    expect(visitor.get_by_label("Field 1: name")).to_be_hidden()
    visitor.get_by_label("Kind").select_option("fields")
    visitor.get_by_label("Field 1: name").fill("label")
    visitor.get_by_label("Field 1: allowed values").fill("red, green")
    expect(visitor.get_by_label("JSON Schema", exact=True)).to_be_hidden()
    visitor.get_by_label("Model").fill(MODEL)
    visitor.get_by_label("Rows", exact=True).fill("3, 42")
    visitor.get_by_role("button", name="Try").click()
    tried = visitor.locator("#tried")
    expect(tried).to_contain_text("Row 42")
    expect(tried.get_by_text("accepted")).to_have_count(2)
    expect(tried).to_contain_text("ms ·")
    expect(tried).to_contain_text("$0.0")
    assert {call.purpose for call in DirectCall.objects.all()} == {"try"}
    assert DirectCall.objects.filter(cost__gt=0).count() == 2
    visitor.get_by_role("button", name="Write them as JSON Schema").click()
    schema = visitor.get_by_label("JSON Schema", exact=True)
    expect(schema).to_have_value(re.compile('"green"'))
    schema.fill("{")
    expect(check).to_contain_text("The output cannot be checked like this.")
    visitor.get_by_role("button", name="Save template").click()
    expect(visitor.locator("#schema-error")).to_contain_text("This is not JSON")
    expect(schema).to_have_value("{")
    visitor.get_by_label("Kind").select_option("none")
    visitor.get_by_role("button", name="Save template").click()
    expect(visitor.get_by_role("status")).to_contain_text("Saved version 1 of “Route”.")
    visitor.get_by_role("link", name="Edit").click()
    visitor.get_by_label("User", exact=True).fill("Ticket: {{ subject }}!")
    visitor.get_by_role("button", name="Save version 2").click()
    visitor.get_by_role("link", name="Changes in version 2").click()
    expect(visitor.locator(".diff-added")).to_contain_text("{{ subject }}!")


@pytest.mark.django_db(transaction=True)
def test_it_works_without_scripts(
    browser: Browser,
    live_server: LiveServer,
    work: Work,  # noqa: F811
    simulator: SimulatorProcess,
) -> None:
    work.connection.base_url = simulator.url
    work.connection.save()
    context = _logged_in(browser, live_server, work, work.cast.olivia, java_script_enabled=False)
    page = context.new_page()
    page.goto("/templates/new/")
    page.get_by_label("Name", exact=True).fill("Plain")
    page.get_by_label("User", exact=True).fill("{{ nope }}")
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("#check")).to_contain_text("No such column in this dataset: nope.")
    page.get_by_label("User", exact=True).fill("{{ subject }}")
    page.get_by_label("Kind").select_option("fields")
    page.get_by_label("Field 1: name").fill("label")
    page.get_by_role("button", name="More fields").click()
    page.get_by_label("Field 2: name").fill("score")
    page.get_by_label("Model").fill(MODEL)
    page.get_by_role("button", name="Try").click()
    expect(page.locator("#tried")).to_contain_text("Row 3")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Plain")
    page.get_by_role("button", name="Save template").click()
    expect(page.get_by_role("status")).to_contain_text("Saved version 1 of “Plain”.")
    page.get_by_role("button", name="Archive").click()
    expect(page.locator("main")).to_contain_text("This template is archived.")
    schema = TemplateVersion.objects.get(template__name="Plain").output_schema
    assert list(schema["properties"]) == ["label", "score"]
    context.close()
