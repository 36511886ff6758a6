"""Records: the list within a job, and one record with all that was asked and answered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import orjson
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from jobs.control.filters import RECORD_STATUSES, RecordFilter
from jobs.control.lineage import sources_of
from jobs.control.replays import Overrides, replay_create, replay_preview
from jobs.control.selectors import (
    NO_CALLS,
    RecordView,
    being_replayed,
    calls_of,
    inputs_of,
    neighbours,
    record_page,
    record_view,
)
from jobs.costs.known import known
from jobs.costs.proof import Proof, proofs
from jobs.errors import Conflict, Invalid, NotFound
from jobs.failures import POLICIES, FailureClass, suggestion_for
from jobs.models import Attempt, AttemptOutcome, Job, Record, RecordStatus, Worker
from jobs.prompts.template import PromptText, TemplateFault
from jobs.teams.access import job_for
from jobs.teams.policy import Action
from jobs.templatetags.figures import count_text
from jobs.web.cells import as_text, cell
from jobs.web.form_keys import form_key, new_nonce
from jobs.web.job_frame import why_not
from jobs.web.live import answer, tag_of
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.proof import proof_shown
from jobs.web.textareas import typed
from jobs.written import read

# A cell of the list shows the beginning; the record's page shows all.
PREVIEW = 160
PREVIEW_COLUMNS = 3
# A value up to this length needs no box of its own.
SHORT = 60
# Beyond that an edit is not for a text area in a browser.
MAX_EDIT = 200_000


# --- The list -----------------------------------------------------------------------------------
def record_list(request: PageRequest, job: Job) -> dict[str, Any]:
    """The context of the records tab: one page, its filter, what a bulk replay would touch."""
    chosen = RecordFilter.parse(request.GET)
    after = _after(request.GET.get("after", ""))
    found = record_page(job, chosen, after)
    inputs = inputs_of(job, found.records)
    calls = calls_of(job, found.records)
    columns = _telling_columns(job)
    kept = filter_query(request.GET)
    # A text or replay filter cannot be handed to a replay as such: there, rows are ticked.
    narrowed = bool(chosen.text or chosen.replay)
    may_replay = not why_not(request.actor, job, "replay", "all")
    ended = (RecordStatus.FAILED, RecordStatus.SUCCEEDED)
    replayable = may_replay and chosen.status in (None, *ended)
    if chosen.status is RecordStatus.SUCCEEDED and not (chosen.failure_class or chosen.fingerprint):
        chosen = replace(chosen, replayed="succeeded")
    matching = 0
    if replayable and not narrowed:
        preview = replay_preview(actor=request.actor, job=job, chosen=chosen, overrides=Overrides())
        matching = preview.records
    ticks = {one.n for one in found.records if one.status in ended} if replayable else set()
    shown = [
        (one.n, one.status, calls.get(one.n), one.cost, one.failure_class, one.finished_at)
        for one in found.records
    ]
    return {
        "rows_tag": tag_of(shown, found.next, matching, job.state.is_terminal),
        # A text search looks at thousands of rows: it is not done again and again.
        "polls": not job.state.is_terminal and not chosen.text,
        "keep": {name: kept[name] for name in ("fingerprint", "replay") if name in kept},
        "rows": [
            {
                **_row(job, record, kept),
                "input": _input(inputs.get(record.n, {}), columns),
                "calls": calls.get(record.n, NO_CALLS).made,
                "cost": known(record.cost, calls.get(record.n, NO_CALLS).unpriced),
                "tick": record.n in ticks,
            }
            for record in found.records
        ],
        "chosen": chosen,
        "status_name": chosen.status.label if chosen.status is not None else "",
        "statuses": list(RECORD_STATUSES),
        "classes": [(one.value, POLICIES[one].label) for one in FailureClass],
        "searched": found.searched,
        "next_url": f"?{urlencode({**kept, 'after': found.next})}" if found.next else "",
        "first_url": f"?{urlencode(kept)}" if after else "",
        "summary": _summary(found.records),
        "bulk": replayable and (matching > 0 or bool(ticks)),
        "narrowed": narrowed,
        "matching": matching,
        "matching_what": "succeeded record" if chosen.replayed == "succeeded" else "failed record",
        "replay_url": f"{reverse('replay_new', args=[job.public_id])}?{urlencode(kept)}",
        "nonce": new_nonce(),
    }


def filter_query(query: Mapping[str, str]) -> dict[str, str]:
    """The part of a query string that is a record filter, to be carried along in links."""
    names = ("status", "failure_class", "fingerprint", "replay", "q")
    return {name: query[name] for name in names if query.get(name)}


def _after(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _summary(records: list[Record]) -> str:
    if not records:
        return "No rows"
    return f"Rows {count_text(records[0].n)} to {count_text(records[-1].n)}"


def _telling_columns(job: Job) -> list[str]:
    """The first columns that the template uses: what tells one row from another there."""
    version = job.template_version
    names = [column["name"] for column in job.dataset.columns]
    try:
        used = PromptText.compile(version.system, version.user).variables
    except TemplateFault:
        used = frozenset()
    return ([name for name in names if name in used] or names)[:PREVIEW_COLUMNS]


def _input(values: Mapping[str, Any], columns: list[str]) -> str:
    shown = [as_text(values.get(name)) for name in columns]
    return _cut(" · ".join(text for text in shown if text))


def _row(job: Job, record: Record, kept: dict[str, str]) -> dict[str, Any]:
    url = reverse("record", args=[job.public_id, record.n])
    return {
        "record": record,
        "url": f"{url}?{urlencode(kept)}" if kept else url,
        "output": _cut(record.output or record.message or ""),
        "failure": POLICIES[FailureClass(record.failure_class)].label
        if record.failure_class
        else "",
    }


def _cut(text: str) -> str:
    return text if len(text) <= PREVIEW else f"{text[:PREVIEW]}…"


# --- One record ---------------------------------------------------------------------------------
@page(Action.JOB_READ, methods=("GET", "POST"), keeps=True)
def record(request: PageRequest, job_id: str, n: int) -> HttpResponse:
    """A record; a POST replays it, with the edited row if one was sent."""
    job = job_for(request.actor, job_id)
    view = record_view(job, n)
    if view is None:
        raise NotFound("The job has no such row (yet).")
    errors: dict[str, str] = {}
    if submitted(request):
        request.actor.require(Action.RECORD_REPLAY)
        edit, errors = _edited(job, view, request.POST)
        if not errors:
            try:
                return _replayed(request, job, n, edit)
            except Invalid as invalid:
                errors = {"": " ".join(error.msg for error in invalid.errors)}
            except Conflict as conflict:
                errors = {"": str(conflict)}
    context = _record_context(request, job, view, errors)
    if errors:
        return render(request, "records/record.html", context, status=422)
    tag = tag_of(
        view.record.status, view.record.generation, view.record.message, job.status,
        context["replay_reason"],
        [(one.number, one.outcome, one.cost) for one in view.attempts],
    )  # fmt: skip
    return answer(request, "records/record.html", context, tag)


def _replayed(request: PageRequest, job: Job, n: int, edit: dict[str, Any]) -> HttpResponse:
    # What succeeded is sent again only if the page that was posted said that it had.
    replayed = "all" if request.POST.get("replayed") == "all" else "failed"
    replay, created = replay_create(
        actor=request.actor,
        job=job,
        key=form_key(request.POST, n),
        chosen=RecordFilter(rows=(n,), replayed=replayed),
        overrides=Overrides(),
        edits={n: edit} if edit else {},
    )
    words = f"Row {n} is sent again{' as edited' if edit else ''}."
    if not created:
        words = f"Row {n} was sent again already."
    messages.success(
        request, words, extra_tags=reverse("replay", args=[job.public_id, replay.public_id])
    )
    return go_to(request, request.get_full_path())


def _edited(
    job: Job, view: RecordView, form: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The columns that were changed, and the faults by column."""
    changes: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for index, column in enumerate(job.dataset.columns):
        name = column["name"]
        before = view.values.get(name)
        sent = typed(form.get(f"column-{index}", as_text(before)), as_text(before))
        if sent == as_text(before):
            continue
        if len(sent) > MAX_EDIT:
            errors[name] = f"At most {MAX_EDIT:,} characters"
        elif before is None or isinstance(before, str):
            changes[name] = sent
        else:
            try:
                changes[name] = read(sent) if sent.strip() else None
            except ValueError:
                errors[name] = "This column holds a number, list or object: write it as JSON"
    return changes, errors


