"""One history: jobs, workers, a cluster, a reconciler and people, moved by a seed."""

import logging
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from jobs import queue
from jobs.control.actions import job_cancel, job_pause, job_resume
from jobs.control.filters import RecordFilter
from jobs.control.replays import Overrides, replay_create
from jobs.engine import tasks
from jobs.engine.expanding import cancel_chunk, expand_chunk
from jobs.engine.reconcile import sweep_if_due
from jobs.engine.replaying import replay_chunk
from jobs.engine.slice import Slice, Tuning
from jobs.engine.store import Store
from jobs.engine.twins import SAYS_SO, look
from jobs.engine.workers import register_worker
from jobs.errors import Conflict
from jobs.models import Errand, Job, JobStatus, Lease, Membership, Role, Scan, Worker
from jobs.teams.access import Actor
from tests.engine.build import make_job
from tests.simulation.checks import Checks, Violation
from tests.simulation.faults import (
    DATABASE,
    FREEZES,
    KILLS,
    Fault,
    Killed,
    LostConnectionError,
    Plan,
    Tap,
    name_of,
    tapped,
)
from tests.simulation.provider import TIMEOUT_S, Provider
from tests.simulation.timeline import BEGINNING, Process, Timeline, VirtualLoop

SLOTS = 2  # workers of the cluster
# Peace must bring every job to its end within this.
CALM_S = 400.0
STEPS_AT_MOST = 60_000


class SimulatedStore(Store):
    def disconnect(self) -> None:
        """There is one connection, and it is everybody's."""


