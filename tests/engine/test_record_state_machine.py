"""Any order of claims, answers, crashes, late answers, pauses, cancels and replays keeps the books."""

import contextlib
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.control.actions import job_cancel, job_pause, job_resume
from jobs.control.filters import RecordFilter
from jobs.control.replays import Overrides, replay_create
from jobs.engine import claiming, reclaiming, settling
from jobs.engine.dialect import dialect_of
from jobs.engine.expanding import cancel_chunk, expand_chunk
from jobs.engine.plan import Plan, make_plan
from jobs.engine.records import Claimed
from jobs.engine.replaying import replay_chunk
from jobs.errors import Conflict
from jobs.failures import FailureClass
from jobs.models import Job, Membership, Record, Replay, Role, Team
from jobs.providers.types import HttpRequest, HttpResponse, Outcome, Usage
from jobs.teams.access import Actor
from tests.engine.build import check_invariants, make_job

pytestmark = pytest.mark.django_db

STEPS = (
    "claim", "claim", "claim", "succeed", "succeed", "fail", "retry", "wait", "doubt", "crash",
    "late", "give_back", "pause", "resume", "cancel", "cancel_chunk", "replay", "apply", "expand",
    "repeat", "authentication", "replay_succeeded", "apply",
)  # fmt: skip
_REQUEST = HttpRequest("POST", "http://x", {}, b"{}")


