"""One job: its live page with its tabs; its buttons; its downloads."""

import json
from decimal import Decimal
from typing import Any, cast

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from jobs.control.actions import job_cancel as cancel
from jobs.control.actions import job_pause as pause
from jobs.control.actions import job_resume as resume
from jobs.control.export import FORMATS, INCLUDES, Format, Include, results_stream
from jobs.control.filters import RecordFilter
from jobs.costs.pricing import resolve_price
from jobs.errors import NotFound
from jobs.models import AuditEvent, Job
from jobs.money import price_to_usd
from jobs.teams.access import job_for
from jobs.teams.policy import Action
from jobs.templatetags.figures import count_text
from jobs.web.job_cost import cost_tab
from jobs.web.job_frame import FRAME, cancel_question, job_frame
from jobs.web.live import answer, is_poll, part
from jobs.web.pages import PageRequest, go_to, page, tell_ignored
from jobs.web.records import record_list

# The newest events; a job has few, and the audit log has them all.
ACTIVITY = 200
TABS = ("records", "costs", "activity", "config")


@page(Action.JOB_READ)
def job(request: PageRequest, job_id: str) -> HttpResponseBase:
    """The job; polled by its own live part, and by the list of its records."""
    found = job_for(request.actor, job_id)
    if is_poll(request, "records"):
        records = {"job": found, **record_list(request, found)}
        return part(request, "jobs/records.html#records", records, str(records["rows_tag"]))
    tab = request.GET.get("tab", "records")
    if tab not in TABS:
        tab = "records"
    context, tag = job_frame(request, found, tab)
    if not is_poll(request):
        rest = {
            "records": record_list,
            "costs": cost_tab,
            "activity": _activity,
            "config": _config,
        }[tab]
        context |= rest(request, found)
        if tab == "records":
            tell_ignored(request, RecordFilter.parse(request.GET).ignored)
    return answer(request, f"jobs/{tab}.html", context, tag, live_in=FRAME)


def _activity(request: PageRequest, found: Job) -> dict[str, Any]:
    """Who did what, and what became of the job by itself; newest first."""
    events = AuditEvent.objects.filter(
        team=found.team, object_type="job", object_id=found.public_id
    ).order_by("-id")[:ACTIVITY]
    items = [_event(found, event) for event in events]
    if found.started_at:
        items.append({"at": found.started_at, "title": "Started", "icon": "player-play"})
    if found.state == "paused" and found.status_reason != "person" and found.status_at:
        items.append(
            {
                "at": found.status_at,
                "title": f"Paused by itself: {found.get_status_reason_display().lower()}",
                "text": found.status_detail,
                "icon": "player-pause",
                "tone": "orange",
            }
        )
    if found.finished_at:
        text = f"{count_text(found.succeeded)} succeeded, {count_text(found.failed)} failed"
        words = found.state.label
        items.append({"at": found.finished_at, "title": words, "text": text, "icon": "check"})
    items.sort(key=lambda item: item["at"], reverse=True)
    return {"items": items}


_EVENTS = {
    "job.launch": ("Launched", "send", "blue"),
    "job.pause": ("Paused", "player-pause", "orange"),
    "job.resume": ("Resumed", "player-play", "green"),
    "job.cancel": ("Cancelled", "ban", "red"),
    "job.replay": ("Replayed", "refresh", "blue"),
    "job.budget": ("Budget changed", "coin", "blue"),
    "job.revalue": ("Valued anew", "coin", "blue"),
}


def _event(found: Job, event: AuditEvent) -> dict[str, Any]:
    title, icon, tone = _EVENTS.get(event.action, (event.action, "info-circle", "grey"))
    item: dict[str, Any] = {
        "at": event.at,
        "title": title,
        "who": event.actor_name,
        "icon": icon,
        "tone": tone,
    }
    if event.action == "job.launch" and isinstance(event.detail.get("rows"), int):
        item["text"] = f"{count_text(event.detail['rows'])} rows"
    if event.action == "job.replay" and event.detail.get("replay"):
        records = event.detail.get("records")
        item["text"] = f"{count_text(records)} record{'' if records == 1 else 's'}"
        item["href"] = reverse("replay", args=[found.public_id, event.detail["replay"]])
    return item