class World:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.timeline = Timeline()
        self.history: list[str] = []
        self.reached: Counter[str] = Counter()
        self.disturbed = False  # a worker died, slept or waited for the database
        self.stopped = False  # one was told to stop
        self.calm_since: float | None = None
        self.chaos_s = self.rng.uniform(8, 25)
        self.plan = Plan(seed, self.rng)
        self.store = SimulatedStore(self.timeline)
        self.actors: dict[int, Actor] = {}
        self.jobs: list[int] = []
        self.checks = Checks(self)
        self.provider = Provider(
            self.rng, self.plan.provider, self.reached, self.jobs, self.checks.call_arrived
        )
        self.workers: list[SimulatedWorker] = []
        self.started = 0
        self.cluster = Process(self.timeline, "cluster")
        self.tuning = Tuning(
            tick=self.rng.choice((0.5, 1.0)), life=self.rng.choice((6.0, 30.0, 240.0)),
            grace=self.rng.choice((1.0, 20.0)), flush_at=self.rng.choice((1, 3, 256)),
            claim_at_most=self.rng.choice((2, 5, 128)), idle=2.0,
            shortest_wait=self.rng.choice((0.5, 30.0)), learned_after=3,
            cancelled_wait=self.rng.choice((1.0, 30.0)),
        )  # fmt: skip

    # --- the whole --------------------------------------------------------------------------
    def run(self) -> None:
        """Raises Violation where something does not hold."""
        listener = _Listener()
        logger = logging.getLogger("jobs")
        kept, logger.propagate = logger.propagate, False
        logger.addHandler(listener)
        try:
            self._set_up()
            for every, act in ((0.5, self._deliver), (3.0, self._pulse), (1.0, self._people)):
                self.cluster.later(every * self.rng.random(), partial(self._repeat, every, act))
            self._live(listener)
            self.checks.after_step()
            self.checks.at_the_end()
        except Violation as violation:
            raise Violation(f"seed {self.seed}: {violation}\n{self.story()}") from violation
        finally:
            logger.removeHandler(listener)
            logger.propagate = kept
            for worker in self.workers:
                worker.process.dead = True
                worker.loop.bury()

    def story(self, last: int = 60) -> str:
        return "\n".join(self.history[-last:])

    def _live(self, listener: "_Listener") -> None:
        for _ in range(STEPS_AT_MOST):
            self.timeline.step()
            faults = listener.faults + [f for worker in self.workers for f in worker.loop.faults]
            if faults:
                raise Violation(faults[0])
            if self.calm_since is None:
                if self.timeline.at > self.chaos_s:
                    self.calm_since = self.timeline.at
                    self.plan.end()
                    self.note("world", "peace")
            elif self._over():
                return
            elif self.calm_for() > CALM_S:
                break
        states = [str(job.status) for job in Job.objects.filter(pk__in=self.jobs)]
        raise Violation(f"not over after {self.calm_for():.0f} s of peace: {', '.join(states)}")

    def calm_for(self) -> float:
        return 0.0 if self.calm_since is None else self.timeline.at - self.calm_since

    def _over(self) -> bool:
        """Also of a lease that a killed worker had emptied: it runs out, or is swept away."""
        return (
            not self.workers
            and all(self.checks.status[job_id].is_terminal for job_id in self.jobs)
            and not Lease.objects.exists()
        )

    def note(self, who: str, what: str) -> None:
        self.history.append(f"{self.timeline.at:8.3f} {who}: {what}")

    def _set_up(self) -> None:
        Worker.objects.create(
            id="cluster", kind="cluster", host="h", pid=1, version="0", detail={"workers": SLOTS},
            started_at=self.timeline.now(), seen_at=self.timeline.now().replace(year=2200),
        )  # fmt: skip
        # Not a duty of the engine: it prunes files.
        Errand.objects.create(name="prune", done_at=self.timeline.now())
        self._launch()
        for _ in range(self.rng.choice((0, 1, 2))):
            self.cluster.later(self.rng.uniform(0, self.chaos_s), self._launch)

    def _launch(self) -> None:
        rng, tag = self.rng, len(self.jobs)
        alike = self.rng.choice((3, 9, 99))  # rows whose numbers differ by it ask the same
        job = make_job(
            [
                {"text": f"job {tag} row {n % alike}"}
                for n in range(1, rng.randint(4, rng.choice((20, 45))))
            ],
            limits=rng.choice(({}, {}, {"rpm": 600}, {"max_in_flight": 3})),
            parameters={"max_tokens": 200, "timeout": TIMEOUT_S},
            max_attempts=rng.choice((1, 2, 3)),
            tolerated_failure_rate=rng.choice((0.05, 1.0)),
            budget=rng.choice((None, None, 10**9, 4 * 10**9)),
        )
        user = User.objects.create(username=f"user {job.pk}")
        Membership.objects.create(user=user, team=job.team, role=Role.ADMIN)
        self.actors[job.pk] = Actor(user, job.team, Role.ADMIN, False, "session")
        self.jobs.append(job.pk)
        Job.objects.filter(pk=job.pk).update(created_at=self.timeline.now())
        self._look_for_twins(job)
        queue.ring()
        queue.enqueue("jobs.engine.tasks.expand", job.pk)
        self.checks.after_step()

    def _look_for_twins(self, job: Job) -> None:
        scan = self.rng.choice((Scan.NONE, Scan.FIRST, Scan.BESIDE))
        if scan is not Scan.NONE:
            until = self.timeline.now() + SAYS_SO
            Job.objects.filter(pk=job.pk).update(scan=scan, scan_until=until)
            queue.enqueue("jobs.engine.tasks.look_for_twins", job.pk)

    def _repeat(self, every: float, act: Callable[[], None]) -> None:
        act()
        delay = every * self.rng.uniform(0.8, 1.2)
        self.cluster.later(delay, partial(self._repeat, every, act))

    # --- calls of the store -----------------------------------------------------------------
    def perform(
        self, process: Process, call: Callable[[], Any], tell: Callable[[Any, Any], None]
    ) -> None:
        """One step of a process: the call runs, whole or broken, and its answer may get lost."""
        name = name_of(call)
        fault = self.plan.draw(name)
        if name == "disconnect" and fault in DATABASE:
            fault = None  # there is nothing it would ask of the database
        if fault is not None:
            self.note(process.name, f"{fault} {name}")
            self.reached[f"{fault} {name}"] += 1
            self.disturbed |= fault in (*KILLS, *FREEZES, Fault.HANG)
        match fault:
            case Fault.KILL_BEFORE:
                self.kill(process)
                return
            case Fault.FREEZE_BEFORE | Fault.HANG:
                # A call that hangs and a process that sleeps differ in what else goes on there.
                seconds = self.rng.choice((1.0, 10.0, 25.0, 60.0))
                if fault is Fault.FREEZE_BEFORE:
                    process.frozen_until = self.timeline.at + seconds
                self.disturbed = True
                process.later(seconds, partial(self._do, process, name, call, tell, None))
                return
        self._do(process, name, call, tell, fault)

    def _do(
        self,
        process: Process,
        name: str,
        call: Callable[[], Any],
        tell: Callable[[Any, Any], None],
        fault: Fault | None,
    ) -> None:
        breaks = {Fault.FAIL_BEFORE: LostConnectionError, Fault.KILL_DURING: Killed}
        tap = Tap()
        if fault in breaks:
            tap = Tap(self.rng.randrange(12), breaks[fault])  # type: ignore[index]
        answer: Any = None
        error: Exception | None = None
        try:
            with tapped(tap):
                answer = call()
        except Killed:
            self.reached[f"killed within {name}"] += 1
        except Exception as raised:
            error = raised
            self.note(process.name, f"{name}: {raised!r}")
        if tap.broke:
            self.reached[f"broke {name}"] += 1
        if tap.wrote:
            self.note(process.name, name)
            self.checks.after_step()
        if fault in (Fault.KILL_DURING, Fault.KILL_AFTER):
            self.kill(process)
            return
        if fault is Fault.FREEZE_AFTER:
            process.frozen_until = self.timeline.at + self.rng.choice((5.0, 25.0, 60.0))
        if fault is Fault.FAIL_AFTER and error is None:
            error = LostConnectionError("its answer was lost")
        process.later(0.001, partial(tell, answer, error))

    def kill(self, process: Process) -> None:
        """As kill -9 does. A cluster goes on as another process, a worker's place is taken soon."""
        for worker in self.workers:
            if worker.process is process:
                process.dead = True
                worker.loop.bury()
                self.workers.remove(worker)
                if self.rng.random() < 0.5:
                    self.cluster.later(0.5, queue.ring)
                return

    # --- the cluster ------------------------------------------------------------------------
    def _deliver(self) -> None:
        """Doorbells reach workers: late, twice or never, as the plan has it."""
        rng, plan = self.rng, self.plan
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM django_q_ormq LIMIT 1")
            if cursor.fetchone() is None:
                return
        for message in OrmQ.objects.order_by("pk"):
            if message.key == queue.SLICES and len(self.workers) >= SLOTS:
                continue
            fate = rng.random()
            if fate < plan.delayed:
                self.reached["doorbell delayed"] += 1
                continue
            if rng.random() < plan.doubled:
                self.reached["doorbell doubled"] += 1
            else:
                message.delete()
            if rng.random() < plan.lost:
                self.reached["doorbell lost"] += 1
                continue
            task = SignedPackage.loads(message.payload)
            if task["func"] == queue.RUN_SLICE:
                self.started += 1
                self.workers.append(SimulatedWorker(self, f"worker {self.started}"))
            elif task["func"] != "jobs.engine.tasks.check_books":  # here they always are
                self._short(task["func"].rsplit(".", 1)[1], task["args"][0])

    def _short(self, name: str, key: int) -> None:
        """A short task, in a process of its own, chunk by chunk."""
        process = Process(self.timeline, name)
        dialect, now = self.store.dialect, self.timeline.now
        chunk: Callable[[], Any] = {
            "expand": partial(expand_chunk, dialect, key),
            "cancel": partial(_at, now, cancel_chunk, dialect, key),
            "apply_replay": partial(_at, now, replay_chunk, dialect, key),
            "look_for_twins": partial(look, self.store, key),
        }[name]

        def told(more: Any, error: Any) -> None:
            if error is None and more:
                self.perform(process, chunk, told)
            elif error is None and name in ("apply_replay", "look_for_twins"):
                queue.ring()

        process.later(self.rng.random(), partial(self.perform, process, chunk, told))

    def _pulse(self) -> None:
        process = Process(self.timeline, "pulse")
        self.perform(process, partial(sweep_if_due, self.store), lambda answer, error: None)

    # --- people -----------------------------------------------------------------------------
    def _people(self) -> None:
        if self.rng.random() < self.plan.stops and self.workers:
            self.reached["told to stop"] += 1
            self.rng.choice(self.workers).told = True
            self.stopped = True
        for job_id in self.jobs:
            if self.calm_since is not None:
                if self.checks.status[job_id] is JobStatus.PAUSED:
                    self._mend(Job.objects.get(pk=job_id))
            elif self.plan.people and self.rng.random() < 0.3:
                self._meddle(Job.objects.get(pk=job_id))

    def _mend(self, job: Job) -> None:
        if job.status_reason == "budget":
            self._budget(job, (job.budget or 0) + 10**12)
        self._act("resume", job, job_resume)

    def _meddle(self, job: Job) -> None:
        acts = ["pause", "resume", "resume", "replay", "replay succeeded", "budget", "twice"]
        if self.rng.random() < 0.15:
            acts.append("cancel")
        match self.rng.choice(acts):
            case "pause":
                self._act("pause", job, job_pause)
            case "resume":
                self._act("resume", job, job_resume)
            case "cancel":
                self._act("cancel", job, job_cancel)
            case "twice":
                for act in (job_pause, job_pause, job_resume, job_resume):
                    self._act("twice", job, act)
            case "budget":
                committed = job.cost + job.in_doubt_cost + job.reserved
                self._budget(job, max(1, int(committed * self.rng.uniform(0.3, 1.5))))
            case "replay":
                self._act("replay", job, partial(self._replay, RecordFilter()))
            case "replay succeeded":
                rows = tuple(n for n in range(1, job.total + 1) if self.rng.random() < 0.5)
                replayed = self.rng.choice(("succeeded", "all"))
                chosen = RecordFilter(rows=self.rng.choice(((), rows)), replayed=replayed)
                self._act("replay succeeded", job, partial(self._replay, chosen))

    def _act(self, name: str, job: Job, act: Callable[..., Any]) -> None:
        try:
            act(actor=self.actors[job.pk], job=job)
        except Conflict:
            return
        # Stamped by the machine's own clock.
        past = Job.objects.filter(pk=job.pk, status_at__lt=BEGINNING)
        past.update(status_at=self.timeline.now())
        self.note("person", f"{name} job {self.jobs.index(job.pk) + 1}")
        self.reached[f"person: {name}"] += 1
        self.checks.after_step(replayed=name.startswith("replay"))

    @staticmethod
    def _replay(chosen: RecordFilter, actor: Actor, job: Job) -> None:
        replay_create(actor=actor, job=job, key="", chosen=chosen, overrides=Overrides())

    def _budget(self, job: Job, budget: int) -> None:
        fresh = Job.objects.get(pk=job.pk)
        committed = fresh.cost + fresh.in_doubt_cost + fresh.reserved
        if fresh.budget is not None and fresh.state.is_terminal is False:
            self.checks.exposed[job.pk] = committed
            self.reached["budget lowered" if budget < committed else "budget changed"] += 1
            Job.objects.filter(pk=job.pk).update(budget=budget)
            self.note(
                "person", f"budget of job {self.jobs.index(job.pk) + 1} is {budget} of {committed}"
            )


