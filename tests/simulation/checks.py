"""What must hold after each step of a history, whatever was broken."""

import json
from typing import TYPE_CHECKING

from jobs.engine.claiming import LEASE
from jobs.engine.slice import MAY_SEND_FOR_S
from jobs.engine.verify import verify
from jobs.models import Attempt, AttemptOutcome, Due, Job, JobStatus, Lease, Record, RecordStatus

if TYPE_CHECKING:
    from tests.simulation.world import World

# Calls may leave for so long after their job was stopped: what a slice had at hand, until it looks.
STOPPED_S = MAY_SEND_FOR_S + 1.0
# In peace a dead owner's lease is gone after this: two sweeps, and the time a killed one holds its turn.
LEFT_S = 16.0
_COLUMNS = ("status", "budget", "cost", "in_doubt_cost", "reserved", "status_reason")


class Violation(AssertionError):
    """Something that must hold does not."""


class Checks:
    """Keeps what it saw at the step before."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.status: dict[int, JobStatus] = {}
        self.stopped_at: dict[int, float] = {}
        self.results: dict[tuple[int, int], tuple[str, int]] = {}  # output, replays up to then
        self.exposed: dict[int, int] = {}  # what a lowered budget found committed already

    def after_step(self, *, replayed: bool = False) -> None:
        jobs = Job.objects.filter(pk__in=self.world.jobs).only(*_COLUMNS).order_by("pk")
        verified = verify(self.world.jobs)  # 1, 2, 4 and 7 of the list
        self._demand(verified.difference is None, str(verified.difference))
        for job in jobs:
            self._check_budget(job)
            self._check_status(job, replayed)
        self._check_records()

    def _demand(self, holds: bool, what: str) -> None:
        if not holds:
            raise Violation(what)

    def _check_budget(self, job: Job) -> None:
        if job.budget is None:
            return
        committed = job.cost + job.in_doubt_cost + job.reserved
        allowed = max(job.budget, self.exposed.get(job.pk, 0))
        self._demand(committed <= allowed, f"job {job.pk} committed {committed} of {allowed}")

    def _check_status(self, job: Job, replayed: bool) -> None:
        before = self.status.get(job.pk, JobStatus.QUEUED)
        if before.is_terminal and not replayed:
            self._demand(job.state is before, f"job {job.pk} was {before} and is {job.state}")
        self.status[job.pk] = job.state
        if job.state is JobStatus.PAUSED and before is not JobStatus.PAUSED:
            self.world.reached[f"paused: {job.status_reason}"] += 1
        if job.state.is_runnable:
            self.stopped_at.pop(job.pk, None)
        else:
            self.stopped_at.setdefault(job.pk, self.world.timeline.at)

    def _check_records(self) -> None:
        records = Record.objects.filter(job_id__in=self.world.jobs).order_by("job_id", "n")
        held, accepted = set(), set()
        for job_id, n, status, calls, output, kept_from, generation, source in records.values_list(
            *("job_id", "n", "status", "calls", "output", "kept_from", "generation"),
            "source_job_id",
        ):
            if status == RecordStatus.RUNNING:
                held.add((job_id, n, calls))
            known, replays = self.results.get((job_id, n), (None, 0))
            # A replay's answer alone takes its place; until then it is what it was.
            replaced = output is not None and kept_from is None and generation > replays
            self._demand(
                known in (None, output) or replaced,
                f"record {n} of job {job_id} changed its result",
            )
            if output is not None and known != output:
                self.results[(job_id, n)] = (output, generation)
                self.world.reached["result replaced"] += known is not None
            if output is not None and source is not None:
                self.world.reached["result taken"] += known is None
            elif output is not None:
                accepted.add((job_id, n, json.loads(output)["score"]))
                told = {RecordStatus.SUCCEEDED: "kept", RecordStatus.RUNNING: "stands meanwhile"}
                if kept_from is not None and status in told:
                    self.world.reached[f"result {told[RecordStatus(status)]}"] += 1
        # Each call that arrived is in the ledger, or held by whoever made it.
        self._demand(not self.world.provider.twice, f"sent twice: {self.world.provider.twice}")
        ledger = Attempt.objects.filter(job_id__in=self.world.jobs)
        keys = ("job_id", "n", "number")
        attempts = set(ledger.values_list(*keys))
        found = set(ledger.filter(outcome=AttemptOutcome.ACCEPTED).values_list(*keys))
        self._demand(
            found == accepted, f"results not of accepted calls: {sorted(found ^ accepted)}"
        )
        unknown = self.world.provider.calls.keys() - attempts - held
        self._demand(not unknown, f"calls without an attempt: {sorted(unknown)}")
        if self.world.calm_for() > LEASE.total_seconds():
            before = self.world.timeline.now().timestamp() - LEFT_S
            for token, until in Lease.objects.values_list("token", "until"):
                self._demand(until.timestamp() > before, f"the lease {token} was left")

    def call_arrived(self, job_id: int) -> None:
        """At the provider: none leaves long after its job was stopped."""
        stopped = self.stopped_at.get(job_id)
        if stopped is not None:
            after = self.world.timeline.at - stopped
            self._demand(after <= STOPPED_S, f"a call of job {job_id} {after:.1f} s after its stop")

    def at_the_end(self) -> None:
        """All jobs have ended, no worker is left: the ledger against the provider, call by call."""
        self._demand(not Due.objects.exists(), "due times are left")
        counted, reached = self.world.provider.calls, self.world.reached
        for attempt in Attempt.objects.filter(job_id__in=self.world.jobs):
            key = (attempt.job_id, attempt.n, attempt.number)
            seen, cost = counted.get(key), attempt.cost or 0
            reached[f"attempt {attempt.outcome}"] += 1
            if attempt.outcome == AttemptOutcome.IN_DOUBT:
                self._demand(seen is None or seen.billed <= cost, f"billed more than {cost}: {key}")
            elif attempt.http_status is not None:
                self._demand(seen is not None, f"an answer to no call: {key}")
                self._demand(
                    seen is not None and seen.billed == cost, f"{seen}, cost {cost}: {key}"
                )
            else:
                self._demand(cost == 0, f"a call that never left costs {cost}: {key}")
        for job in Job.objects.filter(pk__in=self.world.jobs):
            reached[f"job {job.status}"] += 1
        reached["row parked"] += Record.objects.filter(failure_class="worker_lost").count()
        if not self.world.disturbed:
            # Nobody died and nobody slept: nothing is blamed, and no call doubted for its worker's sake.
            deaths = sum(Record.objects.values_list("deaths", flat=True))
            self._demand(deaths == 0, f"{deaths} deaths although nobody died")
            lost = Attempt.objects.filter(failure_class="worker_lost").count()
            self._demand(lost == 0 or self.world.stopped, f"{lost} calls lost although nobody left")
