"""Uploads and ingests that are cut off, disks that fill: nothing half, nothing twice, nothing left."""

import errno
import os
import socket
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.db import OperationalError, connection
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django.live_server_helper import LiveServer

from jobs.datasets import ingest, leftovers
from jobs.datasets.services import file_of
from jobs.engine.reconcile import sweep
from jobs.engine.store import Store
from jobs.models import Dataset, DatasetRow, DatasetStatus
from tests.cast import cast  # noqa: F401
from tests.datasets.uploading import (
    Uploads,
    in_a_process,
    rows_of,
    stored_files,
    uploads,  # noqa: F401
    work_off,
)
from tests.environment import TEST_DB

CONTENT = b"n,text\n" + b"".join(b"%d,row number %d\n" % (n, n) for n in range(1, 1001))
EXPECTED = [{"n": str(n), "text": f"row number {n}"} for n in range(1, 1001)]

# Ingests dataset {pk} by hundreds of rows, and dies by kill -9 while it writes the fourth hundred.
DIES = """
import os, signal
from jobs.datasets import ingest
ingest.CHUNK_ROWS = 100
write, written = ingest._write, []
def dying(*args):
    write(*args)
    written.append(1)
    if len(written) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
ingest._write = dying
ingest.ingest({pk})
"""


def as_if_silent(dataset: Dataset) -> None:
    """As it is a minute and a half later, when nothing was heard of its worker."""
    ago = timezone.now() - timedelta(seconds=90)
    Dataset.objects.filter(pk=dataset.pk).update(ingest_seen_at=ago)


@pytest.mark.django_db(transaction=True)
def test_an_ingest_that_was_killed_begins_anew_by_itself_and_doubles_no_row(
    uploads: Uploads,  # noqa: F811
) -> None:
    dataset = uploads.send(CONTENT)
    OrmQ.objects.all().delete()  # the message is acknowledged or lost: the tables know
    died = in_a_process(DIES.format(pk=dataset.pk))
    assert died.returncode == -9, died.stderr
    dataset.refresh_from_db()
    assert (dataset.status, dataset.rows, len(rows_of(dataset))) == ("ingesting", 400, 400)
    assert "400 rows so far" in uploads.page(dataset)
    # As long as its worker may be alive nobody else begins, whoever rings.
    ingest.ingest(dataset.pk)
    sweep(Store())
    assert not OrmQ.objects.exists()
    as_if_silent(dataset)
    sweep(Store())
    sweep(Store())
    assert OrmQ.objects.count() == 1
    work_off()
    dataset.refresh_from_db()
    assert (dataset.status, dataset.rows) == (DatasetStatus.READY, 1000)
    assert rows_of(dataset) == EXPECTED


@pytest.mark.django_db(transaction=True)
def test_a_file_that_kills_its_workers_is_refused_in_the_end(uploads: Uploads) -> None:  # noqa: F811
    dataset = uploads.send(CONTENT)
    dies = "from jobs.datasets import ingest\nimport os\ningest._ingest = lambda *a: os._exit(9)\n"
    for _ in range(ingest.MAX_INGEST_ATTEMPTS):
        assert in_a_process(f"{dies}ingest.ingest({dataset.pk})").returncode == 9
        as_if_silent(dataset)
        sweep(Store())
        OrmQ.objects.all().delete()
    ingest.ingest(dataset.pk)
    dataset.refresh_from_db()
    assert dataset.status == DatasetStatus.FAILED
    assert "ended its worker three times. Save it anew" in dataset.errors[0]["message"]
    # A person may still try it again.
    assert uploads.read_again(dataset).status == DatasetStatus.READY


