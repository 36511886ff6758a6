"""A slice: one asyncio session in a worker process that keeps calls in flight for all runnable jobs.

Two loops share one thread for the database: one claims ahead of what is sent, one settles what came
back. Two share another, so that no lock on a job and no long write holds up a heartbeat: one renews the
leases, one ticks (permits, pauses, the order to stop). A fifth, which asks nothing of the database,
cuts off calls that are waited for no longer. Sending itself waits for nothing but permits: there is no
wave to end, and no slot is held by a record that waits.

Clock, transport, store and randomness are parameters.
"""

import asyncio
import logging
import random
import secrets
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError

from jobs.engine.answers import latest_answers
from jobs.engine.claiming import LEASE
from jobs.engine.database import Database
from jobs.engine.fairness import next_job
from jobs.engine.flights import Flight, Flights
from jobs.engine.held import HeldJobs
from jobs.engine.lane import FIRST_CLAIM, Lane
from jobs.engine.leases import Leases
from jobs.engine.outbox import Outbox
from jobs.engine.patience import CANCELLED_WAIT_S, ENOUGH, SHORTEST_S
from jobs.engine.plan import LONGEST_CALL_S, STALE_S, CannotRun, Plan, make_plan
from jobs.engine.records import Claimed, JobHead
from jobs.engine.store import Store
from jobs.failures import POLICIES, Action
from jobs.models import JobStatus
from jobs.providers.dialogue import ask
from jobs.providers.transport import Transport
from jobs.troubles import Trouble, trouble_of

logger = logging.getLogger(__name__)

