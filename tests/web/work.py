"""What the page tests look at: a dataset, a template, and jobs in any state, written to the tables.

Import the fixtures where they are used: `from tests.web.work import work` (with `# noqa: F401`).
"""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import (
    Attempt,
    Connection,
    CostRollup,
    Dataset,
    DatasetRow,
    DatasetStatus,
    Job,
    JobStatus,
    Price,
    PromptTemplate,
    Record,
    RecordStatus,
    TemplateVersion,
)
from tests.cast import Cast, make_connection

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>{{ settings }}'
MODEL = "sim-mini"
CALL = 3 * 10**8  # what each call cost, in pico-USD


@dataclass
class Work:
    """The team Support's things; `job` makes one more job over them."""

    cast: Cast
    dataset: Dataset
    version: TemplateVersion
    connection: Connection
    olivia: Client = field(init=False)

    def __post_init__(self) -> None:
        self.olivia = self.cast.client(self.cast.olivia)

    def job(
        self,
        *,
        succeeded: int = 0,
        failed: int = 0,
        running: int = 0,
        pending: int = 0,
        status: JobStatus = JobStatus.RUNNING,
        **options: Any,
    ) -> Job:
        """Records 1 … in the order succeeded, failed, running, pending; failed ones refused."""
        now = timezone.now()
        total = succeeded + failed + running + pending
        calls = succeeded + failed
        values: dict[str, Any] = {
            "name": "Nightly tags",
            "model": MODEL,
            "attempts": calls,
            "cost": calls * CALL,
            "wasted_cost": failed * CALL,
            "input_tokens": calls * 400,
            "output_tokens": calls * 90,
            "started_at": now - timedelta(minutes=10),
            "finished_at": now if status.is_terminal else None,
            "created_by": self.cast.olivia,
            **options,
        }
        job = Job.objects.create(
            team=self.cast.team,
            dataset=self.dataset,
            template_version=self.version,
            connection=self.connection,
            status=status,
            status_at=now,
            total=total,
            expanded=total,
            succeeded=succeeded,
            failed=failed,
            running=running,
            pending=pending,
            **values,
        )
        states = [RecordStatus.SUCCEEDED] * succeeded + [RecordStatus.FAILED] * failed
        states += [RecordStatus.RUNNING] * running + [RecordStatus.PENDING] * pending
        Record.objects.bulk_create(self._record(job, n, state) for n, state in enumerate(states, 1))
        Attempt.objects.bulk_create(
            self.attempt(job, n, accepted=n <= succeeded) for n in range(1, calls + 1)
        )
        return job

    def _record(self, job: Job, n: int, state: RecordStatus) -> Record:
        record = Record(job=job, n=n, status=state)
        if state is RecordStatus.SUCCEEDED:
            record.output = json.dumps({"category": HOSTILE})
        if state is RecordStatus.FAILED:
            record.failure_class, record.fingerprint = "refusal", "abc123def456"
            record.message = f"I cannot: {HOSTILE}"
        if state in (RecordStatus.SUCCEEDED, RecordStatus.FAILED):
            record.calls, record.cost, record.finished_at = 1, CALL, timezone.now()
        return record

    def attempt(self, job: Job, n: int, *, accepted: bool, number: int = 1) -> Attempt:
        """One call, not yet saved."""
        return Attempt(
            job=job,
            n=n,
            number=number,
            outcome="accepted" if accepted else "failed",
            purpose="first",
            template_version=self.version,
            connection=self.connection,
            model=MODEL,
            worker="w",
            day=timezone.now().date(),
            started_at=timezone.now(),
            failure_class="" if accepted else "refusal",
            message="" if accepted else HOSTILE,
            input_tokens=400,
            output_tokens=90,
            cost=CALL,
            answer=None if accepted else json.dumps({"text": HOSTILE}),
        )

    def spent(
        self, job: Job, *, days_ago: int = 0, unpriced: int = 0, cost: int | None = None
    ) -> None:
        """A roll-up of the job's calls on a day."""
        CostRollup.objects.create(
            job_id=job.pk,
            template_version_id=self.version.pk,
            connection_id=self.connection.pk,
            model=job.model,
            day=timezone.now().date() - timedelta(days_ago),
            team_id=self.cast.team.pk,
            calls=job.attempts,
            accepted=job.succeeded,
            cost=job.cost if cost is None else cost,
            wasted_cost=job.wasted_cost if cost is None else 0,
            unpriced_calls=unpriced,
        )

    def priced(self) -> Price:
        """A price for the model: $0.25 and $2 per million tokens."""
        return Price.objects.create(
            team=self.cast.team,
            model=MODEL,
            input=250_000,
            cached_input=25_000,
            cache_write=250_000,
            output=2_000_000,
            effective_from=timezone.now() - timedelta(days=1),
            source="test",
        )


@pytest.fixture
def work(cast: Cast) -> Work:
    team = cast.team
    dataset = Dataset.objects.create(
        team=team,
        name="tickets.csv",
        status=DatasetStatus.READY,
        filename="tickets.csv",
        rows=200,
        columns=[{"name": "subject", "type": "string"}, {"name": "priority", "type": "integer"}],
    )
    DatasetRow.objects.bulk_create(
        DatasetRow(
            dataset=dataset,
            n=n,
            line=n + 1,
            data=json.dumps({"subject": f"Ticket {n} {HOSTILE}", "priority": n}),
        )
        for n in range(1, 201)
    )
    template = PromptTemplate.objects.create(team=team, name="Tag tickets", latest_version=1)
    version = TemplateVersion.objects.create(
        template=template,
        version=1,
        system="You tag tickets.",
        user="Ticket: {{ subject }}",
        output_schema={"type": "object", "properties": {"category": {"type": "string"}}},
        defaults={"max_tokens": 200},
    )
    return Work(cast, dataset, version, make_connection(team))