class SimulatedWorker:
    """A worker process with one slice."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.told = False
        self.process = Process(world.timeline, name)
        self.loop = VirtualLoop(self.process, self._blocking)
        self.store = SimulatedStore(world.timeline)
        self.id = register_worker("slice", self.store)
        slice_ = Slice(
            worker=self.id,
            store=self.store,
            transport=world.provider,
            rng=random.Random(world.rng.random()),
            tuning=world.tuning,
            told_to_stop=lambda: self.told,
            on_beat=partial(tasks.beat, self.store),
            on_leave=partial(tasks.leave, self.store),
        )
        world.note(name, "starts")
        self.task = self.loop.create_task(slice_.run())
        self.task.add_done_callback(self._ended)
        self.process.later(0.0, self.loop.drain)

    def _blocking(self, call: Callable[..., Any], future: Any) -> None:
        delay = self.world.rng.choice((0.002, 0.01, 0.05)) * self.world.rng.random()
        if name_of(call) == "disconnect":
            call = self.store.disconnect
        self.process.later(delay, partial(self._perform, call, future))

    def _perform(self, call: Callable[..., Any], future: Any) -> None:
        def tell(answer: Any, error: Any) -> None:
            if not future.done():
                if error is None:
                    future.set_result(answer)
                else:
                    future.set_exception(error)
            self.loop.drain()

        self.world.perform(self.process, call, tell)

    def _ended(self, task: Any) -> None:
        if self.process.dead:
            return
        error = task.exception()
        self.world.note(self.process.name, f"left{f': {error!r}' if error else ''}")
        if error is not None:
            self.loop.faults.append(f"the slice ended by {error!r}")
            return
        self.process.later(0.0, self._sign_off)  # outside the loop, where a process does it

    def _sign_off(self) -> None:
        self.store.sign_off(self.id)
        self.world.workers.remove(self)


def _at(now: Callable[[], Any], chunk: Callable[..., Any], *args: Any) -> Any:
    return chunk(*args, now())


class _Listener(logging.Handler):
    """Errors that the engine logs and survives are errors all the same, unless we made them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, LostConnectionError):
            self.faults.append(f"{record.getMessage()}: {error!r}")
