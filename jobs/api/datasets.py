"""/datasets"""

from typing import Any

from django.http import HttpRequest
from ninja import File, Form, Router, Status, UploadedFile

from jobs.api.actor import actor_for
from jobs.api.answers import DatasetOut, Page, RowOut
from jobs.api.idempotency import idempotent
from jobs.api.paging import PAGE, Cursor, Limit, key_of, page_of
from jobs.api.parsing import refuse_type
from jobs.api.shapes import dataset_shape
from jobs.datasets.selectors import dataset_rows
from jobs.datasets.services import dataset_create
from jobs.datasets.uploads import upload_fault
from jobs.errors import FieldError, Invalid
from jobs.models import BadRows, Dataset
from jobs.teams.access import dataset_for
from jobs.teams.policy import Action
from jobs.written import read_row

router = Router(tags=["datasets"])
_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"description": "Default: the file's name"},
    "bad_rows": {
        "description": "Refuse a file with bad rows (default), or set them aside and go on",
        "enum": BadRows.values,
    },
    "sheet": {"description": "Of an XLSX file; default: the first one"},
    "encoding": {"description": "Default: detected"},
    "delimiter": {"description": "Of a CSV file: one character or `tab`; default: detected"},
}
_FILE = {
    "type": "string",
    "format": "binary",
    "description": "CSV, JSONL, JSON array, Parquet or XLSX",
}
_UPLOAD = {
    "title": "Upload",
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": _FILE,
        **{name: {"type": "string", **words} for name, words in _OPTIONS.items()},
    },
}


@router.post(
    "",
    operation_id="dataset_create",
    response={202: DatasetOut},
    summary="Upload a dataset",
    openapi_extra={
        "requestBody": {"content": {"multipart/form-data": {"schema": _UPLOAD}}, "required": True}
    },
)
@idempotent
def create(
    request: HttpRequest,
    file: File[UploadedFile | None] = None,
    name: Form[str] = "",
    bad_rows: Form[str] = "",
    sheet: Form[str] = "",
    encoding: Form[str] = "",
    delimiter: Form[str] = "",
) -> Any:
    """Answers at once; the file is read in the background. Poll the dataset until it is `ready`."""
    actor = actor_for(request, Action.DATASET_WRITE)
    if request.content_type != "multipart/form-data":
        refuse_type(request, "multipart/form-data")
    fault = upload_fault(request)
    if fault is not None:
        raise Invalid.field("file", fault)
    _check_fields(request)
    dataset = dataset_create(
        actor=actor,
        name=name,
        upload=file,
        bad_rows=bad_rows,
        sheet=sheet,
        encoding=encoding,
        delimiter=delimiter,
    )
    return Status(202, dataset_shape(dataset))


def _check_fields(request: HttpRequest) -> None:
    """Unknown fields are refused here as in JSON bodies."""
    errors = []
    for name, values in request.POST.lists():
        if name == "file":
            errors.append(FieldError((name,), "Send the file as a file, with a file name"))
        elif name not in _OPTIONS:
            errors.append(FieldError((name,), f"Unknown; there are file, {', '.join(_OPTIONS)}"))
        elif any("\0" in str(value) for value in values):
            errors.append(FieldError((name,), "Must not contain the NUL character"))
    for name, files in request.FILES.lists():
        if name != "file":
            errors.append(FieldError((name,), "Unknown; the file is called “file”"))
        elif len(files) > 1:
            errors.append(FieldError((name,), "One file at a time"))
    if errors:
        raise Invalid(errors)


@router.get(
    "",
    operation_id="dataset_list",
    response=Page[DatasetOut],
    summary="The team's datasets, newest first",
)
def index(request: HttpRequest, cursor: Cursor = "", limit: Limit = PAGE) -> Any:
    actor = actor_for(request, Action.DATASET_READ)
    before = key_of(cursor)
    found = Dataset.objects.filter(team=actor.team).order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    items = list(found[: limit + 1])
    more = items[limit - 1].pk if len(items) > limit else None
    return page_of([dataset_shape(dataset) for dataset in items[:limit]], more)


@router.get("/{dataset_id}", operation_id="dataset_get", response=DatasetOut, summary="A dataset")
def get(request: HttpRequest, dataset_id: str) -> Any:
    actor = actor_for(request, Action.DATASET_READ)
    return dataset_shape(dataset_for(actor, dataset_id))


@router.get(
    "/{dataset_id}/rows",
    operation_id="dataset_rows",
    response=Page[RowOut],
    summary="Rows of a dataset",
)
def rows(request: HttpRequest, dataset_id: str, cursor: Cursor = "", limit: Limit = PAGE) -> Any:
    actor = actor_for(request, Action.DATASET_READ)
    dataset = dataset_for(actor, dataset_id)
    found = dataset_rows(dataset, after=key_of(cursor) or 0, limit=limit + 1)
    more = found[limit - 1].n if len(found) > limit else None
    items = [
        {"row": row.n, "line": row.line, "values": read_row(row.data)} for row in found[:limit]
    ]
    return page_of(items, more)
