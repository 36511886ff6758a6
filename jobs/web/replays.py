"""Replays: the form that says what it will touch, and the page that says what became of it."""

import dataclasses
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse

from jobs.control.filters import REPLAYED, SEARCH_ROWS, RecordFilter
from jobs.control.replays import (
    MAX_ROWS,
    Overrides,
    replay_create,
    replay_preview,
    replay_progress,
)
from jobs.control.selectors import record_page
from jobs.errors import Conflict, Invalid
from jobs.failures import POLICIES, FailureClass, suggestion_for
from jobs.models import Job, Record, RecordStatus, Replay
from jobs.teams.access import job_for, replay_for
from jobs.teams.policy import Action
from jobs.templatetags.figures import count_text
from jobs.web.form_keys import form_key, new_nonce
from jobs.web.job_frame import why_not
from jobs.web.live import answer, is_poll, tag_of
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.records import filter_query
from jobs.web.replay_form import ReplayForm


# --- The form, and bulk replays -----------------------------------------------------------------
@page(Action.RECORD_REPLAY, methods=("GET", "POST"), keeps=True)
def replay_new(request: PageRequest, job_id: str) -> HttpResponse:
    """What a replay of the records chosen by the query string would touch; a POST starts it.

    The records page posts here too, with ticked rows: `intent` says whether they are sent as they
    were or taken to the form first. What succeeded is always looked at there before it is paid again.
    """
    job = job_for(request.actor, job_id)
    chosen = _chosen(request.GET)
    if request.method == "POST":
        intent = request.POST.get("intent", "")
        if request.resumed and intent == "as_is":
            intent = "change"  # the ticked rows are kept, and looked at before they are sent
        if intent in ("as_is", "change"):
            chosen = _ticked(job, request)
            if chosen.replayed != "failed":
                intent = "change"
        if intent == "change":
            url = reverse("replay_new", args=[job.public_id])
            return go_to(request, f"{url}?{_query(chosen)}")
        if intent == "as_is":
            return _started(request, job, chosen, Overrides())
    data = request.POST if request.method == "POST" else None
    form = ReplayForm(data, actor=request.actor, job=job, initial=_initial(request.GET))
    if submitted(request) and form.is_valid() and request.POST.get("intent") != "check":
        try:
            return _started(request, job, chosen, form.overrides())
        except Invalid as invalid:
            form.take(invalid)
        except Conflict as conflict:
            form.add_error(None, str(conflict))
    overrides = form.overrides() if data is not None and form.is_valid() else Overrides()
    if data is None and form.initial:
        overrides = Overrides(parameters=dict(form.initial))
    context = {
        "job": job,
        "job_url": reverse("job", args=[job.public_id]),
        "form": form,
        "chosen": chosen,
        "preview": replay_preview(actor=request.actor, job=job, chosen=chosen, overrides=overrides),
        "which": _which(chosen),
        "title": "Replay failed records" if chosen.replayed == "failed" else "Replay records",
        "suggestion": _suggestion(job, chosen),
        "records_url": f"{reverse('job', args=[job.public_id])}?{_records_query(chosen)}",
        "only_failed_url": f"?{_query(dataclasses.replace(chosen, replayed='failed'))}",
        "reason": why_not(request.actor, job, "replay", chosen.replayed),
        "budget_left": max(0, job.budget - job.cost - job.reserved)
        if job.budget is not None
        else None,
        "nonce": request.POST.get("nonce") or new_nonce(),
    }
    if is_poll(request, "touch"):
        return render(request, "replays/form.html#touch", context)
    return render(request, "replays/form.html", context, status=422 if form.errors else 200)


def _suggestion(job: Job, chosen: RecordFilter) -> str:
    """For a cause; for a whole class only what holds for each of its causes."""
    if not chosen.failure_class:
        return ""
    found = record_page(job, chosen, limit=1).records if chosen.fingerprint else []
    message = found[0].message or "" if found else ""
    return suggestion_for(FailureClass(chosen.failure_class), message)


def _initial(query: QueryDict) -> dict[str, Any]:
    """What a link fills in: the failures page suggests more tokens for answers that were cut off."""
    given = query.get("max_tokens", "")
    return {"max_tokens": int(given)} if _is_row(given) else {}


def _started(
    request: PageRequest, job: Job, chosen: RecordFilter, overrides: Overrides
) -> HttpResponse:
    """Start it; the answer says how many records it took and how many it left, with a link."""
    preview = replay_preview(actor=request.actor, job=job, chosen=chosen, overrides=overrides)
    replay, created = replay_create(
        actor=request.actor,
        job=job,
        key=form_key(request.POST, _query(chosen)),
        chosen=chosen,
        overrides=overrides,
    )
    url = reverse("replay", args=[job.public_id, replay.public_id])
    words = f"Replaying {count_text(replay.asked)}"
    if preview.skipped and created:
        left = "not failed, or no longer" if chosen.replayed == "failed" else "not ended"
        words += f", skipped {count_text(preview.skipped)} ({left})"
    if not created:
        words = "This replay was started already"
    messages.success(request, f"{words}.", extra_tags=url)
    return go_to(request, url)