@pytest.mark.django_db
@pytest.mark.parametrize("left", ["half", "refusing"])
def test_who_lost_the_dataset_to_another_worker_writes_nothing_more(
    uploads: Uploads,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    left: str,
) -> None:
    content = CONTENT if left == "half" else CONTENT + b"1,2,3\n"
    dataset = uploads.send(content, bad_rows="set_aside")
    monkeypatch.setattr(ingest, "CHUNK_ROWS", 100)
    write, calls = ingest._write, []

    def slow(*args: Any) -> None:
        write(*args)
        calls.append(args)
        if len(calls) == 3:  # it was silent for so long that another one began, and is done
            Dataset.objects.filter(pk=dataset.pk).update(ingest_token="")
            ingest.ingest(dataset.pk)

    monkeypatch.setattr(ingest, "_write", slow)
    ingest.ingest(dataset.pk)
    dataset.refresh_from_db()
    assert dataset.status == DatasetStatus.READY
    assert rows_of(dataset) == EXPECTED
    work_off()  # the doorbell that was late
    assert rows_of(dataset) == EXPECTED


@pytest.mark.django_db
def test_a_refusal_that_comes_too_late_leaves_the_rows_of_who_began_anew(
    uploads: Uploads,  # noqa: F811
) -> None:
    dataset = uploads.read(CONTENT)
    ingest._refuse(dataset, "a token of old", [], "Too late.")
    dataset.refresh_from_db()
    assert (dataset.status, dataset.errors) == (DatasetStatus.READY, [])
    assert rows_of(dataset) == EXPECTED


