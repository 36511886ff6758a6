"""Files on their way into a dataset: uploaded over HTTP, read by the queue's task in this process."""

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils.module_loading import import_string
from django_q.models import OrmQ

from jobs.datasets.services import file_of
from jobs.models import Dataset, DatasetRow, DatasetStatus
from tests.cast import Cast
from tests.environment import TEST_DB


def named(content: bytes, name: str) -> io.BytesIO:
    """What a browser has behind a file input."""
    file = io.BytesIO(content)
    file.name = name
    return file


def stored_files() -> set[str]:
    """What lies in the upload folder."""
    return {path.name for path in settings.UPLOAD_DIR.iterdir()}


def work_off() -> None:
    """Run what the short queue holds, as its worker would."""
    for message in OrmQ.objects.order_by("pk"):
        task = message.task
        message.delete()
        import_string(task["func"])(*task["args"])


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    """The rows in order; their numbers must be 1, 2, 3, …"""
    rows = list(DatasetRow.objects.filter(dataset_id=dataset.pk).order_by("n"))
    assert [row.n for row in rows] == list(range(1, len(rows) + 1))
    return [orjson.loads(row.data) for row in rows]


@dataclass
class Uploads:
    cast: Cast

    def __post_init__(self) -> None:
        self.olivia = self.cast.client(self.cast.olivia)
        token = self.cast.token(self.cast.olivia)
        self.program = Client(headers={"Authorization": f"Bearer {token}"})
        self.before = stored_files()

    def post(self, content: bytes, filename: str, /, **options: str) -> Any:
        return self.program.post("/api/v1/datasets", {"file": named(content, filename), **options})

    def submit(self, content: bytes, filename: str, /, **options: str) -> Any:
        """The form of the page."""
        return self.olivia.post("/datasets/new/", {"file": named(content, filename), **options})

    def send(self, content: bytes | Path, name: str = "", **options: str) -> Dataset:
        """Upload; nothing has read it yet."""
        name = name or (content.name if isinstance(content, Path) else "data.csv")
        data = content.read_bytes() if isinstance(content, Path) else content
        answer = self.post(data, name, **options)
        assert answer.status_code == 202, answer.content
        assert answer.json()["status"] == "ingesting"
        dataset = Dataset.objects.get(public_id=answer.json()["id"])
        # Where it arrived nothing is left; the one copy is kept to be read, and read again.
        assert stored_files() - self.before == {dataset.path}
        self.before.add(dataset.path)
        return dataset

    def read(self, content: bytes | Path, name: str = "", **options: str) -> Dataset:
        """Upload and read, whatever comes of it."""
        dataset = self.send(content, name, **options)
        work_off()
        dataset.refresh_from_db()
        if dataset.status == DatasetStatus.FAILED:
            assert rows_of(dataset) == []
            assert dataset.rows == 0
        else:
            assert dataset.rows == DatasetRow.objects.filter(dataset_id=dataset.pk).count()
        return dataset

    def read_again(self, dataset: Dataset, **options: str) -> Dataset:
        """As with the form on its page."""
        url = f"/datasets/{dataset.public_id}/read/"
        answer = self.olivia.post(url, options)
        assert answer.status_code == 302, answer.content
        work_off()
        dataset.refresh_from_db()
        return dataset

    def page(self, dataset: Dataset) -> str:
        return self.olivia.get(f"/datasets/{dataset.public_id}/").content.decode()

    def remove(self) -> None:
        for dataset in Dataset.objects.all():
            with contextlib.suppress(OSError):
                file_of(dataset).unlink()


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python against the test's database, in a process that can be killed."""
    name = str(connection.settings_dict["NAME"])
    if TEST_DB == "postgresql":
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    else:
        url = f"sqlite:///{name}"
    return subprocess.run(
        [sys.executable, "-c", f"import django\ndjango.setup()\n{code}"],
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "batchllm.settings"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def uploads(cast: Cast) -> Any:
    made = Uploads(cast)
    yield made
    made.remove()