def _chosen(query: QueryDict) -> RecordFilter:
    """Class, fingerprint, rows, and whether those that succeeded are sent as well: failed ones only,
    whatever else is asked."""
    parsed = RecordFilter.parse(query)
    rows = tuple(sorted({int(n) for n in query.get("rows", "").split(",") if _is_row(n)}))
    status = query.get("status", "")
    return RecordFilter(
        failure_class=parsed.failure_class,
        fingerprint=parsed.fingerprint,
        rows=rows,
        replayed=status if status in REPLAYED else "failed",
    )


def _is_row(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _ticked(job: Job, request: PageRequest) -> RecordFilter:
    """The rows that were ticked, or all that match. Raises Conflict where that is none."""
    chosen = RecordFilter.parse(request.GET)
    if request.POST.get("all_matching"):
        if chosen.status is RecordStatus.SUCCEEDED:
            chosen = dataclasses.replace(chosen, replayed="succeeded")
        if not (chosen.text or chosen.replay):
            return dataclasses.replace(chosen, status=None)
        found = record_page(job, chosen, limit=SEARCH_ROWS)
        if found.next is not None:
            raise Conflict(
                f"A search looks at {SEARCH_ROWS:,} rows at a time, so “all” is unclear here. "
                "Tick the rows, or filter by cause."
            )
        rows = tuple(record.n for record in found.records[:MAX_ROWS])
        return RecordFilter(rows=rows, replayed=chosen.replayed)
    rows = tuple(sorted({int(n) for n in request.POST.getlist("selected") if _is_row(n)}))
    if not rows:
        raise Conflict("No rows were ticked: there is nothing to replay.")
    succeeded = Record.objects.filter(job_id=job.pk, n__in=rows, status=RecordStatus.SUCCEEDED)
    return RecordFilter(rows=rows, replayed="all" if succeeded.exists() else "failed")


def _query(chosen: RecordFilter) -> str:
    parts = {"failure_class": chosen.failure_class, "fingerprint": chosen.fingerprint}
    parts["rows"] = ",".join(map(str, chosen.rows))
    parts["status"] = "" if chosen.replayed == "failed" else chosen.replayed
    return urlencode({name: value for name, value in parts.items() if value})


def _records_query(chosen: RecordFilter) -> str:
    parts = {"status": "failed", **filter_query(chosen.as_dict())}
    return urlencode(parts)


def _which(chosen: RecordFilter) -> str:
    """The choice in words."""
    words = {
        "failed": "failed records",
        "succeeded": "records that succeeded",
        "all": "records that failed or succeeded",
    }[chosen.replayed]
    if chosen.failure_class:
        words += f" of the class “{POLICIES[FailureClass(chosen.failure_class)].label}”"
    if chosen.fingerprint:
        words += " with the same message"
    if chosen.rows:
        shown = ", ".join(map(str, chosen.rows[:10]))
        more = f" and {len(chosen.rows) - 10:,} more" if len(chosen.rows) > 10 else ""
        words += f" among the chosen rows {shown}{more}"
    return words if chosen.active or chosen.rows else f"all {words} of this job"


# --- One replay ---------------------------------------------------------------------------------
@page(Action.JOB_READ)
def replay(request: PageRequest, job_id: str, replay_id: str) -> HttpResponse:
    """What became of a replay; polled until all of its records are settled."""
    job = job_for(request.actor, job_id)
    found = replay_for(request.actor, job, replay_id)
    progress, chosen = replay_progress(found), _stored(found)
    waiting = max(0, found.asked - progress.sent) if not found.applied_at else 0
    # A job that was cancelled or failed meanwhile sends nothing more.
    ended = (found.applied_at is not None and not progress.open) or job.state.is_terminal
    url = reverse("job", args=[job.public_id])
    taken_over = max(
        0,
        progress.sent
        - (progress.succeeded + progress.kept)
        - (progress.failed + progress.cancelled + progress.open),
    )
    kept = f"{url}?replay={found.public_id}"
    context: dict[str, Any] = {
        "job": job,
        "replay": found,
        "job_url": url,
        "progress": progress,
        "ended": ended,
        "waiting": waiting,
        "taken_over": taken_over,
        "parts": {
            "succeeded": progress.succeeded + progress.kept,
            "failed": progress.failed,
            "pending": progress.open + waiting,
            "cancelled": progress.cancelled,
        },
        "links": {
            status: f"{kept}&status={status}"
            for status in ("succeeded", "failed", "pending", "cancelled")
        },
        "records_url": kept,
        "asked": count_text(found.asked),
        "asked_hint": f"{'failed ' if chosen.replayed == 'failed' else ''}records that matched",
        "chosen": chosen,
        "changes": _changes(found),
        "edits": found.edits.count(),
        "which": _which(chosen),
    }
    tag = tag_of(progress, waiting, ended, job.status)
    return answer(request, "replays/replay.html", context, tag)


def _stored(found: Replay) -> RecordFilter:
    kept = found.filter
    return RecordFilter(
        failure_class=kept.get("failure_class", ""),
        fingerprint=kept.get("fingerprint", ""),
        rows=tuple(kept.get("rows", ())),
        replayed=kept.get("status", "failed"),
    )


def _changes(found: Replay) -> list[tuple[str, str]]:
    """What was laid over the job's own set-up."""
    changes = []
    if found.template_version:
        changes.append(("Template version", f"v{found.template_version.version}"))
    if found.connection:
        changes.append(("Connection", found.connection.name))
    if found.model:
        changes.append(("Model", found.model))
    changes.extend((name, str(value)) for name, value in sorted(found.parameters.items()))
    return changes