@pytest.mark.django_db
def test_reading_on_for_bad_rows_counts_as_being_alive(
    uploads: Uploads,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = uploads.send(b"n,text\n1,2,3\n" + CONTENT[7:])
    monkeypatch.setattr(ingest, "SAY_EVERY_S", 0.0)
    said: list[Any] = []
    seen = ingest._seen
    monkeypatch.setattr(ingest, "_seen", lambda *a, **k: (said.append(k), seen(*a, **k)))
    ingest.ingest(dataset.pk)
    assert sum("ingest_bytes" in columns for columns in said) > 900


@pytest.mark.django_db
def test_a_dataset_deleted_while_it_is_read_is_gone(
    uploads: Uploads,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = uploads.send(CONTENT)
    monkeypatch.setattr(ingest, "CHUNK_ROWS", 100)
    write = ingest._write

    def then_deleted(*args: Any) -> None:
        write(*args)
        uploads.olivia.post(f"/datasets/{dataset.public_id}/delete/", {"confirmed": "1"})

    monkeypatch.setattr(ingest, "_write", then_deleted)
    work_off()
    assert not Dataset.objects.filter(pk=dataset.pk).exists()
    assert not DatasetRow.objects.filter(dataset_id=dataset.pk).exists()
    assert dataset.path not in stored_files()


@pytest.mark.django_db(transaction=True)
def test_a_database_without_room_is_told_and_the_file_can_be_read_later(
    uploads: Uploads,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = b"text\n" + b"".join(b"%d%s\n" % (n, b"x" * 2000) for n in range(2000))
    dataset = uploads.send(content)
    if TEST_DB == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")  # pages that earlier tests left free would be room
            cursor.execute("PRAGMA page_count")
            (pages,) = cursor.fetchone()
            cursor.execute(f"PRAGMA max_page_count = {pages + 100}")
    else:

        def full(*args: Any) -> None:
            raise OperationalError('could not extend file "base/1/2": No space left on device')

        monkeypatch.setattr(ingest, "_write", full)
    work_off()
    dataset.refresh_from_db()
    assert dataset.status == DatasetStatus.FAILED
    words = "The database has no room for the rows. Make room and read the file again."
    assert dataset.errors == [{"row": None, "message": words}]
    assert rows_of(dataset) == []
    monkeypatch.undo()
    if TEST_DB == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 4294967294")
    assert uploads.read_again(dataset).rows == 2000


@pytest.mark.django_db
def test_a_file_that_is_gone_is_told(uploads: Uploads) -> None:  # noqa: F811
    dataset = uploads.send(CONTENT)
    file_of(dataset).unlink()
    work_off()
    dataset.refresh_from_db()
    assert dataset.errors[0]["message"] == (
        "The file cannot be read: No such file or directory. Upload it again."
    )
    answer = uploads.olivia.post(f"/datasets/{dataset.public_id}/read/")
    assert answer.status_code == 422
    assert "not kept any more. Upload it again." in answer.content.decode()


@pytest.mark.django_db
def test_a_disk_that_fills_is_told_and_nothing_typed_is_lost(
    uploads: Uploads,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Any, data: bytes, start: int) -> None:
        if start > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        store(self, data, start)

    store = TemporaryFileUploadHandler.receive_data_chunk
    monkeypatch.setattr(TemporaryFileUploadHandler, "receive_data_chunk", full)
    words = "The file cannot be stored: No space left on device. Make room and upload it again"
    answer = uploads.post(CONTENT * 20, "a.csv", name="Mine")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"loc": ["file"], "msg": words}]
    # As the page sends it: the file first, what else was typed behind it.
    page = uploads.submit(CONTENT * 20, "a.csv", name="Typed with care", delimiter="tab")
    assert page.status_code == 422
    assert words in page.content.decode()
    assert 'value="Typed with care"' in page.content.decode()
    assert '<option value="tab" selected>' in page.content.decode()
    assert (stored_files(), Dataset.objects.count()) == (uploads.before, 0)


@pytest.mark.django_db
def test_a_folder_that_takes_no_file_is_told(
    uploads: Uploads,  # noqa: F811
    settings: Any,
    tmp_path: Any,
) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "gone"
    page = uploads.submit(CONTENT, "a.csv", name="Typed with care")
    assert page.status_code == 422
    assert "The file cannot be stored: No such file or directory." in page.content.decode()
    assert 'value="Typed with care"' in page.content.decode()


@pytest.mark.django_db
def test_a_file_beyond_the_limit_is_told_and_not_kept(uploads: Uploads, settings: Any) -> None:  # noqa: F811
    settings.MAX_UPLOAD_BYTES = 10_000
    page = uploads.submit(CONTENT, "a.csv", name="Typed with care")
    assert page.status_code == 422
    assert "larger than 10,000 bytes, the most this installation takes" in page.content.decode()
    assert 'value="Typed with care"' in page.content.decode()
    assert stored_files() == uploads.before
    settings.MAX_UPLOAD_BYTES = len(CONTENT)
    assert uploads.read(CONTENT).rows == 1000


@pytest.mark.django_db(transaction=True)
def test_an_upload_cut_in_the_middle_leaves_nothing(
    uploads: Uploads,  # noqa: F811
    live_server: LiveServer,
) -> None:
    token = uploads.cast.token(uploads.cast.olivia)
    head = (
        "POST /api/v1/datasets HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 100000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    )
    host = live_server.thread.host
    with socket.create_connection((host, live_server.thread.port), timeout=20) as line:
        line.sendall(head.encode() + CONTENT * 20)
        _until(lambda: stored_files() != uploads.before)
    _until(lambda: stored_files() == uploads.before)
    assert Dataset.objects.count() == 0
    # The server goes on.
    assert uploads.read(CONTENT).rows == 1000


def _until(true: Any) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.django_db
def test_what_a_killed_server_left_is_removed_after_a_day(uploads: Uploads, settings: Any) -> None:  # noqa: F811
    kept = uploads.read(CONTENT)
    old, young = settings.UPLOAD_DIR / "tmpold.upload.csv", settings.UPLOAD_DIR / "tmpyoung.upload"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    for path in (old, file_of(kept)):
        os.utime(path, (time.time() - 90_000,) * 2)
    assert leftovers.remove_leftovers() == 1
    assert {young.name, kept.path} <= stored_files()
    assert old.name not in stored_files()
    young.unlink()
