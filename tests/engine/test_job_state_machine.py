"""Every arrow of docs/state-machines.md, tried: it leads where it is drawn, for the reason given; what
is not drawn does not happen; and what has ended changes by a replay alone, whatever comes late.

In-process and by real claims and settlements: what a provider would have answered is made up here.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from jobs.control.actions import job_cancel, job_pause, job_resume
from jobs.control.filters import RecordFilter
from jobs.control.replays import Overrides, replay_create
from jobs.engine import counters, reclaiming
from jobs.engine.clock import Clock
from jobs.engine.expanding import cancel_chunk, expand_chunk
from jobs.engine.plan import CannotRun, Plan, make_plan
from jobs.engine.reconcile import sweep
from jobs.engine.records import Claimed, Settlement
from jobs.engine.replaying import replay_chunk
from jobs.engine.store import Store
from jobs.errors import Conflict
from jobs.failures import FailureClass
from jobs.models import (
    Attempt,
    Due,
    Job,
    JobStatus,
    Membership,
    Notice,
    Record,
    RecordStatus,
    Replay,
    Role,
    StatusReason,
)
from jobs.providers.types import HttpRequest, HttpResponse, Outcome, Usage
from jobs.teams.access import Actor
from tests.engine.build import INPUT_PRICE, OUTPUT_PRICE, check_invariants, make_job

pytestmark = pytest.mark.django_db

DOCUMENT = Path(__file__).parents[2] / "docs" / "state-machines.md"
_REQUEST = HttpRequest("POST", "http://x", {}, b"{}")
_RIGHT = '{"label": "a", "score": 1}'


class HandClock(Clock):
    """Stands still until it is moved on."""

    def __init__(self) -> None:
        self.at = timezone.now().replace(microsecond=0)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Bench:
    """One job, and all that may happen to it, one event at a time."""

    def __init__(self, rows: int = 2, **fields: object) -> None:
        fields.setdefault("tolerated_failure_rate", 1.0)
        self.clock = HandClock()
        self.store = Store(self.clock)
        self.id = make_job(rows, **fields).pk  # type: ignore[arg-type]
        user = User.objects.create(username=f"u{self.id}")
        Membership.objects.create(user=user, team=self.job.team, role=Role.ADMIN)
        self.actor = Actor(user, self.job.team, Role.ADMIN, False, "session")
        self.held: list[Claimed] = []

    @property
    def job(self) -> Job:
        return Job.objects.get(pk=self.id)

    def record(self, n: int = 1) -> Record:
        return Record.objects.get(job_id=self.id, n=n)

    def wait(self, **time: int) -> None:
        self.clock.at += timedelta(**time)

    # --- what workers do --------------------------------------------------------------------
    def claim(self, limit: int = 100) -> list[Claimed]:
        def prepare(record: Claimed) -> None:
            plan = make_plan(self.id, record.replay_id, now=self.clock.at, monotonic=0.0)
            plan.prepare(record)

        try:
            taken = self.store.claim(self.id, "w", limit, prepare, allow_suspect=True)
        except CannotRun as fault:  # as a slice does
            self.store.pause(self.id, fault.reason, str(fault))
            return []
        self.held += taken
        return taken

    def plan(self, record: Claimed) -> Plan:
        return make_plan(self.id, record.replay_id, now=self.clock.at, monotonic=0.0)

    def settlement(self, record: Claimed, failure: FailureClass | None) -> Settlement:
        plan = self.plan(record)
        charged: bool | None = failure in (None, FailureClass.REFUSAL)
        if failure is FailureClass.TIMEOUT:
            charged = None
        outcome = Outcome(
            failure=failure,
            message="" if failure is None else "The provider's words.",
            text=_RIGHT if failure is None else "",
            usage=Usage(input_tokens=10, output_tokens=5) if charged else None,
            charged=charged,
        )
        return plan.settlement_of(
            record, _REQUEST, HttpResponse(200, {}, b"{}"), outcome, started_at=self.clock.at,
            waited_ms=0, took_ms=1, cooldown=0.0, now=self.clock.at, rng=random.Random(1),
        )  # fmt: skip

    def settle(self, *settlements: Settlement) -> None:
        self.store.settle(self.id, "w", settlements, [])

    def answer(self, failure: FailureClass | None = None, count: int = 1) -> list[Settlement]:
        """The provider answers to the first calls in flight."""
        records, self.held = self.held[:count], self.held[count:]
        settlements = [self.settlement(record, failure) for record in records]
        self.settle(*settlements)
        return settlements

    def crash(self) -> list[Claimed]:
        """The worker is killed; after a while the reconciler takes its records back."""
        lost, self.held = self.held, []
        self.wait(seconds=60)
        reclaiming.reclaim_expired(self.store.dialect, self.clock.at)
        return lost

    def give_back(self) -> None:
        for record in self.held:
            self.store.give_back(record.lease, self.id, [record.n], set())
        self.held = []

    # --- what happens in the background -----------------------------------------------------
    def cancel_rest(self) -> None:
        while cancel_chunk(self.store.dialect, self.id, self.clock.at):
            pass

    def apply_replays(self) -> None:
        for replay in Replay.objects.filter(job_id=self.id):
            replay_chunk(self.store.dialect, replay.pk, self.clock.at)

    # --- what people do ---------------------------------------------------------------------
    def pause(self) -> None:
        job_pause(actor=self.actor, job=self.job)

    def resume(self) -> None:
        job_resume(actor=self.actor, job=self.job)

    def cancel(self) -> None:
        job_cancel(actor=self.actor, job=self.job)

    def replay(self, *rows: int, replayed: str = "failed") -> Replay:
        chosen = RecordFilter(rows=rows, replayed=replayed)
        return replay_create(
            actor=self.actor, job=self.job, key="", chosen=chosen, overrides=Overrides()
        )[0]


# --- Into each status, by the events that lead there ------------------------------------------
def queued(b: Bench) -> None:
    pass


def running(b: Bench) -> None:
    b.claim()


def paused(b: Bench) -> None:
    b.claim()
    b.pause()


def cancelling(b: Bench) -> None:
    b.claim()
    b.cancel()


def cancelled(b: Bench) -> None:
    b.claim(1)
    b.answer(FailureClass.REFUSAL)
    b.cancel()
    b.cancel_rest()


def completed(b: Bench) -> None:
    b.claim()
    b.answer(count=2)


def completed_with_failures(b: Bench) -> None:
    b.claim()
    b.answer(FailureClass.REFUSAL)
    b.answer()


def failed(b: Bench) -> None:
    # Nothing leads here: a job that cannot start pauses and says why. The status is kept readable.
    completed_with_failures(b)
    Job.objects.filter(pk=b.id).update(status=JobStatus.FAILED)


INTO: dict[JobStatus, Callable[[Bench], None]] = {
    JobStatus(into.__name__): into
    for into in (
        queued, running, paused, cancelling, cancelled, completed, completed_with_failures, failed,
    )
}  # fmt: skip
ENDED = [status for status in JobStatus if status.is_terminal]


def bench_in(status: JobStatus) -> Bench:
    bench = Bench()
    INTO[status](bench)
    assert bench.job.state is status
    check_invariants(bench.id)
    return bench


# --- The arrows -------------------------------------------------------------------------------
@dataclass(frozen=True)
class Arrow:
    source: JobStatus
    target: JobStatus
    cause: str  # as in the document
    event: Callable[[Bench], object]
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.source} to {self.target}: {self.cause}"


def _last_rows_end(failure: FailureClass | None) -> Callable[[Bench], object]:
    return lambda b: b.answer(failure, count=2)


def _remove_connection(b: Bench) -> None:
    b.job.connection.__class__.objects.update(removed_at=b.clock.at)
    b.claim()


def _break_template(b: Bench) -> None:
    b.job.template_version.__class__.objects.update(user="{{ text")
    b.claim()


def _run_out_of_budget(b: Bench) -> None:
    b.give_back()
    Job.objects.filter(pk=b.id).update(budget=1)
    b.claim()


def _run_away(b: Bench) -> None:
    """Calls are lost over and over, and no row gets anywhere."""
    for _ in range(60):
        for record in b.held:
            b.store.give_back(record.lease, b.id, [record.n], {record.n})
        b.held = []
        b.claim()


def _go_down(b: Bench) -> None:
    """For five minutes nothing comes from the provider but trouble."""
    for n in range(14):
        b.claim()
        b.answer((_TROUBLE * 2)[n % 3], count=2)
        b.wait(seconds=65)


def _come_back(b: Bench) -> None:
    Job.objects.filter(pk=b.id).update(status_reason="provider_down")
    b.answer()


def _probe(b: Bench) -> None:
    Job.objects.filter(pk=b.id).update(status_reason="provider_down")
    b.wait(minutes=1)
    sweep(b.store)


def _lose_three_workers(b: Bench) -> None:
    """The last open row kills whoever takes it."""
    b.answer()
    for _ in range(3):
        b.crash()
        b.claim()


def _replay_and_end(b: Bench) -> None:
    b.apply_replays()
    b.claim()
    b.answer(count=2)


_Q, _R, _P = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED
_CG, _CD = JobStatus.CANCELLING, JobStatus.CANCELLED
_DONE, _DONE_F, _F = JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_FAILURES, JobStatus.FAILED
_REFUSAL = FailureClass.REFUSAL
_TROUBLE = [FailureClass.SERVER_ERROR, FailureClass.TIMEOUT, FailureClass.CONNECTION]
ARROWS = [
    Arrow(_Q, _R, "first claim", lambda b: b.claim(1)),
    Arrow(_Q, _P, "a person pauses", Bench.pause, "person"),
    Arrow(_Q, _P, "cannot run", _remove_connection, "connection_removed"),
    Arrow(_Q, _P, "cannot run", _break_template, "template"),
    Arrow(_Q, _P, "budget", _run_out_of_budget, "budget"),
    Arrow(_Q, _CG, "a person cancels", Bench.cancel),
    Arrow(_R, _P, "a person pauses", Bench.pause, "person"),
    Arrow(_R, _P, "budget", _run_out_of_budget, "budget"),
    *(
        Arrow(_R, _P, "pausing failure", lambda b, f=failure: b.answer(f), failure.value)
        for failure in (
            FailureClass.AUTHENTICATION, FailureClass.PERMISSION, FailureClass.QUOTA_EXHAUSTED,
            FailureClass.MODEL_NOT_FOUND,
        )
    ),
    Arrow(_R, _P, "runaway", _run_away, "runaway"),
    Arrow(_R, _DONE, "last row ends", _last_rows_end(None)),
    Arrow(_R, _DONE_F, "last row ends", _last_rows_end(_REFUSAL)),
    Arrow(_R, _DONE_F, "last row is parked", _lose_three_workers),
    Arrow(_R, _CG, "a person cancels", Bench.cancel),
    Arrow(_P, _R, "a person resumes", Bench.resume),
    Arrow(_P, _R, "the provider is asked with one call", _probe),
    Arrow(_P, _R, "the provider answers after all", _come_back),
    Arrow(_P, _CG, "a person cancels", Bench.cancel),
    Arrow(_P, _DONE, "last row ends", _last_rows_end(None)),
    Arrow(_P, _DONE_F, "last row ends", _last_rows_end(_REFUSAL)),
    Arrow(_CG, _CD, "nothing is left open", lambda b: (b.answer(count=2), b.cancel_rest())),
    Arrow(_CD, _R, "replay", Bench.replay),
    Arrow(_DONE, _R, "replay of chosen rows", lambda b: b.replay(1, replayed="all")),
    Arrow(_DONE_F, _R, "replay", Bench.replay),
    Arrow(_F, _R, "replay", Bench.replay),
]  # fmt: skip


@pytest.mark.parametrize("arrow", ARROWS, ids=str)
def test_it_goes_where_the_arrow_leads(arrow: Arrow) -> None:
    bench = bench_in(arrow.source)
    bench.wait(seconds=1)
    arrow.event(bench)
    job = check_invariants(bench.id)
    assert (job.status, job.status_reason) == (arrow.target.value, arrow.reason)
    assert bool(job.finished_at) is job.state.is_terminal
    if job.status_reason:
        assert job.status_detail  # a sentence for people


def test_it_pauses_when_too_many_rows_fail() -> None:
    bench = Bench(40, tolerated_failure_rate=0.3)
    bench.claim()
    bench.answer(_REFUSAL, count=7)
    bench.answer(count=13)
    assert bench.job.state is _P
    assert bench.job.status_reason == "failure_rate"
    assert bench.job.status_detail.startswith(
        "Of the 20 rows settled, 7 failed; 30% are tolerated."
    )
    # Seen and resumed over, the count begins anew.
    bench.resume()
    bench.answer(count=19)
    assert bench.job.state is _R
    bench.answer()
    assert check_invariants(bench.id).state is _DONE_F


@pytest.mark.parametrize("what", ["resumed", "replayed"])
def test_a_pause_says_what_it_was_judged_by(what: str) -> None:
    bench = Bench(81, tolerated_failure_rate=0.3)
    bench.claim()
    bench.answer(count=60)
    if what == "resumed":
        bench.store.pause(bench.id, StatusReason.BUDGET, "Nothing is left.")
        bench.resume()
    else:
        Job.objects.filter(pk=bench.id).update(tolerated_failure_rate=1.0)
        bench.answer(_REFUSAL, count=21)
        Job.objects.filter(pk=bench.id).update(tolerated_failure_rate=0.3)
        bench.replay()
        bench.apply_replays()
        bench.claim()
    bench.answer(count=12)
    bench.answer(_REFUSAL, count=8)
    job = check_invariants(bench.id)
    assert (job.state, job.status_reason, job.failed) == (_P, "failure_rate", 8)
    since = rf"since the job was {what} on \d{{4}}-\d\d-\d\d at \d\d:\d\d UTC"
    said = rf"Of the 20 rows settled {since}, 8 failed; 30% are tolerated\."
    assert re.match(said, job.status_detail)


def test_it_pauses_when_the_latest_rows_fail_though_most_went_well() -> None:
    bench = Bench(60, tolerated_failure_rate=0.3)
    # As after a million rows that went well: what counts as seen says nothing of the latest.
    Job.objects.filter(pk=bench.id).update(watch={"recent": [[20, 0, 20]] * 10})
    bench.claim()
    bench.answer(count=20)
    assert bench.job.state is _R
    Job.objects.filter(pk=bench.id).update(watch={"recent": [[20, 0, 20]] * 3 + [[0, 20, 20]] * 6})
    bench.answer(count=10)
    assert bench.job.state is _R  # 120 of the latest 200
    bench.answer(_REFUSAL, count=10)
    assert (bench.job.state, bench.job.status_reason) == (_P, "failure_rate")
    assert "Of the latest" in bench.job.status_detail
    # Seen and resumed over, the latest rows count anew.
    bench.resume()
    bench.answer(_REFUSAL, count=10)
    assert bench.job.state is _R


def test_it_pauses_when_money_goes_too_fast() -> None:
    each = 10 * INPUT_PRICE + 5 * OUTPUT_PRICE
    bench = Bench(40, max_cost_per_minute=10 * each)
    bench.claim()
    for _ in range(3):  # as much as is allowed, in each minute
        bench.answer(count=10)
        assert bench.job.state is _R
        bench.wait(seconds=66)
    bench.answer(count=7)
    bench.wait(seconds=50)
    bench.answer(FailureClass.TIMEOUT)  # in doubt, it may have cost more than a right one
    job = check_invariants(bench.id)
    assert (job.state, job.status_reason) == (_P, "runaway")
    assert "within a minute" in job.status_detail
    bench.resume()
    bench.answer()
    assert bench.job.state is _R


def test_it_pauses_while_the_provider_is_down_and_goes_on_by_itself() -> None:
    bench = Bench(20)
    bench.claim(1)
    bench.answer()
    while bench.job.state is _R:
        bench.wait(seconds=20)
        bench.claim()
        bench.answer(random.Random(bench.job.attempts).choice(_TROUBLE), count=20)
        assert bench.job.attempts < 300
    job = check_invariants(bench.id)
    assert (job.state, job.status_reason) == (_P, "provider_down")
    assert "every 60 s" in job.status_detail
    # Within the first minute a row may have used up an attempt; none is lost to it.
    assert (job.failed, job.pending) == (0, 19)
    assert max(Record.objects.filter(job_id=bench.id).values_list("tries", flat=True)) <= 1

    # It asks with one call at a time, and pauses again while there is no answer.
    for _ in range(3):
        assert bench.claim() == []
        sweep(bench.store)
        assert bench.job.state is _P  # not yet
        bench.wait(minutes=1)
        sweep(bench.store)
        assert bench.job.state is _R
        assert len(bench.claim()) == 1
        assert bench.claim() == []
        bench.answer(FailureClass.CONNECTION)
        assert (bench.job.state, bench.job.status_reason) == (_P, "provider_down")
    assert Notice.objects.filter(kind="job.paused").count() == 1  # one outage
    bench.wait(minutes=1)
    sweep(bench.store)
    bench.claim()
    bench.answer()
    assert (bench.job.state, bench.job.status_reason, bench.job.status_detail) == (_R, "", "")
    bench.wait(minutes=2)
    bench.claim()
    bench.answer(count=18)
    assert check_invariants(bench.id).state is _DONE


def test_a_cancelled_job_that_was_replayed_ends_cancelled_again() -> None:
    """Some of its rows were never sent: it must not look complete. Also when it ends in a pause."""
    for held_by_a_pause in (False, True):
        bench = bench_in(_CD)
        bench.replay()
        bench.apply_replays()
        bench.claim()
        if held_by_a_pause:
            bench.pause()
        bench.answer()
        job = check_invariants(bench.id)
        assert job.state is _CD
        assert (job.succeeded, job.cancelled) == (1, 1)


def test_a_cancelled_replay_leaves_the_job_as_its_rows_are() -> None:
    """Each row keeps what it had: nothing was left unsent."""
    for into, target in ((completed, _DONE), (completed_with_failures, _DONE_F)):
        bench = Bench()
        into(bench)
        bench.replay(replayed="succeeded")
        bench.apply_replays()
        bench.cancel()
        bench.cancel_rest()
        job = check_invariants(bench.id)
        assert (job.state, job.cancelled) == (target, 0)
        assert bench.record(2).message == "The replay was cancelled."


def test_it_is_drawn_as_it_is() -> None:
    """The document's table of the job's arrows names these and no others."""
    text = DOCUMENT.read_text()
    table = text.split("## Job", 1)[1].split("\n## ", 1)[0]
    drawn = set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", table, re.MULTILINE))
    tried = {(arrow.source.value, arrow.target.value) for arrow in ARROWS}
    # Some have a test of their own above: the replayed job that was cancelled, before or again.
    tried |= {("running", "cancelled"), ("paused", "cancelled")}
    tried |= {("cancelling", "completed"), ("cancelling", "completed_with_failures")}
    assert drawn == tried
    diagram = set(re.findall(r"^    (\w+) --> (\w+)", table, re.MULTILINE))
    assert diagram == drawn


# --- What people may do -----------------------------------------------------------------------
PEOPLE = {
    "pause": (Bench.pause, _P),
    "resume": (Bench.resume, _R),
    "cancel": (Bench.cancel, _CG),
    "replay": (Bench.replay, _R),
}


@pytest.mark.parametrize("action", PEOPLE)
@pytest.mark.parametrize("status", list(JobStatus))
def test_a_person_can_do_what_the_status_offers_and_nothing_else(
    status: JobStatus, action: str
) -> None:
    bench = bench_in(status)
    act, target = PEOPLE[action]
    before = Job.objects.filter(pk=bench.id).values().get()
    offered = action in status.actions
    # Doing again what is done already is no error, and changes nothing.
    again = status is target or (action == "cancel" and status is _CD)
    nothing_failed = action == "replay" and not before["failed"]
    if (offered and not nothing_failed) or (again and action != "replay"):
        act(bench)
        if again:
            assert Job.objects.filter(pk=bench.id).values().get() == before
        elif not (action == "replay" and status is _P):
            assert bench.job.state is target
    else:
        with pytest.raises(Conflict), transaction.atomic():
            act(bench)
        assert Job.objects.filter(pk=bench.id).values().get() == before
    check_invariants(bench.id)


def test_a_replay_of_a_paused_job_waits_for_its_resumption() -> None:
    bench = Bench()
    bench.claim()
    bench.answer(_REFUSAL)
    bench.pause()
    bench.replay()
    bench.apply_replays()
    assert bench.job.state is _P
    assert bench.record().status == RecordStatus.PENDING
    assert bench.claim() == []
    bench.resume()
    assert [record.n for record in bench.claim()] == [1]


def test_a_cancel_comes_before_a_replay_that_was_not_applied_yet() -> None:
    bench = Bench()
    bench.claim()
    bench.answer(_REFUSAL)
    bench.replay()
    bench.cancel()
    bench.apply_replays()
    bench.answer()
    job = check_invariants(bench.id)
    assert (job.state, job.failed, job.succeeded) == (_CD, 1, 1)


def test_a_replay_of_some_failures_is_not_stopped_by_the_others() -> None:
    """Who replays a job that ended has seen how many rows failed."""
    bench = Bench(30, tolerated_failure_rate=0.1)
    bench.claim()
    bench.answer(_REFUSAL, count=30)  # in one batch: the job ends before the share is looked at
    assert bench.job.state is _DONE_F
    bench.replay(1, 2)
    bench.apply_replays()
    assert bench.job.state is _R
    bench.claim()
    bench.answer(count=2)
    job = check_invariants(bench.id)
    assert (job.state, job.succeeded, job.failed) == (_DONE_F, 2, 28)


def test_it_started_with_its_first_claim_also_after_a_pause() -> None:
    bench = Bench()
    bench.pause()
    bench.resume()
    assert bench.job.started_at is None
    bench.claim(1)
    assert bench.job.started_at == bench.clock.at
    bench.wait(seconds=5)
    bench.claim(1)
    assert bench.job.started_at == bench.clock.at - timedelta(seconds=5)


# --- What comes late --------------------------------------------------------------------------
@pytest.mark.parametrize("status", [_P, *ENDED], ids=str)
@pytest.mark.parametrize("late", [None, FailureClass.AUTHENTICATION, FailureClass.TIMEOUT])
def test_nothing_late_changes_it(status: JobStatus, late: FailureClass | None) -> None:
    """A worker that lost its lease answers after all; a write is repeated; messages come twice."""
    bench = Bench()
    bench.claim(1)
    lost = bench.crash()
    INTO[status](bench)
    assert bench.job.state is status
    before = check_invariants(bench.id)
    outputs = list(Record.objects.filter(job_id=bench.id).values_list("status", "output"))

    bench.wait(seconds=1)
    settlements = [bench.settlement(record, late) for record in lost]
    bench.settle(*settlements)
    bench.settle(*settlements)
    for record in lost:
        bench.store.give_back(record.lease, bench.id, [record.n], {record.n})
    cancel_chunk(bench.store.dialect, bench.id, bench.clock.at)
    bench.store.pause(bench.id, StatusReason.NO_KEY, "late")
    if status is not _P:
        expand_chunk(bench.store.dialect, bench.id)
        assert bench.claim() == []
        sweep(bench.store)
        with connection.cursor() as cursor:
            counters.close_if_done(bench.store.dialect, cursor, bench.id, bench.clock.at)

    after = check_invariants(bench.id)
    kept = ("status", "status_reason", "status_detail", "finished_at", "succeeded", "failed")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert outputs == list(Record.objects.filter(job_id=bench.id).values_list("status", "output"))
    # The answer itself is in the ledger: a cost, never a result.
    line = Attempt.objects.get(job_id=bench.id, n=1, number=1)
    assert line.outcome == ("in_doubt" if late is FailureClass.TIMEOUT else "late")
    assert after.attempts == before.attempts


# --- Records ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("failure", "status", "due", "tries"),
    [
        (None, RecordStatus.SUCCEEDED, None, 1),
        (FailureClass.REFUSAL, RecordStatus.FAILED, None, 1),
        (FailureClass.SERVER_ERROR, RecordStatus.PENDING, "retry", 1),
        (FailureClass.RATE_LIMITED, RecordStatus.PENDING, "rate_limit", 0),
        (FailureClass.AUTHENTICATION, RecordStatus.PENDING, "returned", 0),
    ],
    ids=str,
)
def test_a_record_follows_its_answer(
    failure: FailureClass | None, status: RecordStatus, due: str | None, tries: int
) -> None:
    bench = Bench()
    bench.claim()
    bench.answer(failure)
    record = bench.record()
    assert (record.status, record.tries, record.lease) == (status, tries, None)
    assert (record.failure_class is not None) is (status is RecordStatus.FAILED)
    assert list(Due.objects.filter(job_id=bench.id).values_list("reason", flat=True)) == (
        [due] if due else []
    )
    check_invariants(bench.id)


def test_a_record_fails_when_its_attempts_are_used_up() -> None:
    bench = Bench(1, max_attempts=2)
    for _ in range(2):
        bench.wait(minutes=2)
        bench.claim()
        bench.answer(FailureClass.SERVER_ERROR)
    assert bench.record().failure_class == "server_error"
    assert check_invariants(bench.id).state is _DONE_F


def test_a_record_is_rescued_twice_and_parked_at_the_third_death() -> None:
    bench = Bench(1)
    for deaths in (1, 2):
        bench.claim()
        bench.crash()
        assert (bench.record().status, bench.record().deaths) == (RecordStatus.PENDING, deaths)
        assert bench.job.state is _R
    bench.claim()
    bench.crash()
    assert bench.record().failure_class == "worker_lost"
    job = check_invariants(bench.id)
    # Each of the three calls may have been made: all are in doubt.
    assert (job.state, job.in_doubt_attempts) == (_DONE_F, 3)


def test_a_doubt_names_the_worker_and_when_it_was_last_heard_of() -> None:
    bench = Bench(2)
    lease = bench.claim(1)[0].lease
    claimed_at = bench.clock.at
    other = bench.claim(1)[0].lease
    bench.wait(seconds=3)
    heard_at = bench.clock.at
    worker = {"in_flight": 1, "detail": {}}
    assert not bench.store.heartbeat("w", tokens=[other], **worker)  # type: ignore[arg-type]
    assert lease != other
    bench.crash()
    doubts = Attempt.objects.filter(job_id=bench.id).order_by("n")
    assert list(doubts.values_list("outcome", "worker", "started_at")) == [
        ("in_doubt", "w", claimed_at),
        ("in_doubt", "w", heard_at),
    ]
    check_invariants(bench.id)


def test_a_record_given_back_unsent_leaves_no_trace() -> None:
    bench = Bench()
    bench.claim()
    bench.give_back()
    job = check_invariants(bench.id)
    assert (job.pending, job.attempts, bench.record().deaths) == (2, 0, 0)


def test_a_pending_record_is_cancelled_and_one_in_flight_ends() -> None:
    bench = Bench(3)
    bench.claim(1)
    bench.cancel()
    bench.cancel_rest()
    assert bench.job.state is _CG
    assert (bench.job.cancelled, bench.job.running) == (2, 1)
    bench.answer()
    job = check_invariants(bench.id)
    assert (job.state, job.succeeded, job.cancelled) == (_CD, 1, 2)


def test_a_replayed_record_begins_anew_and_keeps_its_attempts() -> None:
    bench = bench_in(_DONE_F)
    bench.replay()
    bench.apply_replays()
    record = bench.record()
    assert (record.status, record.tries, record.generation) == (RecordStatus.PENDING, 0, 1)
    assert record.failure_class is None
    bench.claim()
    bench.answer()
    lines = Attempt.objects.filter(job_id=bench.id, n=1).order_by("number")
    assert list(lines.values_list("purpose", "outcome", "generation")) == [
        ("first", "failed", 0),
        ("replay", "accepted", 1),
    ]
    assert check_invariants(bench.id).state is _DONE
