"""Reading datasets and their rows."""

from typing import Any

from django.db.models import Q, QuerySet

from jobs.models import Dataset, DatasetRow, Job, RowEdit, Team
from jobs.written import read_row

PAGE = 50


def dataset_rows(dataset: Dataset, after: int = 0, limit: int = PAGE) -> list[DatasetRow]:
    """The rows past number `after`, in order."""
    return list(DatasetRow.objects.filter(dataset_id=dataset.pk, n__gt=after).order_by("n")[:limit])


def row_text(job: Job, n: int) -> str | None:
    """Row `n` as the job sends it, JSON text: the newest edit, else the dataset's; None if absent."""
    edit = RowEdit.objects.filter(job=job, n=n).order_by("-id").values_list("data", flat=True)
    row = DatasetRow.objects.filter(dataset_id=job.dataset_id, n=n).values_list("data", flat=True)
    return edit.first() or row.first()


def row_values(job: Job, n: int) -> dict[str, Any] | None:
    text = row_text(job, n)
    return None if text is None else read_row(text)


def original_values(job: Job, n: int) -> dict[str, Any] | None:
    """The row as it stands in the dataset, whatever edits a replay brought."""
    text = (
        DatasetRow.objects.filter(dataset_id=job.dataset_id, n=n)
        .values_list("data", flat=True)
        .first()
    )
    return None if text is None else read_row(text)


def used_by(dataset: Dataset) -> list[Job]:
    """The newest jobs over this dataset; while there is one it cannot be deleted."""
    return list(Job.objects.filter(dataset=dataset).order_by("-id")[:20])


def same_content(dataset: Dataset) -> list[Dataset]:
    """Other datasets of the team made from the same bytes."""
    if not dataset.sha256:
        return []
    return list(
        Dataset.objects.filter(team=dataset.team, sha256=dataset.sha256).exclude(pk=dataset.pk)[:5]
    )


def team_datasets(team: Team, *, text: str = "", status: str = "") -> QuerySet[Dataset]:
    """The team's datasets, newest first."""
    found = Dataset.objects.filter(team=team).select_related("created_by").order_by("-pk")
    if text:
        found = found.filter(Q(name__icontains=text) | Q(filename__icontains=text))
    return found.filter(status=status) if status else found