def _config(request: PageRequest, found: Job) -> dict[str, Any]:
    """Exactly what the job sends, and what it costs."""
    version = found.template_version
    price = resolve_price(connection=found.connection, model=found.model, at=timezone.now())
    return {
        "version": version,
        "schema": _pretty(version.output_schema) if version.output_schema else "",
        "rules": _pretty(version.rules) if version.rules else "",
        "parameters": [(name, _plain(value)) for name, value in sorted(found.parameters.items())],
        "tags": sorted(found.tags.items()),
        "rows_words": rows_words(found),
        "price": price,
        "price_lines": [
            (meter, f"${_with_cents(price_to_usd(amount)):f} per million tokens")
            for meter, amount in (
                ("Input", price.input),
                ("Cached input", price.cached_input),
                ("Cache write", price.cache_write),
                ("Output", price.output),
            )
        ]
        if price
        else [],
    }


def _with_cents(usd: Decimal) -> Decimal:
    """Without needless digits, but always with cents."""
    short = usd.normalize()
    return short if short.as_tuple().exponent < -2 else usd.quantize(Decimal("0.01"))  # type: ignore[operator]


def _plain(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def rows_words(found: Job) -> str:
    """Which rows the job sends, in words."""
    chosen = found.selection
    if "sample" in chosen:
        return f"A random sample of {count_text(found.total)}, seed {chosen.get('seed')}"
    if "limit" in chosen:
        return f"The first {count_text(found.total)}"
    return f"All {count_text(found.total)}"


# --- Buttons ------------------------------------------------------------------------------------
@page(Action.JOB_CONTROL, methods=("POST",))
def job_pause(request: PageRequest, job_id: str) -> HttpResponse:
    found = pause(actor=request.actor, job=job_for(request.actor, job_id))
    flying = " Calls in flight will finish." if found.running else ""
    return _done(request, found, f"“{found.name}” is paused.{flying}")


@page(Action.JOB_CONTROL, methods=("POST",))
def job_resume(request: PageRequest, job_id: str) -> HttpResponse:
    found = resume(actor=request.actor, job=job_for(request.actor, job_id))
    return _done(request, found, f"“{found.name}” goes on.")


@page(Action.JOB_CONTROL, methods=("POST",), confirm=cancel_question)
def job_cancel(request: PageRequest, job_id: str) -> HttpResponse:
    found = cancel(actor=request.actor, job=job_for(request.actor, job_id))
    flying = " Calls in flight will finish." if found.running else ""
    return _done(request, found, f"“{found.name}” is being cancelled.{flying}")


def _done(request: PageRequest, found: Job, words: str) -> HttpResponse:
    url = reverse("job", args=[found.public_id])
    messages.success(request, words, extra_tags=url)
    return go_to(request, came_from_list(request) or url)


def came_from_list(request: PageRequest) -> str:
    """The list, overview or costs the button was pressed in, so that one stays there."""
    back = request.POST.get("back", "")
    return reverse(back) if back in ("jobs", "overview", "costs") else ""


# --- Downloads ----------------------------------------------------------------------------------
@page(Action.JOB_READ)
def job_results(request: PageRequest, job_id: str) -> HttpResponseBase:
    """Results as a file, streamed; of a job that goes on it is a partial one and named so."""
    found = job_for(request.actor, job_id)
    kind = request.GET.get("format", "csv")
    include = request.GET.get("include", "all")
    if kind not in FORMATS or include not in INCLUDES:
        raise NotFound("There is no such download.")
    response = StreamingHttpResponse(
        results_stream(found, cast(Format, kind), cast(Include, include), for_people=True),
        content_type=FORMATS[kind],
    )
    state = "" if found.state.is_terminal else "-partial"
    name = f"{slugify(found.name)[:80] or found.public_id}-{include}{state}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    # Proxies must not hold the stream back, nor a browser guess another type.
    response["X-Accel-Buffering"] = "no"
    return response
