"""Datasets come and go: created from an upload, tried again with other options, deleted."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction

from jobs import queue
from jobs.datasets.readers import ENCODINGS, is_delimiter
from jobs.errors import Conflict, FieldError, Invalid
from jobs.models import BadRows, Dataset, DatasetRow, DatasetStatus
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action

INGEST = "jobs.datasets.tasks.ingest"
NAMES = "1 to 200 characters that can be seen"


def dataset_create(
    *,
    actor: Actor,
    name: str,
    upload: "UploadedFile[Any] | None",
    bad_rows: str = "",
    sheet: str = "",
    encoding: str = "",
    delimiter: str = "",
) -> Dataset:
    """Keep an uploaded file and have it ingested in the background. Raises Invalid."""
    actor.require(Action.DATASET_WRITE)
    errors = _option_errors(bad_rows, sheet, encoding, delimiter)
    if upload is None:
        errors.append(FieldError(("file",), "Choose a file to upload"))
    elif not upload.size:
        errors.append(FieldError(("file",), "The file is empty (0 bytes)"))
    filename = (upload.name or "")[-255:] if upload else ""
    name = name.strip() or Path(filename).stem[:200]
    if upload is not None and not _is_name(name):
        errors.append(FieldError(("name",), NAMES))
    if errors:
        raise Invalid(errors)
    assert upload is not None
    dataset = Dataset(
        team=actor.team,
        created_by=actor.user,
        name=name,
        filename=filename,
        bytes=upload.size or 0,
        sha256=getattr(upload, "sha256", ""),
        bad_rows=bad_rows or BadRows.REFUSE,
        sheet=sheet,
        encoding=encoding,
        delimiter=delimiter,
    )
    dataset.path = f"{dataset.public_id}.upload"
    target = file_of(dataset)
    # The upload lies on the same disk already: moving it costs nothing at any size.
    os.replace(upload.temporary_file_path(), target)  # type: ignore[attr-defined]
    try:
        with transaction.atomic():
            dataset.save()
            record(actor, "dataset.upload", dataset, name=name, bytes=dataset.bytes)
            queue.enqueue(INGEST, dataset.pk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return dataset


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= 200 and name.isprintable()


def _option_errors(bad_rows: str, sheet: str, encoding: str, delimiter: str) -> list[FieldError]:
    errors = []
    if bad_rows and bad_rows not in BadRows.values:
        errors.append(FieldError(("bad_rows",), f"One of {', '.join(BadRows.values)}"))
    if encoding and encoding not in ENCODINGS:
        errors.append(FieldError(("encoding",), f"One of {', '.join(ENCODINGS)}"))
    if delimiter and not is_delimiter(delimiter):
        errors.append(FieldError(("delimiter",), "One character, or “tab”"))
    if len(sheet) > 100 or "\0" in sheet:
        errors.append(FieldError(("sheet",), "At most 100 characters that can be seen"))
    return errors


def file_of(dataset: Dataset) -> Path:
    """Where the uploaded file lies; nothing of its own name is in the path."""
    return settings.UPLOAD_DIR / dataset.path


def dataset_read_again(
    *,
    actor: Actor,
    dataset: Dataset,
    bad_rows: str,
    sheet: str,
    encoding: str,
    delimiter: str,
) -> Dataset:
    """Ingest the same file with other options. Raises Invalid, Conflict."""
    actor.require(Action.DATASET_WRITE)
    errors = _option_errors(bad_rows, sheet, encoding, delimiter)
    if errors:
        raise Invalid(errors)
    if dataset.jobs.exists():
        raise Conflict("Jobs use this dataset, so its rows cannot change. Upload the file again.")
    if not dataset.path or not file_of(dataset).exists():
        raise Conflict("The uploaded file is not kept any more. Upload it again.")
    with transaction.atomic():
        changed = (
            Dataset.objects.filter(pk=dataset.pk)
            .exclude(status=DatasetStatus.INGESTING)
            .update(
                status=DatasetStatus.INGESTING,
                bad_rows=bad_rows or dataset.bad_rows,
                sheet=sheet,
                encoding=encoding,
                delimiter=delimiter,
                rows=0,
                columns=[],
                errors=[],
                notices=[],
                set_aside=0,
                ingest_token="",
                ingest_seen_at=None,
                ingest_attempts=0,
                ingest_bytes=0,
            )
        )
        if changed:
            record(actor, "dataset.read_again", dataset)
            queue.enqueue(INGEST, dataset.pk)
    dataset.refresh_from_db()
    return dataset


def dataset_rename(*, actor: Actor, dataset: Dataset, name: str) -> None:
    actor.require(Action.DATASET_WRITE)
    if not _is_name(name.strip()):
        raise Invalid.field("name", NAMES)
    before, dataset.name = dataset.name, name.strip()
    with transaction.atomic():
        dataset.save(update_fields=["name"])
        record(actor, "dataset.rename", dataset, before=before, after=dataset.name)


def dataset_delete(*, actor: Actor, dataset: Dataset) -> None:
    """Remove a dataset with its rows and file. Raises Conflict while a job uses it."""
    actor.require(Action.DATASET_WRITE)
    uses = dataset.jobs.count()
    if uses:
        raise Conflict(
            f"{uses} {'job uses' if uses == 1 else 'jobs use'} this dataset: their results refer "
            "to its rows."
        )
    with transaction.atomic():
        record(actor, "dataset.delete", dataset, name=dataset.name, rows=dataset.rows)
        path = file_of(dataset) if dataset.path else None
        pk = dataset.pk
        dataset.delete()
        # Rows carry no foreign key (they are written by the hundred thousand).
        delete_rows(pk)
    if path is not None:
        path.unlink(missing_ok=True)


def delete_rows(dataset_id: int) -> None:
    """Remove the rows of a dataset."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {DatasetRow._meta.db_table} WHERE dataset_id = %s",
            [dataset_id],
        )