def _record_context(
    request: PageRequest, job: Job, view: RecordView, errors: dict[str, str]
) -> dict[str, Any]:
    chosen = RecordFilter.parse(request.GET)
    kept = filter_query(request.GET)
    query = f"?{urlencode(kept)}" if kept else ""
    before, after = neighbours(job, chosen, view.record.n)
    record = view.record
    ended = record.status in (RecordStatus.FAILED, RecordStatus.SUCCEEDED)
    reason = why_not(request.actor, job, "replay", "all")
    if not reason and not ended:
        reason = f"The record is {RecordStatus(record.status).label}; what has ended is replayed"
    failure = FailureClass(record.failure_class) if record.failure_class else None
    applied = ended and being_replayed(job, record)
    if applied:
        reason = "A replay of this record is on its way"
    columns = _columns(request, job, view, errors)
    proven = proofs(job.pk, view.attempts)
    unpriced = sum(one.total is None and not one.settled for one in proven.values())
    return {
        # On its way, and no form of somebody's typing in it.
        "polls": applied
        or (
            record.status in (RecordStatus.PENDING, RecordStatus.RUNNING)
            and not job.state.is_terminal
        ),
        "applied": applied,
        "short_columns": [column for column in columns if not column["long"]],
        "long_columns": [column for column in columns if column["long"]],
        "calls_hint": _calls_hint(job, view),
        "job": job,
        "job_url": f"{reverse('job', args=[job.public_id])}{query}",
        "record": record,
        "row_title": f"Row {count_text(record.n)}",
        "status": RecordStatus(record.status).label,
        "cost": known(record.cost, unpriced),
        "view": view,
        "errors": errors,
        "form_error": errors.get("", ""),
        "columns": columns,
        "output": pretty_output(record.output or ""),
        "failure": POLICIES[failure] if failure else None,
        "suggestion": suggestion_for(failure, record.message or "") if failure else "",
        "attempts": _attempts(view.attempts, proven),
        "previous_url": _record_url(job, before, query),
        "next_url": _record_url(job, after, query),
        "filtered": chosen.active,
        "replay_reason": reason,
        "change_url": _change_url(job, record),
        "succeeded": record.status == RecordStatus.SUCCEEDED,
        "source": sources_of([record]).get(record.n),
        "nonce": new_nonce(),
    }