class World:
    """One job, some simulated workers, and a clock that only moves forward."""

    def __init__(self, seed: int, team: Team | None = None, budget: int | None = 10**11) -> None:
        self.rng = random.Random(seed)
        self.now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
        self.dialect = dialect_of(connection)
        self.job = make_job(6, max_attempts=2, tolerated_failure_rate=1.0, budget=budget, team=team)
        self.held: list[Claimed] = []  # answers may still come
        self.lost: list[Claimed] = []  # their lease was taken away
        self.plans: dict[tuple[int, int | None], Plan] = {}
        self.written: list[settling.Settlement] = []
        self.answers = 0
        user = User.objects.create(username=f"u{seed} {self.job.pk}")
        Membership.objects.create(user=user, team=self.job.team, role=Role.ADMIN)
        self.actor = Actor(user, self.job.team, Role.ADMIN, False, "session")

    def plan(self, record: Claimed) -> Plan:
        key = (record.job_id, record.replay_id)
        if key not in self.plans:
            self.plans[key] = make_plan(*key, now=self.now, monotonic=0.0)
        return self.plans[key]

    def step(self, name: str) -> None:
        self.now += timedelta(seconds=1)
        getattr(self, f"do_{name}")()

    def do_claim(self) -> None:
        self.now += timedelta(seconds=self.rng.choice((0, 5)))
        self.held += claiming.claim(
            self.dialect,
            job_id=self.job.pk,
            worker=self.rng.choice(("w1", "w2")),
            limit=self.rng.randint(1, 4),
            allow_suspect=not any(record.suspect for record in self.held),
            prepare=lambda record: self.plan(record).prepare(record),
            now=self.now,
            monotonic=0.0,
        )

    def answer(self, record: Claimed, outcome: Outcome, response: HttpResponse | None) -> None:
        settlement = self.plan(record).settlement_of(
            record, _REQUEST, response, outcome, started_at=self.now, waited_ms=0, took_ms=1,
            cooldown=0.0, now=self.now, rng=self.rng,
        )  # fmt: skip
        self.settle([settlement])
        self.written.append(settlement)

    def settle(self, settlements: list[settling.Settlement]) -> None:
        settling.settle(
            self.dialect,
            job_id=self.job.pk,
            worker="w1",
            settlements=settlements,
            leases_done=[],
            now=self.now,
        )

    def pick(self, among: list[Claimed]) -> Claimed | None:
        return among.pop(self.rng.randrange(len(among))) if among else None

    def finish(self, failure: FailureClass | None, charged: bool | None, text: str = "") -> None:
        record = self.pick(self.held)
        if record is not None:
            usage = Usage(input_tokens=10, output_tokens=5) if charged else None
            outcome = Outcome(failure=failure, text=text, usage=usage, charged=charged)
            self.answer(record, outcome, HttpResponse(200, {}, b"{}"))

    def do_succeed(self) -> None:
        self.answers += 1
        self.finish(None, True, f'{{"label": "a", "score": {self.answers}}}')

    def do_fail(self) -> None:
        self.finish(FailureClass.REFUSAL, True)

    def do_retry(self) -> None:
        self.finish(FailureClass.SERVER_ERROR, False)

    def do_wait(self) -> None:
        self.finish(FailureClass.RATE_LIMITED, False)

    def do_authentication(self) -> None:
        self.finish(FailureClass.AUTHENTICATION, False)

    def do_doubt(self) -> None:
        self.finish(FailureClass.TIMEOUT, None)

    def do_crash(self) -> None:
        """All workers fall silent for longer than their leases."""
        self.now += claiming.LEASE + timedelta(seconds=1)
        self.lost += self.held
        self.held = []
        reclaiming.reclaim_expired(self.dialect, self.now)

    def do_late(self) -> None:
        record = self.pick(self.lost)
        if record is not None:
            outcome = Outcome(
                text='{"label": "late", "score": 2}', charged=True,
                usage=Usage(input_tokens=10, output_tokens=7),
            )  # fmt: skip
            self.answer(record, outcome, HttpResponse(200, {}, b"{}"))

    def do_repeat(self) -> None:
        """A commit whose answer was lost: the same write once more."""
        if self.written:
            self.settle([self.rng.choice(self.written)])

    def do_give_back(self) -> None:
        record = self.pick(self.held)
        if record is not None:
            sent = {record.n} if self.rng.random() < 0.5 else set()
            reclaiming.give_back(
                self.dialect, record.lease, record.job_id, [record.n], sent, self.now
            )

    def act(self, action: object) -> None:
        # Not legal now, said in words: the state must not have changed.
        with contextlib.suppress(Conflict):
            action(actor=self.actor, job=self.job)  # type: ignore[operator]

    def do_pause(self) -> None:
        self.act(job_pause)

    def do_resume(self) -> None:
        self.act(job_resume)

    def do_cancel(self) -> None:
        self.act(job_cancel)

    def do_cancel_chunk(self) -> None:
        cancel_chunk(self.dialect, self.job.pk, self.now)

    def do_expand(self) -> None:
        expand_chunk(self.dialect, self.job.pk)

    def do_replay(self, chosen: RecordFilter = RecordFilter()) -> None:  # noqa: B008  it is frozen
        with contextlib.suppress(Conflict):
            replay_create(
                actor=self.actor, job=self.job, key="", chosen=chosen, overrides=Overrides()
            )

    def do_replay_succeeded(self) -> None:
        rows = tuple(n for n in range(1, 7) if self.rng.random() < 0.5)
        self.do_replay(RecordFilter(rows=rows, replayed=self.rng.choice(("succeeded", "all"))))

    def results(self) -> dict[int, tuple[object, ...]]:
        """By n: what a download has of each row with a result, and how often it was replayed."""
        found = Record.objects.filter(job_id=self.job.pk, output__isnull=False)
        return {
            one.n: (one.output, one.model, one.finished_at, one.result_replay_id, one.generation)
            for one in found
        }

    def do_apply(self) -> None:
        for replay in Replay.objects.filter(job=self.job):
            replay_chunk(self.dialect, replay.pk, self.now)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 10**6), steps=st.lists(st.sampled_from(STEPS), min_size=5, max_size=40))
def test_it_keeps_its_books_in_any_order_of_events(db: None, seed: int, steps: list[str]) -> None:
    with transaction.atomic():
        world = World(seed)
        before, results = Job.objects.get(pk=world.job.pk).state, world.results()
        for step in steps:
            world.step(step)
            job = check_invariants(world.job.pk)
            if before.is_terminal and not step.startswith("replay"):
                # Ended jobs change by a replay alone, whatever comes late.
                assert job.state is before
            before, former, results = job.state, results, world.results()
            # A result once accepted is there for good; in its place comes a replay's alone, whole.
            assert former.keys() <= results.keys()
            changed = {n for n in former if former[n][:4] != results[n][:4]}
            assert len(changed) <= (step == "succeed")
            assert all(results[n][3] is not None and results[n][4] for n in changed)
        transaction.set_rollback(True)
