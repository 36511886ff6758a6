"""Ingest: the uploaded file becomes numbered rows, in bounded memory, safe to be killed.

The rows are written by chunks under a token; a worker that lost the token (it was silent for long,
and another began anew) stops at its next chunk. Beginning anew removes what was there.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from jobs.datasets.profile import ColumnProfiler
from jobs.datasets.readers import (
    BadRow,
    Detected,
    Reader,
    ReadError,
    ReadOptions,
    Row,
    detect,
    read,
    row_json,
)
from jobs.datasets.services import delete_rows, file_of
from jobs.models import BadRows, Dataset, DatasetStatus

logger = logging.getLogger(__name__)

CHUNK_ROWS = 5_000
CHUNK_BYTES = 8 * 1024 * 1024
MAX_KEPT_ERRORS = 200
# Refusing a file, so many bad rows are named; reading on would name more of the same.
MAX_REFUSED_ERRORS = 100
# A file that kills its worker this often is refused instead of killing more.
MAX_INGEST_ATTEMPTS = 3
SILENT = timedelta(seconds=60)
SAY_EVERY_S = 5.0
SAME_NAMES = "Two names in this row differ only in characters that cannot be seen. Rename one."


class _Lost(Exception):
    """Another worker ingests this dataset now, or it was deleted."""


def ingest(dataset_id: int) -> None:
    """Ingest a dataset that waits for it. Doubled or late calls change nothing."""
    token = secrets.token_hex(16)
    now = timezone.now()
    mine = Dataset.objects.filter(pk=dataset_id, status=DatasetStatus.INGESTING).filter(
        Q(ingest_token="") | Q(ingest_seen_at__isnull=True) | Q(ingest_seen_at__lt=now - SILENT)
    )
    if not mine.update(ingest_token=token, ingest_seen_at=now, ingest_bytes=0):
        return  # done, deleted, or in other hands
    dataset = Dataset.objects.get(pk=dataset_id)
    dataset.ingest_attempts += 1
    Dataset.objects.filter(pk=dataset_id).update(ingest_attempts=dataset.ingest_attempts)
    try:
        if dataset.ingest_attempts > MAX_INGEST_ATTEMPTS:
            words = (
                "Reading this file ended its worker three times. Save it anew, or as CSV, and "
                "upload that."
            )
            _refuse(dataset, token, [], words)
        else:
            _ingest(dataset, token)
    except ReadError as error:
        _refuse(dataset, token, [_error(error.line, error.message)], error.message)
    except OSError as error:
        _refuse(dataset, token, [], f"The file cannot be read: {error.strerror}. Upload it again.")
    except DatabaseError as error:
        if not _is_full(error):
            raise  # tried again when the reconciler finds it silent
        words = "The database has no room for the rows. Make room and read the file again."
        _refuse(dataset, token, [], words)
    except _Lost:
        logger.info("dataset is in other hands", extra={"dataset": dataset_id})


def _is_full(error: DatabaseError) -> bool:
    """Whether the disk of the database is full, by the words of SQLite and PostgreSQL."""
    words = str(error).lower()
    return "is full" in words or "no space left" in words


def _error(line: int | None, message: str) -> dict[str, object]:
    return {"row": line, "message": message}


def _ingest(dataset: Dataset, token: str) -> None:
    path = file_of(dataset)
    options = ReadOptions(
        sheet=dataset.sheet or None,
        encoding=dataset.encoding or None,
        delimiter=dataset.delimiter or None,
        bad_rows="set_aside" if dataset.bad_rows == BadRows.SET_ASIDE else "refuse",
    )
    _seen(dataset, token, sha256=dataset.sha256 or _sha256(path))
    detected = detect(path, dataset.filename, options)
    # Told also of a file that is refused: the sheets are what one chooses from to read it again.
    _seen(dataset, token, format=detected.format, sheets=list(detected.sheets))
    delete_rows(dataset.pk)
    with read(path, detected, options) as reader:
        profiler = ColumnProfiler()
        bad, errors = _copy(dataset, token, reader, profiler, options.bad_rows == "refuse")
        if bad and options.bad_rows == "refuse":
            more = " or more" if bad >= MAX_REFUSED_ERRORS else ""
            words = (
                f"{bad}{more} row{'s' if bad > 1 else ''} cannot be read. Mend what is listed, or "
                "read the file again with bad rows set aside."
            )
            _refuse(dataset, token, errors, words)
            return
        if profiler.rows == 0:
            _refuse(dataset, token, errors, "Not one row of the file can be read.")
            return
        notices = [*detected.notices, *reader.notices]
        columns = profiler.result()
    _finish(dataset, token, detected, notices, columns, profiler.rows, bad, errors, options)


def _copy(
    dataset: Dataset, token: str, reader: Reader, profiler: ColumnProfiler, refuse: bool
) -> tuple[int, list[dict[str, object]]]:
    """Write the rows; returns how many were bad, and the first of them in words."""
    bad = 0
    errors: list[dict[str, object]] = []
    chunk: list[tuple[int, int, int, str]] = []
    size = 0
    read_on = time.monotonic()
    dataset_id = dataset.pk
    for item in reader:
        found: Row | BadRow = item
        text = ""
        if isinstance(item, Row):
            try:
                text = row_json(item.values)
            except ValueError:
                found = BadRow(item.line, SAME_NAMES, "")
        if isinstance(found, BadRow):
            bad += 1
            if len(errors) < MAX_KEPT_ERRORS:
                errors.append(_error(found.line, found.message))
            if refuse and bad >= MAX_REFUSED_ERRORS:
                break
        elif bad and refuse:
            pass  # the file is refused; only further bad rows are of interest
        else:
            profiler.add(found.values)
            chunk.append((dataset_id, profiler.rows, found.line, text))
            size += len(text)
            if len(chunk) >= CHUNK_ROWS or size >= CHUNK_BYTES:
                _write(dataset, token, chunk, reader.bytes_read)
                chunk, size, read_on = [], 0, time.monotonic()
            continue
        if time.monotonic() - read_on > SAY_EVERY_S:  # nothing is written, yet somebody is at it
            _seen(dataset, token, ingest_bytes=reader.bytes_read)
            read_on = time.monotonic()
    if chunk and not (bad and refuse):
        _write(dataset, token, chunk, reader.bytes_read)
    return bad, errors


def _write(
    dataset: Dataset, token: str, chunk: Sequence[tuple[int, int, int, str]], read_so_far: int
) -> None:
    with transaction.atomic():
        # First, so that a worker that lost the token writes nothing.
        _seen(dataset, token, ingest_bytes=read_so_far, rows=chunk[-1][1])
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                statement = "COPY jobs_datasetrow (dataset_id, n, line, data) FROM STDIN"
                with cursor.copy(statement) as copy:
                    copy.write(_copy_text(chunk))
            else:
                cursor.executemany(
                    "INSERT INTO jobs_datasetrow (dataset_id, n, line, data) "
                    "VALUES (%s, %s, %s, %s)",
                    chunk,
                )


def _copy_text(chunk: Sequence[tuple[int, int, int, str]]) -> str:
    """Rows as COPY takes them. JSON holds no tab and no line break as such, only backslashes."""
    return "".join(
        f"{dataset}\t{n}\t{line}\t{text.replace('\\', '\\\\')}\n"
        for dataset, n, line, text in chunk
    )


def _seen(dataset: Dataset, token: str, **columns: object) -> None:
    """Say that this worker is still at it. Raises _Lost when it is not its turn any more."""
    changed = Dataset.objects.filter(
        pk=dataset.pk, ingest_token=token, status=DatasetStatus.INGESTING
    ).update(ingest_seen_at=timezone.now(), **columns)
    if not changed:
        raise _Lost


def _refuse(dataset: Dataset, token: str, errors: list[dict[str, object]], message: str) -> None:
    if not any(error["message"] == message for error in errors):
        errors = [_error(None, message), *errors]
    with transaction.atomic():
        refused = Dataset.objects.filter(
            pk=dataset.pk, ingest_token=token, status=DatasetStatus.INGESTING
        ).update(status=DatasetStatus.FAILED, errors=errors, rows=0, ingest_token="")
        if refused:  # else the rows are those of somebody who began anew
            delete_rows(dataset.pk)


def _finish(
    dataset: Dataset,
    token: str,
    detected: Detected,
    notices: list[str],
    columns: Sequence[object],
    rows: int,
    bad: int,
    errors: list[dict[str, object]],
    options: ReadOptions,
) -> None:
    _seen(
        dataset,
        token,
        status=DatasetStatus.READY,
        ready_at=timezone.now(),
        format=detected.format,
        encoding=detected.encoding or "",
        delimiter=detected.delimiter or "",
        sheets=list(detected.sheets),
        sheet=options.sheet or (detected.sheets[0] if detected.sheets else ""),
        notices=notices,
        columns=columns,
        rows=rows,
        set_aside=bad,
        errors=errors,
        ingest_bytes=dataset.bytes,
        ingest_token="",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
