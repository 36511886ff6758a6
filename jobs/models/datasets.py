"""Datasets and their rows."""

from django.conf import settings
from django.db import models

from jobs.models.fields import loose_key, public_id
from jobs.models.teams import Team


class DatasetStatus(models.TextChoices):
    INGESTING = "ingesting", "Ingesting"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"


class BadRows(models.TextChoices):
    REFUSE = "refuse", "Refuse the file"
    SET_ASIDE = "set_aside", "Set bad rows aside and go on"


class Dataset(models.Model):
    """An uploaded file, parsed. Its rows never change once it is ready."""

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=DatasetStatus, default=DatasetStatus.INGESTING)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True)

    # The file and how it is to be read; blank options are detected.
    filename = models.CharField(max_length=255)
    path = models.CharField(max_length=500, blank=True)  # below UPLOAD_DIR; blank when removed
    bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    format = models.CharField(max_length=10, blank=True)
    encoding = models.CharField(max_length=30, blank=True)
    delimiter = models.CharField(max_length=5, blank=True)
    sheet = models.CharField(max_length=100, blank=True)
    sheets = models.JSONField(default=list)
    notices = models.JSONField(default=list)  # sentences for the person
    bad_rows = models.CharField(max_length=10, choices=BadRows, default=BadRows.REFUSE)

    # What came out of it.
    rows = models.BigIntegerField(default=0)
    columns = models.JSONField(default=list)  # [{name, type, nulls, examples, max_length}]
    set_aside = models.BigIntegerField(default=0)
    errors = models.JSONField(default=list)  # [{row, message}], the first MAX_KEPT_ERRORS

    # Ingest: who works on it and how far it is; a silent owner is replaced.
    ingest_token = models.CharField(max_length=32, blank=True)
    ingest_seen_at = models.DateTimeField(null=True)
    ingest_attempts = models.PositiveSmallIntegerField(default=0)
    ingest_bytes = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["team", "-id"], name="dataset_team")]

    def __str__(self) -> str:
        return self.name


class TwinCount(models.Model):
    """How many rows repeat others in all that a template takes from them. `key` stands for the columns
    taken and the rows chosen; it is true for ever, since a dataset does not change."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=32)
    duplicates = models.IntegerField(null=True)  # None: being counted since `begun_at`
    begun_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "key"], name="one_twin_count")]

    def __str__(self) -> str:
        return f"{self.duplicates} twins in dataset {self.dataset_id}"


class DatasetRow(models.Model):
    """Row `n` (1 … rows) of a dataset: a JSON object as text, verbatim."""

    pk = models.CompositePrimaryKey("dataset_id", "n")
    dataset = loose_key("jobs.Dataset")
    n = models.IntegerField()
    line = models.IntegerField()  # line or row number in the file
    data = models.TextField()

    def __str__(self) -> str:
        return f"row {self.n}"
