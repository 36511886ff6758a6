"""The template tags: what they render, and that they escape what they are given."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django import forms
from django.contrib.messages import SUCCESS
from django.contrib.messages.storage.base import Message
from django.template import Context, engines
from django.test import RequestFactory, override_settings

from jobs.models import AttemptOutcome, DatasetStatus, JobStatus, RecordStatus
from jobs.templatetags.statuses import LOOKS
from tests.ui_kit.gallery import HOSTILE

NASTY = "<script>alert(1)</script>\"'"


def render(source: str, **values: Any) -> str:
    template = engines["django"].from_string(source).template
    return str(template.render(Context(values)))


@pytest.mark.parametrize(
    "status",
    [
        *JobStatus,
        *DatasetStatus,
        *AttemptOutcome,
        *(RecordStatus(one).label for one in RecordStatus),
    ],
)
def test_every_status_of_the_database_has_a_look(status: str) -> None:
    assert str(status) in LOOKS
    shown = render("{% badge status %}", status=status)
    assert f">{str(status).replace('_', ' ')}</span>" in shown
    assert "<svg" in shown


def test_it_names_a_record_status_that_comes_as_a_number() -> None:
    assert render("{% badge 3 %}") == render('{% badge "failed" %}')


def test_it_shows_an_unknown_status_in_grey() -> None:
    assert "tone-grey" in render('{% badge "melted" %}')


@pytest.mark.parametrize(
    "source",
    [
        "{% badge nasty %}",
        "{% pill nasty title=nasty %}",
        "{% stat nasty nasty hint=nasty href=nasty %}",
        "{% icon nasty label=nasty %}",
        "{% raw_text nasty label=nasty %}",
        "{% raw_text nasty label=nasty fold=True %}",
        "{% stacked_bar counts label=nasty %}",
        "{% sparkline values label=nasty %}",
        "{% post_button nasty nasty confirm=nasty %}",
        "{% post_button nasty nasty reason=nasty %}",
        "{% page_header nasty subtitle=nasty parent=nasty parent_url=nasty %}{% endpage_header %}",
        "{% card nasty subtitle=nasty %}{{ nasty }}{% endcard %}",
        "{% table nasty %}{{ nasty }}{% endtable %}",
        "{% dialog 'd' nasty %}{{ nasty }}{% enddialog %}",
        "{% fold nasty %}{{ nasty }}{% endfold %}",
        "{% control nasty help=nasty error=nasty %}{{ nasty }}{% endcontrol %}",
        "{% notice title=nasty %}{{ nasty }}{% endnotice %}",
        "{% filter_bar label=nasty keep=keep clear_url=nasty active=True %}{% endfilter_bar %}",
        "{% include 'components/kv.html' with items=pairs only %}",
        "{% include 'components/sample.html' with headers=row rows=rows label=nasty only %}",
        "{% include 'components/tabs.html' with tabs=tabs label=nasty only %}",
        "{% include 'components/timeline.html' with items=items only %}",
        "{% include 'components/toast.html' with text=nasty href=nasty only %}",
    ],
)
def test_it_escapes_whatever_it_is_given(source: str) -> None:
    shown = render(
        source,
        nasty=NASTY,
        keep={NASTY: NASTY},
        counts={NASTY: 3},
        values=[1, 2],
        pairs=[(NASTY, NASTY)],
        row=[NASTY],
        rows=[[NASTY]],
        tabs=[{"label": NASTY, "url": NASTY, "count": 3}],
        items=[{"title": NASTY, "text": NASTY, "who": NASTY, "href": NASTY}],
    )
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;" in shown


def test_it_shows_hostile_text_as_it_is() -> None:
    shown = render("{% raw_text text %}", text=HOSTILE)
    assert "{{ settings }}" in shown
    assert "<img" not in shown


def test_it_shows_the_exact_amount_in_the_title() -> None:
    shown = render("{{ pico|money }}", pico=12_345_678_901)
    assert shown == '<span class="figure" title="0.012345678901 USD">$0.0123</span>'


def test_an_unknown_cost_is_not_zero() -> None:
    assert ">unknown<" in render("{{ pico|money }}", pico=None)


@pytest.mark.parametrize(
    "name", ["money", "money_text", "tokens", "count", "when", "duration", "percent"]
)
def test_a_name_that_is_not_in_the_context_breaks_no_page(name: str) -> None:
    shown = render(f"{{{{ missing|{name} }}}}")
    assert "—" in shown or "unknown" in shown


def test_it_shows_the_exact_time_in_the_title() -> None:
    shown = render("{{ at|when }}", at=datetime(2020, 3, 1, 12, tzinfo=UTC))
    assert 'datetime="2020-03-01T12:00:00Z"' in shown
    assert 'title="2020-03-01 12:00:00 UTC"' in shown
    assert ">2020-03-01<" in shown


def test_it_refuses_a_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="aware"):
        render("{{ at|when }}", at=datetime(2020, 3, 1, 12))


def test_it_links_the_numbers_of_a_bar() -> None:
    shown = render(
        "{% stacked_bar counts links %}", counts={"failed": 1204}, links={"failed": "/f/"}
    )
    assert '<a href="/f/"><b>1,204</b> failed</a>' in shown
    assert 'aria-label="Records: 1,204 failed"' in shown


def test_an_action_that_is_not_allowed_says_why_and_posts_nothing() -> None:
    shown = render('{% post_button "Pause" "/p/" reason="Only a lead may pause." %}')
    assert "Only a lead may pause." in shown
    assert 'aria-disabled="true"' in shown
    assert "<form" not in shown


def test_an_action_carries_the_token_of_its_page() -> None:
    shown = render('{% post_button "Pause" "/p/" %}', csrf_token="abc123")
    assert 'value="abc123"' in shown


class CapForm(forms.Form):
    cap = forms.DecimalField(help_text="In USD", widget=forms.TextInput(attrs={"class": "num"}))
    mode = forms.ChoiceField(choices=[("a", "A")])
    keep = forms.BooleanField(required=False)


def test_a_field_keeps_what_was_typed_beside_its_error() -> None:
    shown = render("{% field form.cap %}", form=CapForm({"cap": "much"}))
    assert 'value="much"' in shown
    assert "Enter a number." in shown
    assert 'aria-describedby="id_cap_helptext id_cap_error"' in shown
    assert 'id="id_cap_helptext"' in shown
    assert 'id="id_cap_error"' in shown
    assert 'class="form-control is-invalid num"' in shown


def test_a_field_has_the_look_of_its_control() -> None:
    assert 'class="form-select"' in render("{% field form.mode %}", form=CapForm())
    assert 'class="form-check-input"' in render("{% field form.keep %}", form=CapForm())


def test_an_unbound_field_shows_no_error() -> None:
    assert "field-error" not in render("{% field form.cap %}", form=CapForm())


def test_a_component_sees_nothing_of_the_page_around_it() -> None:
    assert "leak" not in render("{% card %}x{% endcard %}", title="leak", id="leak", href="leak")


def test_content_of_a_block_is_rendered_in_its_page() -> None:
    shown = render(
        '{% card "T" %}{% for n in ns %}{{ n|count }};{% endfor %}{% endcard %}', ns=[1, 2000]
    )
    assert "1;2,000;" in shown


@override_settings(ROOT_URLCONF="tests.ui_kit.urls")
def test_a_page_without_a_shell_still_renders() -> None:
    """An error page, or a page of nobody, has no team, no workers and no version."""
    page = engines["django"].get_template("500.html")
    assert "Something broke" in page.render()
    bare = engines["django"].get_template("base.html").template
    request = RequestFactory().get("/")
    assert "batchllm" in bare.render(Context({"request": request}))


@override_settings(ROOT_URLCONF="tests.ui_kit.urls")
def test_the_frame_says_when_no_worker_lives_and_what_failed() -> None:
    request = RequestFactory().get("/datasets/7/")
    shell = {"workers_online": 0, "worker_heartbeat_age_s": 754, "failed_open": 1204}
    base = engines["django"].get_template("base.html").template
    shown = str(base.render(Context({"request": request, "shell": shell})))
    assert "workers · seen 12 min 34 s ago" in shown
    assert "1,204" in shown
    assert 'data-go="d" aria-current="page">Datasets' in shown
    assert 'data-go="j">Jobs' in shown


@override_settings(ROOT_URLCONF="tests.ui_kit.urls")
def test_a_toast_links_to_the_result() -> None:
    request = RequestFactory().get("/")
    toast = Message(SUCCESS, "Replayed 214, skipped 3", extra_tags="/jobs/7/")
    base = engines["django"].get_template("base.html").template
    shown = str(base.render(Context({"request": request, "messages": [toast]})))
    assert re.search(r'tone-green" data-toast>.*Replayed 214.*<a href="/jobs/7/">Open</a>', shown)
