"""/datasets"""

from typing import Any

import orjson
from django.http import HttpRequest
from ninja import File, Form, Router, Status, UploadedFile

from jobs.api.actor import actor_for
from jobs.api.answers import DatasetOut, Page, RowOut
from jobs.api.idempotency import idempotent
from jobs.api.paging import PAGE, key_of, page_of
from jobs.api.shapes import dataset_shape
from jobs.datasets.selectors import dataset_rows
from jobs.datasets.services import dataset_create
from jobs.datasets.uploads import upload_fault
from jobs.errors import Invalid
from jobs.models import Dataset
from jobs.teams.access import dataset_for
from jobs.teams.policy import Action

router = Router(tags=["datasets"])


@router.post(
    "", operation_id="dataset_create", response={202: DatasetOut}, summary="Upload a dataset"
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
    fault = upload_fault(request)
    if fault is not None:
        raise Invalid.field("file", fault)
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


@router.get(
    "",
    operation_id="dataset_list",
    response=Page[DatasetOut],
    summary="The team's datasets, newest first",
)
def index(request: HttpRequest, cursor: str | None = None) -> Any:
    actor = actor_for(request, Action.DATASET_READ)
    before = key_of(cursor)
    found = Dataset.objects.filter(team=actor.team).order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    items = list(found[: PAGE + 1])
    more = items[PAGE - 1].pk if len(items) > PAGE else None
    return page_of([dataset_shape(dataset) for dataset in items[:PAGE]], more)


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
def rows(request: HttpRequest, dataset_id: str, cursor: str | None = None) -> Any:
    actor = actor_for(request, Action.DATASET_READ)
    dataset = dataset_for(actor, dataset_id)
    found = dataset_rows(dataset, after=key_of(cursor) or 0, limit=PAGE + 1)
    more = found[PAGE - 1].n if len(found) > PAGE else None
    items = [
        {"row": row.n, "line": row.line, "values": orjson.loads(row.data)} for row in found[:PAGE]
    ]
    return page_of(items, more)
