"""Every component on one page, with made-up data: for the eye, and for the tests of the kit.

`python -m tests.ui_kit` serves it on a free port. Not part of the product's addresses.
"""

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.backends.django import DjangoTemplates
from django.test import override_settings

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
            "team": {"public_id": "a2b3", "name": "Search"},
            "teams": [
                {"public_id": "a2b3", "name": "Search"},
                {"public_id": "c4d5", "name": "Support"},
            ],
            "workers_online": 0,
            "worker_heartbeat_age_s": 754,
            "failed_open": 1204,
            "version": "0.1.0",
            "role": "operator",
        },
    }


def _engine() -> DjangoTemplates:
    """The product's templates without the shell of its pages: the gallery brings its own."""
    params = copy.deepcopy(settings.TEMPLATES[0])
    params["NAME"] = "gallery"
    params.pop("BACKEND")
    params["DIRS"] = [*params["DIRS"], HERE / "templates"]
    params["OPTIONS"]["context_processors"].remove("jobs.web.context.shell")
    return DjangoTemplates(params)


def gallery(request: HttpRequest) -> HttpResponse:
    """The gallery; the theme comes from the cookie, as in the product."""
    context = gallery_context()
    context["shell"]["theme"] = request.COOKIES.get("theme", "auto")
    return HttpResponse(_engine().get_template("gallery.html").render(context, request))


def bare(request: HttpRequest, name: str) -> HttpResponse:
    """A page without the frame: log-in, or what is shown for an error."""
    return HttpResponse(
        _engine().get_template(name).render({"form": AuthenticationForm()}, request)
    )


class Recorder:
    """What the gallery's forms were sent, in order; `fail` makes polls answer with an error."""

    posts: list[dict[str, list[str]]] = []
    polls = 0
    fail = False


def act(request: HttpRequest) -> HttpResponse:
    posted = {name: values for name, values in request.POST.lists() if name[:4] != "csrf"}
    posted |= {name: [upload.name or ""] for name, upload in request.FILES.items()}
    Recorder.posts.append(posted)
    return HttpResponseRedirect("/x/done/")


def poll(request: HttpRequest) -> HttpResponse:
    """A polled region that counts its polls."""
    Recorder.polls += 1
    if Recorder.fail:
        return HttpResponse("<h1>Broken</h1>", status=500)
    sign = _engine().from_string('{% live_state "live" %}').render({}, request)
    return HttpResponse(
        f'<section id="live" data-live hx-get="/poll/" hx-trigger="every 200ms"'
        f' hx-swap="outerMorph">{sign}<b id="polls">{Recorder.polls}</b>'
        f'<details id="kept"><summary>Kept</summary>open</details></section>'
    )


@contextmanager
def serving() -> Iterator[str]:
    """Serve the gallery in a thread on a free port; yields its address. Touches no database."""
    with override_settings(ROOT_URLCONF="tests.ui_kit.urls", DEBUG=True):
        application = StaticFilesHandler(WSGIHandler())
        server = make_server(
            "127.0.0.1", 0, application, server_class=_Server, handler_class=_QuietHandler
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Say nothing of each request."""
