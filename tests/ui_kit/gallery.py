"""Every component on one page, with made-up data: for the eye, and for the tests of the kit.

`python -m tests.ui_kit.gallery` serves it on a free port. Not part of the product's addresses.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import engines
from django.template.context import make_context

from jobs.models import RecordStatus
from jobs.templatetags.statuses import LOOKS

HERE = Path(__file__).parent
HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script> {{ settings }} ' + "long " * 60
PICO = 10**12


class ExampleForm(forms.Form):
    name = forms.CharField(help_text="Shown in lists and in the file names of downloads.")
    model = forms.ChoiceField(choices=[("a", "gpt-5-mini"), ("b", "claude-haiku")])
    notes = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    mode = forms.ChoiceField(
        choices=[("now", "Now"), ("batch", "Batch, half price")], widget=forms.RadioSelect
    )
    keep = forms.BooleanField(required=False, label="Keep raw answers")


def gallery_context() -> dict[str, Any]:
    now = datetime.now(UTC)
    counts = {"succeeded": 1009, "failed": 27, "running": 8, "retrying": 5, "waiting": 12}
    counts |= {"pending": 2936, "cancelled": 3}
    records = [
        {
            "n": n,
            "status": RecordStatus(n % 5),
            "cls": "rate_limited" if n % 5 == 3 else "",
            "answer": HOSTILE,
            "tokens": 37 * 7**n,
            "cost": None if n == 4 else 12_345_678 * 9**n,
            "took": 0.4 * 5**n,
            "at": now - timedelta(seconds=7 * 11**n),
        }
        for n in range(1, 8)
    ]
    hours = [f"{hour:02}:00" for hour in range(24)]
    return {
        "counts": counts,
        "links": {status: f"/x/?status={status}" for status in counts},
        "pico": 1_234_500_000_000,
        "toks": 1_234_567,
        "tabs": [
            {"label": "Records", "url": "/x/", "count": 4000, "active": True},
            {"label": "Failures", "url": "/x/", "count": 27, "active": False, "tone": "red"},
            {"label": "Activity", "url": "/x/", "active": False},
        ],
        "records": records,
        "jobs": [
            {"name": "Nightly product tags", "status": "running", "counts": counts, "cost": PICO},
            {
                "name": "Reviews_2026_without_any_space_in_its_very_long_name_at_all",
                "status": "completed_with_failures",
                "counts": {"succeeded": 1_000_000, "failed": 1},
                "cost": 123_456 * PICO,
            },
            {"name": "Not started", "status": "queued", "counts": {}, "cost": 0},
        ],
        "chart": {
            "title": "Records an hour",
            "buckets": hours,
            "series": [
                {"name": "Succeeded", "values": [h * h * 7 for h in range(24)], "tone": "green"},
                {"name": "Failed", "values": [h % 5 * 90 for h in range(24)], "tone": "red"},
            ],
        },
        "statuses": list(LOOKS),
        "spark": [3, 5, 9, 4, 12, 15, 11, 0, 0, 18],
        "timeline": [
            {"at": now, "title": "Resumed", "who": "alice", "tone": "blue", "icon": "player-play"},
            {"at": now, "title": "Paused", "text": "Budget used up", "tone": "orange"},
            {"title": "Launched", "href": "/x/", "who": "bob"},
        ],
        "keep": {"status": "failed"},
        "form": ExampleForm({"name": "", "model": "b", "notes": "typed", "mode": "now"}),
        "pairs": [("Model", "gpt-5-mini"), ("Prompt", HOSTILE), ("Temperature", "0.2")],
        "headers": ["id", "text"],
        "rows": [[1, HOSTILE], [2, None]],
        "hostile": HOSTILE,
        "shell": {
            "environment": "production",
            "team": {"pk": 1, "name": "Search"},
            "teams": [{"pk": 1, "name": "Search"}, {"pk": 2, "name": "Support"}],
            "workers_online": 0,
            "worker_heartbeat_age_s": 754,
            "failed_open": 1204,
            "version": "0.1.0",
            "role": "operator",
        },
    }


def gallery(request: HttpRequest) -> HttpResponse:
    """The gallery; the theme comes from the cookie, as in the product."""
    context = gallery_context()
    context["shell"]["theme"] = request.COOKIES.get("theme", "auto")
    source = (HERE / "templates" / "gallery.html").read_text()
    page = engines["django"].from_string(source)
    return HttpResponse(page.template.render(make_context(context, request, autoescape=True)))


def act(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/gallery/?done=1")


def main() -> None:
    """Serve the gallery until interrupted."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("runserver", "127.0.0.1:0", use_reloader=False, use_threading=True)


if __name__ == "__main__":
    import tests.environment  # noqa: F401  (points the settings at a scratch directory)

    main()
