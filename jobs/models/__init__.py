"""The tables, one module an aggregate."""

from jobs.models.connections import Connection, ConnectionKind, LimitState, Price, WireApi
from jobs.models.costs import CostRollup, DirectCall, Throughput
from jobs.models.datasets import BadRows, Dataset, DatasetRow, DatasetStatus
from jobs.models.jobs import (
    Attempt,
    AttemptOutcome,
    Due,
    DueReason,
    Job,
    JobStatus,
    Lease,
    Purpose,
    Record,
    RecordStatus,
    Replay,
    RowEdit,
    StatusReason,
)
from jobs.models.prompts import PromptTemplate, TemplateKind, TemplateVersion
from jobs.models.teams import (
    ApiToken,
    AuditEvent,
    IdempotencyKey,
    KeepAnswers,
    Membership,
    Role,
    Team,
)
from jobs.models.workers import Errand, Worker

__all__ = [
    "ApiToken",
    "Attempt",
    "AttemptOutcome",
    "AuditEvent",
    "BadRows",
    "Connection",
    "ConnectionKind",
    "CostRollup",
    "Dataset",
    "DatasetRow",
    "DatasetStatus",
    "DirectCall",
    "Due",
    "DueReason",
    "Errand",
    "IdempotencyKey",
    "Job",
    "JobStatus",
    "KeepAnswers",
    "Lease",
    "LimitState",
    "Membership",
    "Price",
    "PromptTemplate",
    "Purpose",
    "Record",
    "RecordStatus",
    "Replay",
    "Role",
    "RowEdit",
    "StatusReason",
    "Team",
    "TemplateKind",
    "TemplateVersion",
    "Throughput",
    "WireApi",
    "Worker",
]
