"""Datasets: the list, the upload, one with its columns and rows, and what can be done with it."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django_htmx.http import HttpResponseClientRefresh

from jobs.datasets.readers import ENCODINGS
from jobs.datasets.selectors import dataset_rows, same_content, team_datasets, used_by
from jobs.datasets.services import (
    dataset_create,
    dataset_delete,
    dataset_read_again,
    dataset_rename,
)
from jobs.datasets.uploads import upload_fault
from jobs.errors import Conflict, Invalid
from jobs.models import BadRows, Dataset, DatasetStatus
from jobs.teams.access import dataset_for
from jobs.teams.policy import Action
from jobs.web.cells import Cell, cell
from jobs.web.confirmation import Question
from jobs.web.live import answer, is_poll, tag_of
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.written import read_row

PAGE = 50
SAMPLE = 20  # rows shown at a time
# Of a cell on the page; the whole row is one click away in a job's record.
CELL_CHARS = 200
DELIMITERS = (("", "Detect"), (",", "Comma"), (";", "Semicolon"), ("tab", "Tab"), ("|", "Pipe"))

DELETE = Question("Delete this dataset, its rows and its file? This cannot be undone.", "Delete")


@page(Action.DATASET_READ)
def datasets(request: PageRequest) -> HttpResponse:
    """The team's datasets, newest first; `?q=` and `?status=` narrow, `?before=` pages."""
    query = request.GET
    text = query.get("q", "").strip()[:200]
    status = query.get("status", "")
    status = status if status in DatasetStatus.values else ""
    before = query.get("before", "")
    found = team_datasets(request.actor.team, text=text, status=status)
    if before.isdecimal() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    listed = list(found[: PAGE + 1])
    context = {
        "datasets": listed[:PAGE],
        "q": text,
        "status": status,
        "statuses": DatasetStatus.choices,
        "active": bool(text or status),
        "next": listed[PAGE - 1].pk if len(listed) > PAGE else None,
        "later": bool(before),
        "may_write": request.actor.may(Action.DATASET_WRITE),
    }
    return render(request, "datasets/list.html", context)


@page(Action.DATASET_WRITE, methods=("GET", "POST"), keeps=True)
def dataset_upload(request: PageRequest) -> HttpResponse:
    """The form; a POST keeps the file and has it read in the background."""
    if not submitted(request):
        return render(request, "datasets/upload.html", _upload_context(request, {}))
    fault = upload_fault(request)
    given = request.POST
    try:
        if fault is not None:
            raise Invalid.field("file", fault)
        dataset = dataset_create(
            actor=request.actor, upload=request.FILES.get("file"), name=given.get("name", ""),
            **_options(request),
        )  # fmt: skip
    except Invalid as invalid:
        errors = {str(error.loc[0]): error.msg for error in invalid.errors}
        context = _upload_context(request, errors)
        context["options_open"] = bool(errors.keys() & {"bad_rows", *_OPTIONS})
        return render(request, "datasets/upload.html", context, status=422)
    return go_to(request, reverse("dataset", args=[dataset.public_id]))


_OPTIONS = ("sheet", "encoding", "delimiter")


def _options(request: PageRequest) -> dict[str, str]:
    given = request.POST
    return {
        "bad_rows": given.get("bad_rows", ""),
        "sheet": given.get("sheet", "").strip(),
        "encoding": given.get("encoding", ""),
        "delimiter": given.get("delimiter", ""),
    }


def _upload_context(
    request: PageRequest, errors: dict[str, str], chosen: dict[str, str] | None = None
) -> dict[str, Any]:
    """`chosen` stands in the form until somebody sends it."""
    given = request.POST.dict() if "delimiter" in request.POST else chosen or request.POST.dict()
    delimiter = given.get("delimiter", "")
    return {
        "errors": errors,
        "given": given,
        "limit": f"Up to {filesizeformat(settings.MAX_UPLOAD_BYTES)}.",
        "other_delimiter": "" if delimiter in dict(DELIMITERS) else delimiter,
        "encodings": ENCODINGS,
        "delimiters": DELIMITERS,
        "bad_rows": BadRows.choices,
    }


@page(Action.DATASET_READ)
def dataset(request: PageRequest, dataset_id: str) -> HttpResponse:
    """One dataset; while it is read, its live part tells how far that is."""
    found = dataset_for(request.actor, dataset_id)
    if is_poll(request) and found.status != DatasetStatus.INGESTING:
        return HttpResponseClientRefresh()  # it is read: now there is a whole page to show
    return _shown(request, found)