def _change_url(job: Job, record: Record) -> str:
    also = "" if record.status == RecordStatus.FAILED else "&status=all"
    return f"{reverse('replay_new', args=[job.public_id])}?rows={record.n}{also}"


def _calls_hint(job: Job, view: RecordView) -> str:
    if not view.attempts and view.record.failure_class:
        return "nothing was sent"
    return f"at most {job.max_attempts} tries; waiting for a limit uses up none"


def _record_url(job: Job, n: int | None, query: str) -> str:
    return "" if n is None else reverse("record", args=[job.public_id, n]) + query


def _columns(
    request: PageRequest, job: Job, view: RecordView, errors: dict[str, str]
) -> list[dict[str, Any]]:
    """Each column with what was sent, what the dataset has, and what stands in the edit form."""
    columns = []
    for index, column in enumerate(job.dataset.columns):
        name = column["name"]
        now = cell(view.values, name)
        original = now if view.original is None else cell(view.original, name)
        sent = now.text or ""
        entered = typed(request.POST.get(f"column-{index}", sent), sent)
        columns.append(
            {
                "field": f"column-{index}",
                "name": name,
                "value": now,
                "blank": _BLANK.get(now.absence if now.text is None else now.text, ""),
                "long": len(sent) > SHORT or "\n" in sent,
                "original": original if original != now else None,
                "original_label": f"{name}, as in the dataset",
                "typed": entered,
                "changed": entered != sent,
                "lines": min(12, 1 + sent.count("\n") + len(sent) // 90),
                "error": errors.get(name, ""),
            }
        )
    return columns


# What stands behind an empty box: left empty it stays so.
_BLANK = {
    "": "An empty text in this row.",
    "null": "null in this row, as long as nothing is written here.",
    "—": "This row does not have the column, as long as nothing is written here.",
}


def pretty_output(output: str) -> str:
    """JSON indented for reading; any other text as it is."""
    try:
        value = orjson.loads(output)
    except orjson.JSONDecodeError:
        return output
    if not isinstance(value, dict | list):
        return output
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _attempts(
    attempts: list[Attempt], proven: Mapping[tuple[int, int], Proof]
) -> list[dict[str, Any]]:
    """Attempts with their worker's host (while it is known) and their class in words."""
    hosts = dict(
        Worker.objects.filter(pk__in={one.worker for one in attempts}).values_list("pk", "host")
    )
    return [
        {
            "attempt": one,
            "proof": proof_shown(one, proven[one.n, one.number]),
            "shown_cost": _shown_cost(one, proven[one.n, one.number]),
            "worker": hosts.get(one.worker, one.worker[:8]),
            "failure": POLICIES[FailureClass(one.failure_class)].label
            if one.failure_class in set(FailureClass)
            else one.failure_class,
            "purpose": _purpose(one),
            "waited": one.waited_ms / 1000,
            "took": one.took_ms / 1000,
            "retry_after": one.retry_after_ms / 1000 if one.retry_after_ms is not None else None,
            "request": pretty_output(one.request) if one.request else "",
            "answer": pretty_output(one.answer) if one.answer else "",
            "request_label": f"Request of attempt {one.number}",
            "answer_label": f"Answer of attempt {one.number}",
            "request_id": f"request-{one.number}",
            "answer_id": f"answer-{one.number}",
        }
        for one in attempts
    ]


def _shown_cost(attempt: Attempt, proof: Proof) -> int | None:
    """With corrections; of a call still in doubt the most that it can have cost."""
    doubtful = attempt.outcome == AttemptOutcome.IN_DOUBT and not proof.settled
    return attempt.cost if doubtful else proof.total


def _purpose(attempt: Attempt) -> str:
    """Why it was made, where that is not plain; and which replay it belongs to."""
    words = "" if attempt.purpose == "first" else attempt.get_purpose_display().lower()
    if attempt.generation and attempt.purpose != "replay":
        words = f"{words}, replay".removeprefix(", ")
    if attempt.generation > 1:
        words += f" {attempt.generation}"
    return words