# After a claim that failed its job rests, and others have their turn.
CLAIM_RESTS_S = {
    Trouble.AWAY: 0.0, Trouble.CONFLICT: 0.0, Trouble.LOCKED: 0.5, Trouble.FAULT: 30.0,
}  # fmt: skip
# Without a heartbeat for so long nothing is sent: the leases may be lost (a stopped process, a
# database that hangs), and a call without a lease would be paid for twice.
MAY_SEND_FOR_S = LEASE.total_seconds() * 0.75


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times in seconds."""

    flush_every: float = 0.1  # a result waits at most so long for company
    flush_at: int = 256
    claim_at_most: int = 256
    tick: float = 0.5
    heartbeat: float = LEASE.total_seconds() / 7
    idle: float = 4.0  # with no job to work for, the slice leaves after so long
    life: float = 1200.0
    grace: float = 20.0  # for calls in flight, once told to stop
    buffer_at_most: int = 4_000  # unsettled results; above it nothing is claimed or sent
    watch: float = 0.2  # a call ends at most so long after its deadline
    shortest_wait: float = SHORTEST_S  # for an answer, and
    learned_after: int = ENOUGH  # answers: see jobs.engine.patience
    cancelled_wait: float = CANCELLED_WAIT_S


class Slice:
    """See the module. `told_to_stop` is asked often and must be cheap; `on_beat` and `on_leave` run
    in the database thread, the latter before the calls in flight have ended."""

    def __init__(
        self,
        *,
        worker: str,
        store: Store,
        transport: Transport,
        rng: random.Random,
        tuning: Tuning,
        told_to_stop: Callable[[], bool],
        on_beat: Callable[[], None],
        on_leave: Callable[[], None],
    ) -> None:
        self.worker = worker
        self.store = store
        self.clock = store.clock
        self.transport = transport
        self.rng = rng
        self.tuning = tuning
        self.told_to_stop = told_to_stop
        self.on_beat = on_beat
        self.on_leave = on_leave
        self.stopping = False
        self.beaten = 0.0  # monotonic: up to here the leases are known to be renewed
        self._told: set[int] = set()  # jobs of whose calls a heartbeat has told
        self.jobs: list[JobHead] = []
        self.lanes: dict[tuple[int, str], Lane] = {}
        self.plans: dict[tuple[int, int | None], Plan] = {}
        self.resting: dict[int, float] = {}  # job -> monotonic time until which it had nothing
        self.calls = Flights(
            shortest=tuning.shortest_wait,
            enough=tuning.learned_after,
            cancelled_wait=tuning.cancelled_wait,
        )
        self.leases = Leases()
        self.database = Database(store.disconnect, rng, at_most=LEASE.total_seconds())
        self.beats = Database(store.disconnect, rng, at_most=LEASE.total_seconds() / 4)
        self.held_jobs = HeldJobs(store, self.database)
        self.outbox = Outbox(
            store,
            self.database,
            self.leases,
            self.held_jobs,
            worker,
            flush_every=tuning.flush_every,
            flush_at=tuning.flush_at,
            at_most=tuning.buffer_at_most,
            on_stopped=self._return_unsent_of,
            on_flushed=self._send,
        )
        self._claim = asyncio.Event()
        # Each held by its loop while that is in the middle of something.
        self._ticking, self._claiming = asyncio.Lock(), asyncio.Lock()
        self._beating = asyncio.Lock()
        self._errands: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.Task[None] | None = None
        self._fault: BaseException | None = None  # of an errand
        self._alarm_at = 0.0  # monotonic: the earliest wake-up that is set

    # --- the session ------------------------------------------------------------------------
    async def run(self) -> None:
        """Work until there is none, the slice's life is over, or it is told to stop."""
        came = born = last_work = self.clock.monotonic()
        self.beaten = born - self.tuning.heartbeat
        await self.beats.patiently(self.store.sync_clock)
        loops = [
            asyncio.create_task(loop())
            for loop in (
                *(self._beat_loop, self._tick_loop, self._claim_loop, self.outbox.loop),
                self._watch_loop,
            )
        ]
        try:
            while not self.stopping:
                await asyncio.sleep(0.05)
                for loop in loops:
                    if loop.done():
                        loop.result()  # a loop ends only by a fault of ours: raise it
                if self._fault is not None:
                    raise self._fault
                now = self.clock.monotonic()
                waiting = any(lane.ready for lane in self.lanes.values())
                if self.jobs or self.calls or len(self.outbox) or waiting:
                    last_work = now
                self.stopping = (
                    self.told_to_stop()
                    or now - born > self.tuning.life
                    or now - last_work > self.tuning.idle
                )
                if self.stopping:
                    await self.database.patiently(self.on_leave)
                    # Answers under way are worth more than a timely end: work on, leave later. But
                    # not for ever, or the queue ends this task with calls in flight.
                    overdue = now - came > 2 * self.tuning.life
                    patience = LONGEST_CALL_S if overdue else self.tuning.grace
                    if not self.told_to_stop() and not await self._emptied(patience):
                        self.stopping, born = False, self.clock.monotonic()
        finally:
            # Also after a fault of ours: what was answered is written, what was not sent goes back.
            self.stopping = True
            await self._drain()
            async with self._beating, self._ticking, self._claiming, self.outbox.writing:
                for loop in loops:
                    loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self.database.close()
            await self.beats.close()

    async def _emptied(self, patience: float) -> bool:
        """Whether the calls in flight ended within so many seconds, with no new ones sent."""
        await self._return_all_unsent()
        until = self.clock.monotonic() + patience
        while self.calls and not self.told_to_stop() and self.clock.monotonic() < until:
            await asyncio.wait(self.calls.tasks, timeout=0.2)
        return not self.calls

    async def _drain(self) -> None:
        """Give back what was not sent, let calls end within the grace time, settle everything."""
        await self._return_all_unsent()
        if self.calls:
            await asyncio.wait(self.calls.tasks, timeout=self.tuning.grace)
        # One that has just ended is settled, not doubted.
        abandoned = self.calls.unfinished()
        for call in self.calls.tasks:
            call.cancel()
        await asyncio.gather(*self.calls.tasks, return_exceptions=True)
        for record in abandoned:
            self._errand(self._give_back_doubtful(record))
        while self._errands:
            # `gather` would come back at once from tasks that have ended, and this would go round
            # before they were taken out of the set.
            await asyncio.wait(list(self._errands))
        await self.outbox.empty()

    def _errand(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, errand: asyncio.Task[None]) -> None:
        self._errands.discard(errand)
        if not errand.cancelled() and errand.exception() is not None:
            self._fault = errand.exception()

    # --- heartbeats -------------------------------------------------------------------------
    async def _beat_loop(self) -> None:
        while True:
            async with self._beating:
                await self._beat()
            await asyncio.sleep(self.tuning.tick)
            due = self.beaten + self.tuning.heartbeat
            while self.clock.monotonic() < due and not self._has_news():
                await asyncio.sleep(min(self.tuning.tick, max(0.0, due - self.clock.monotonic())))

    def _has_news(self) -> bool:
        """Calls of a job of which nothing was told yet: people look at it in its first seconds."""
        return not self._told.issuperset(record.job_id for record in self.calls.records())

    async def _beat(self) -> None:
        now = self.clock.monotonic()
        await self.beats.patiently(self.store.sync_clock)
        lost = await self.beats.patiently(
            self.store.heartbeat,
            self.worker,
            in_flight=len(self.calls),
            detail=self._detail(now),
            tokens=self.leases.tokens(),
        )
        if lost:
            # This process slept past its leases: others have these records now.
            self._errand(self._give_all_back(self._withdraw(lambda record: record.lease in lost)))
        self.beaten = now
        if not self.stopping and (self._sweep is None or self._sweep.done()):
            self._sweep = self._errand(self.database.patiently(self.on_beat))
        self._send()

    # --- ticks ------------------------------------------------------------------------------
    async def _tick_loop(self) -> None:
        while True:
            async with self._ticking:
                await self._tick()
            await asyncio.sleep(self.tuning.tick)

    async def _tick(self) -> None:
        self.jobs = await self.beats.patiently(self.store.runnable_jobs)
        runnable = {job.id for job in self.jobs}
        await self._heed_stops({record.job_id for record in self._held()} - runnable)
        self.calls.forget(runnable)
        await self._refresh_permits()
        self._claim.set()
        self._send()

    async def _heed_stops(self, job_ids: set[int]) -> None:
        """Give back what waits here of jobs that were paused or cancelled; for the calls of the latter
        that are on their way, wait only so long."""
        stopped: dict[int, JobStatus] = {}
        if job_ids:
            stopped = await self.beats.patiently(self.store.stopped, list(job_ids))
            unsent = self._withdraw(lambda record: record.job_id in stopped)
            self._errand(self._give_all_back(unsent))
        cancelled = [job for job, status in stopped.items() if status is JobStatus.CANCELLING]
        self.calls.cancelled(cancelled, self.clock.monotonic())

    async def _refresh_permits(self) -> None:
        for key, lane in list(self.lanes.items()):
            if lane.idle(self.clock.monotonic()):
                del self.lanes[key]
            else:
                await self._refresh_lane(key, lane)

    async def _refresh_lane(self, key: tuple[int, str], lane: Lane) -> None:
        ask = lane.ask()
        permits, cooldown = await self.beats.patiently(
            self.store.take_permits, key, lane.limits, self.worker, ask
        )
        lane.refill(permits, ask, cooldown, self.clock.now(), self.clock.monotonic())

    async def _watch_loop(self) -> None:
        while True:
            self.calls.watch(self.clock.monotonic())
            await asyncio.sleep(self.tuning.watch)

    def _detail(self, now: float) -> dict[str, Any]:
        calls = self.calls.report(now, self.clock.now().timestamp())
        # Once for each job: of one with a call now and then, each call would be news.
        self._told &= {job.id for job in self.jobs}
        self._told.update(record.job_id for record in self.calls.records())
        return {
            "jobs": {job: told["calls"] for job, told in calls.items()},
            "calls": calls,
            "rate": self.calls.rate(now),
            "trouble": self.outbox.trouble,
            "limits": {f"{k[0]}:{k[1]}": lane.report(now) for k, lane in self.lanes.items()},
        }

    # --- claiming ---------------------------------------------------------------------------
    async def _claim_loop(self) -> None:
        while True:
            await self._claim.wait()
            self._claim.clear()
            while not self.stopping and not self.outbox.full:
                job = self._next_job()
                if job is None:
                    break
                async with self._claiming:
                    if not self.stopping:
                        await self._claim_for(job)
                self._send()

    def _next_job(self) -> JobHead | None:
        now = self.clock.monotonic()
        candidates = [
            job
            for job in self.jobs
            if self.resting.get(job.id, 0.0) <= now and self._room(job, now) > 0
        ]
        held: dict[int, int] = defaultdict(int)
        for record in self._held():
            held[record.job_id] += 1
        return next_job(candidates, held)

    def _held(self) -> list[Claimed]:
        waiting = [record for lane in self.lanes.values() for record in lane.ready]
        return waiting + list(self.calls.records())

    def _room(self, job: JobHead, now: float) -> int:
        lane = self.lanes.get((job.connection_id, job.model))
        return FIRST_CLAIM if lane is None else lane.room(now, job.team_id)

    async def _claim_for(self, job: JobHead) -> None:
        now = self.clock.monotonic()
        limit = min(self.tuning.claim_at_most, self._room(job, now))
        suspect_held = any(record.suspect for record in self._held())
        try:
            records = await self._claimed(job.id, limit, allow_suspect=not suspect_held)
        except CannotRun as fault:
            await self.database.patiently(self.store.pause, job.id, fault.reason, str(fault))
            self.resting[job.id] = now + self.tuning.tick
            return
        if len(records) < limit:
            # All that was there: ask again soon, but let other jobs have their turn.
            self.resting[job.id] = max(self.resting.get(job.id, 0), now + self.tuning.tick / 4)
        if not records:
            return
        self.leases.hold(records[0].lease, job.id, (record.n for record in records))
        for record in records:
            plan = self._plan_of(record)
            if record.fault is not None:
                self.outbox.put(plan.unrendered(record))
            else:
                record.team_id = plan.team_id
                self._lane_of(plan).ready.append(record)
        for key, lane in list(self.lanes.items()):
            if lane.permits is None or lane.permits.in_flight == 0:
                await self._refresh_lane(key, lane)

    async def _claimed(self, job_id: int, limit: int, *, allow_suspect: bool) -> list[Claimed]:
        if await self.held_jobs.still(job_id):
            self.resting[job_id] = self.clock.monotonic() + CLAIM_RESTS_S[Trouble.LOCKED]
            return []
        token = secrets.token_hex(16)
        try:
            return await self.database.once(
                self.store.claim,
                job_id,
                self.worker,
                limit,
                self._prepare,
                allow_suspect=allow_suspect,
                token=token,
            )
        except (DatabaseError, InterfaceError) as error:
            trouble = trouble_of(error)
            if trouble is Trouble.FAULT:
                logger.exception("claim failed", extra={"job": job_id})
            elif trouble is Trouble.LOCKED:
                self.held_jobs.seen(job_id)
            else:
                logger.warning("claim failed", extra={"job": job_id, "error": error})
            if trouble is Trouble.AWAY:
                # If it was committed all the same, nobody knows what it holds: asked again, the next
                # records would come, and these would wait for a lease that nobody lets go.
                await self.database.once(self.store.disconnect)
                await self.database.patiently(self.store.abandon, token, job_id)
            self.resting[job_id] = self.clock.monotonic() + CLAIM_RESTS_S[trouble]
            return []

    def _prepare(self, record: Claimed) -> None:
        """Runs in the database thread, inside the claim's transaction."""
        key = (record.job_id, record.replay_id)
        plan, now = self.plans.get(key), self.clock.monotonic()
        if plan is None or now - plan.made_at > STALE_S:
            plan = make_plan(*key, now=self.clock.now(), monotonic=now)
            if not self.calls.knows(key):
                plan.answers = latest_answers(self.store.dialect, plan)
            self.plans[key] = plan
        plan.prepare(record)

    def _plan_of(self, record: Claimed) -> Plan:
        return self.plans[(record.job_id, record.replay_id)]

    def _lane_of(self, plan: Plan) -> Lane:
        lane = self.lanes.get(plan.lane)
        if lane is None:
            lane = self.lanes[plan.lane] = Lane(plan.limits, self.clock.monotonic())
        lane.limits = plan.limits
        return lane

    async def _return_all_unsent(self) -> None:
        async with self._claiming:  # a claim under way brings records that must go back too
            await self._return_unsent(lambda record: True)

    async def _return_unsent(self, which: Callable[[Claimed], bool]) -> None:
        await self._give_all_back(self._withdraw(which))

    def _withdraw(self, which: Callable[[Claimed], bool]) -> dict[str, list[int]]:
        """Nothing of these is sent from now on; returned by lease."""
        by_lease: dict[str, list[int]] = defaultdict(list)
        for lane in self.lanes.values():
            for record in lane.withdraw(which):
                by_lease[record.lease].append(record.n)
        return by_lease

    async def _give_all_back(self, by_lease: dict[str, list[int]]) -> None:
        for token, numbers in by_lease.items():
            await self._give_back(token, numbers, sent=set())

    async def _return_unsent_of(self, job_id: int) -> None:
        await self._return_unsent(partial(_is_of, job_id))

    async def _give_back(self, token: str, numbers: list[int], sent: set[int]) -> None:
        job_id = self.leases.job_of(token)
        try:
            await self.database.patiently(self.store.give_back, token, job_id, numbers, sent)
            await self.database.patiently(
                self.store.drop_leases, self.leases.strike_off(token, numbers)
            )
        except DatabaseError:
            # A fault of ours. No longer renewed, the lease runs out.
            logger.exception("cannot give back records", extra={"job": job_id})
            self.leases.strike_off(token, numbers)

    async def _give_back_doubtful(self, record: Claimed) -> None:
        await self._give_back(record.lease, [record.n], sent={record.n})

    # --- sending ----------------------------------------------------------------------------
    def _send(self) -> None:
        """Put in flight all that permits allow."""
        if self.stopping or self.outbox.full:
            return
        now = self.clock.monotonic()
        if now - self.beaten > MAY_SEND_FOR_S:
            return
        for lane in self.lanes.values():
            while (record := lane.next_to_send(now)) is not None:
                flight = self.calls.make(record, self._plan_of(record))
                call = asyncio.create_task(self._call(lane, flight))
                self.calls.add(call, flight)
                call.add_done_callback(partial(self._called, lane))
            if lane.hungry():
                self._claim.set()
            self._send_later(lane.next_slot(), now)

    def _send_later(self, slot: float | None, now: float) -> None:
        """Wake up when the next call may leave; one alarm is enough, the earliest."""
        if slot is None or slot <= now or now < self._alarm_at <= slot:
            return
        self._alarm_at = slot
        asyncio.get_running_loop().call_later(slot - now, self._send)

    def _called(self, lane: Lane, call: asyncio.Task[None]) -> None:
        record = self.calls.remove(call)
        lane.ended()
        if not call.cancelled() and (error := call.exception()) is not None:
            # A fault of ours. The call may have been made: back to pending, its attempt in doubt.
            logger.error("call failed by a fault of ours", exc_info=error, extra=_told_of(record))
            self._errand(self._give_back_doubtful(record))
        self._send()

    async def _call(self, lane: Lane, flight: Flight) -> None:
        record, plan = flight.record, flight.plan
        started_at, sent = self.clock.now(), self.clock.monotonic()
        marked = plan.kept is not None and flight.cache.marks(sent, plan.rows_ahead)
        call = plan.call_of(record, marked=marked)
        request, response, outcome = await ask(self.transport, plan.endpoint, call, flight.cutoff)
        now = self.clock.monotonic()
        if marked:
            flight.cache.answered(outcome.usage, now)
        lane.answered(record, outcome, now)
        if outcome.usage is not None:
            flight.patience.answered(now - sent, outcome.usage.output_tokens)
        cooldown = 0.0
        action = None if outcome.failure is None else POLICIES[outcome.failure].action
        if action is Action.PAUSE:
            # Going on is pointless: nothing more of the job leaves while the pause is written.
            self.resting[record.job_id] = now + 2 * self.tuning.tick
            self._errand(self._return_unsent_of(record.job_id))
        elif action is Action.WAIT:
            cooldown = lane.throttled(record, now, outcome.hints.retry_after)
            if lane.should_tell():
                until = self.clock.now() + timedelta(seconds=cooldown)
                self._errand(self.database.patiently(self.store.cool_down, plan.lane, until))
        self.outbox.put(
            plan.settlement_of(
                record,
                request,
                response,
                outcome,
                started_at=started_at,
                waited_ms=int((sent - record.claimed_at) * 1000),
                took_ms=int((now - sent) * 1000),
                cooldown=cooldown,
                now=self.clock.now(),
                rng=self.rng,
            )
        )


def _told_of(record: Claimed) -> dict[str, int]:
    return {"job": record.job_id, "record": record.n, "attempt": record.number}


def _is_of(job_id: int, record: Claimed) -> bool:
    return record.job_id == job_id