def _shown(
    request: PageRequest, found: Dataset, extra: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    ready = found.status == DatasetStatus.READY
    after = request.GET.get("after", "0")
    at = int(after) if after.isdecimal() and len(after) < 10 else 0
    rows = dataset_rows(found, after=at, limit=SAMPLE + 1) if ready and not is_poll(request) else []
    names = [column["name"] for column in found.columns]
    jobs = used_by(found)
    context: dict[str, object] = {
        "dataset": found,
        "ingesting": found.status == DatasetStatus.INGESTING,
        "ready": ready,
        "names": names,
        "rows": [(row.n, row.line, _cells(row.data, names)) for row in rows[:SAMPLE]],
        "after": at,
        "next": rows[SAMPLE - 1].n if len(rows) > SAMPLE else None,
        "previous": max(0, at - SAMPLE) if at else None,
        "jobs": jobs,
        "delete_question": DELETE.words,
        "same": same_content(found),
        "read_again_why_not": _read_again_why_not(found, bool(jobs)),
        "may_write": request.actor.may(Action.DATASET_WRITE),
        "bad_rows_told": _bad_rows(found),
        "bad_rows_summary": _bad_rows_summary(found),
        **_upload_context(request, {}, _chosen(found)),
        **(extra or {}),
    }
    tag = tag_of(found.status, found.ingest_bytes, found.rows, found.errors)
    response = answer(request, "datasets/dataset.html", context, tag)
    if status != 200:
        response.status_code = status
    return response


def _bad_rows(found: Dataset) -> list[dict[str, Any]]:
    """Of a file that is refused for its rows a sentence about all of them comes first; one that is
    refused for a single fault, such as its header, has no rows to be set aside."""
    if found.status == DatasetStatus.FAILED and found.errors and found.errors[0]["row"] is not None:
        return []
    return [error for error in found.errors if error["row"] is not None]


def _bad_rows_summary(found: Dataset) -> str:
    told = len(_bad_rows(found))
    return f"the first {told:,} of {found.set_aside:,}" if found.set_aside > told else ""


def _chosen(found: Dataset) -> dict[str, str]:
    """How it was read, in the form's words: what is to be changed is changed from there."""
    return {
        "bad_rows": found.bad_rows,
        "sheet": found.sheet,
        "encoding": found.encoding,
        "delimiter": "tab" if found.delimiter == "\t" else found.delimiter,
    }


def _cells(data: str, names: list[str]) -> list[Cell]:
    """A row's values in column order, long ones cut."""
    values = read_row(data)
    return [_cut(cell(values, name)) for name in names]


def _cut(whole: Cell) -> Cell:
    if whole.text is None or len(whole.text) <= CELL_CHARS:
        return whole
    return Cell(whole.text[: CELL_CHARS - 1] + "…")


def _read_again_why_not(found: Dataset, used: bool) -> str:
    if found.status == DatasetStatus.INGESTING:
        return "It is being read now"
    return "Jobs use this dataset, so its rows cannot change" if used else ""


@page(Action.DATASET_WRITE, methods=("POST",), keeps=True)
def read_again(request: PageRequest, dataset_id: str) -> HttpResponse:
    found = dataset_for(request.actor, dataset_id)
    if request.resumed:
        return _shown(request, found)
    try:
        dataset_read_again(actor=request.actor, dataset=found, **_options(request))
    except (Invalid, Conflict) as fault:
        return _shown(request, found, {"read_again_error": str(fault)}, status=422)
    return go_to(request, reverse("dataset", args=[found.public_id]))


@page(Action.DATASET_WRITE, methods=("POST",), keeps=True)
def rename(request: PageRequest, dataset_id: str) -> HttpResponse:
    found = dataset_for(request.actor, dataset_id)
    typed = request.POST.get("name", "")
    if request.resumed:
        return _shown(request, found, {"typed_name": typed})
    try:
        dataset_rename(actor=request.actor, dataset=found, name=typed)
    except Invalid as fault:
        extra = {"rename_error": fault.errors[0].msg, "typed_name": typed}
        return _shown(request, found, extra, status=422)
    url = reverse("dataset", args=[found.public_id])
    messages.success(request, "Renamed.", extra_tags=url)
    return go_to(request, url)


def _delete_question(request: PageRequest, dataset_id: str) -> Question | None:
    return None if used_by(dataset_for(request.actor, dataset_id)) else DELETE


@page(Action.DATASET_WRITE, methods=("POST",), confirm=_delete_question)
def delete(request: PageRequest, dataset_id: str) -> HttpResponse:
    found = dataset_for(request.actor, dataset_id)
    try:
        dataset_delete(actor=request.actor, dataset=found)
    except Conflict as conflict:
        messages.error(request, str(conflict))
        return go_to(request, reverse("dataset", args=[found.public_id]))
    messages.success(request, f"Deleted “{found.name}”.")
    return go_to(request, reverse("datasets"))
