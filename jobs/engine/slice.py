"""A slice: one asyncio session in a worker process that keeps calls in flight for all runnable jobs.

Three loops share one thread for the database: one claims ahead of what is sent, one settles what came
back, one ticks (heartbeat, permits, pauses, the order to stop). Sending itself waits for nothing but
permits: there is no wave to end, and no slot is held by a record that waits.

Clock, transport, store and randomness are parameters.
"""

import asyncio
import logging
import random
import secrets
from collections import defaultdict
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError

from jobs.engine.claiming import LEASE
from jobs.engine.fairness import next_job
from jobs.engine.lane import FIRST_CLAIM, Lane
from jobs.engine.plan import LONGEST_CALL_S, STALE_S, CannotRun, Plan, make_plan
from jobs.engine.records import Claimed, JobHead, Settlement
from jobs.engine.store import Store
from jobs.failures import POLICIES, Action
from jobs.models import JobStatus
from jobs.providers.dialogue import ask
from jobs.providers.transport import Transport

logger = logging.getLogger(__name__)

# Without a heartbeat for so long nothing is sent: the leases may be lost (a stopped process, a
# database that hangs), and a call without a lease would be paid for twice.
MAY_SEND_FOR_S = LEASE.total_seconds() * 0.75


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times in seconds."""

    flush_every: float = 0.1  # a result waits at most so long for company
    flush_at: int = 256
    claim_at_most: int = 128
    tick: float = 0.5
    heartbeat: float = LEASE.total_seconds() / 7
    idle: float = 4.0  # with no job to work for, the slice leaves after so long
    life: float = 240.0
    grace: float = 20.0  # for calls in flight, once told to stop
    buffer_at_most: int = 4_000  # unsettled results; above it nothing is claimed or sent


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
        self.jobs: list[JobHead] = []
        self.lanes: dict[tuple[int, str], Lane] = {}
        self.plans: dict[tuple[int, int | None], Plan] = {}
        self.resting: dict[int, float] = {}  # job -> monotonic time until which it had nothing
        self.calls: dict[asyncio.Task[None], Claimed] = {}
        self.done: list[Settlement] = []
        self.leases: dict[str, tuple[int, set[int]]] = {}  # token -> job, records not settled
        self._settle = asyncio.Event()
        self._claim = asyncio.Event()
        # Each held by its loop while that is in the middle of something.
        self._ticking, self._claiming, self._settling = (asyncio.Lock() for _ in range(3))
        self._errands: set[asyncio.Task[None]] = set()
        self._alarm_at = 0.0  # monotonic: the earliest wake-up that is set
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    # --- the session ------------------------------------------------------------------------
    async def run(self) -> None:
        """Work until there is none, the slice's life is over, or it is told to stop."""
        came = born = last_work = self.clock.monotonic()
        self.beaten = born - self.tuning.heartbeat
        await self._patiently(self.store.sync_clock)
        loops = [
            asyncio.create_task(loop())
            for loop in (self._tick_loop, self._claim_loop, self._settle_loop)
        ]
        try:
            while not self.stopping:
                await asyncio.sleep(0.05)
                for loop in loops:
                    if loop.done():
                        loop.result()  # a loop ends only by a fault of ours: raise it
                now = self.clock.monotonic()
                waiting = any(lane.ready for lane in self.lanes.values())
                if self.jobs or self.calls or self.done or waiting:
                    last_work = now
                self.stopping = (
                    self.told_to_stop()
                    or now - born > self.tuning.life
                    or now - last_work > self.tuning.idle
                )
                if self.stopping:
                    await self._patiently(self.on_leave)
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
            async with self._ticking, self._claiming, self._settling:
                for loop in loops:
                    loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._db(self.store.disconnect)
            self._thread.shutdown()

    async def _emptied(self, patience: float) -> bool:
        """Whether the calls in flight ended within so many seconds, with no new ones sent."""
        await self._return_all_unsent()
        until = self.clock.monotonic() + patience
        while self.calls and not self.told_to_stop() and self.clock.monotonic() < until:
            await asyncio.wait(list(self.calls), timeout=0.2)
        return not self.calls

    async def _drain(self) -> None:
        """Give back what was not sent, let calls end within the grace time, settle everything."""
        await self._return_all_unsent()
        if self.calls:
            await asyncio.wait(list(self.calls), timeout=self.tuning.grace)
        # One that has just ended is settled, not doubted.
        abandoned = [record for call, record in self.calls.items() if not call.done()]
        for call in list(self.calls):
            call.cancel()
        await asyncio.gather(*list(self.calls), return_exceptions=True)
        for record in abandoned:
            self._errand(self._give_back_doubtful(record))
        while self._errands:
            await asyncio.gather(*list(self._errands))
        # Also what the loop took out of `done` and is writing: cancelled there, it would be lost.
        while self.done or self._settling.locked():
            await self._flush()

    async def _db[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, partial(function, *args, **kwargs)
        )

    async def _patiently[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Again and again while the database is away: what was paid for is not dropped."""
        wait = 0.2
        while True:
            try:
                return await self._db(function, *args, **kwargs)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("database: %s; again in %.1f s", error, wait)
                await self._db(self.store.disconnect)
                await asyncio.sleep(wait * self.rng.uniform(0.5, 1.5))
                wait = min(wait * 2, 5.0)

    def _errand(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    # --- ticks ------------------------------------------------------------------------------
    async def _tick_loop(self) -> None:
        while True:
            async with self._ticking:
                await self._tick()
            await asyncio.sleep(self.tuning.tick)

    async def _tick(self) -> None:
        self.jobs = await self._patiently(self.store.runnable_jobs)
        held = {record.job_id for lane in self.lanes.values() for record in lane.ready}
        await self._heed_stops(held - {job.id for job in self.jobs})
        await self._refresh_permits()
        now = self.clock.monotonic()
        if now - self.beaten >= self.tuning.heartbeat:
            await self._beat(now)
        self._claim.set()
        self._send()

    async def _beat(self, now: float) -> None:
        await self._patiently(self.store.sync_clock)
        lost = await self._patiently(
            self.store.heartbeat,
            self.worker,
            in_flight=len(self.calls),
            detail=self._detail(now),
            tokens=list(self.leases),
        )
        if lost:
            # This process slept past its leases: others have these records now.
            await self._return_unsent(lambda record: record.lease in lost)
        self.beaten = now
        await self._patiently(self.on_beat)

    async def _heed_stops(self, job_ids: set[int]) -> None:
        """Give back what waits here of jobs that were paused or cancelled."""
        if job_ids:
            stopped = await self._patiently(self.store.stopped, list(job_ids))
            await self._return_unsent(lambda record: record.job_id in stopped)

    async def _refresh_permits(self) -> None:
        for key, lane in list(self.lanes.items()):
            if lane.idle(self.clock.monotonic()):
                del self.lanes[key]
            else:
                await self._refresh_lane(key, lane)

    async def _refresh_lane(self, key: tuple[int, str], lane: Lane) -> None:
        ask = lane.ask()
        permits, cooldown = await self._patiently(
            self.store.take_permits, key, lane.limits, self.worker, ask
        )
        lane.refill(permits, ask, cooldown, self.clock.now(), self.clock.monotonic())

    def _detail(self, now: float) -> dict[str, Any]:
        jobs: dict[str, int] = defaultdict(int)
        for record in self.calls.values():
            jobs[str(record.job_id)] += 1
        return {
            "jobs": jobs,
            "limits": {f"{k[0]}:{k[1]}": lane.report(now) for k, lane in self.lanes.items()},
        }

    # --- claiming ---------------------------------------------------------------------------
    async def _claim_loop(self) -> None:
        while True:
            await self._claim.wait()
            self._claim.clear()
            while not self.stopping and len(self.done) < self.tuning.buffer_at_most:
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
        return waiting + list(self.calls.values())

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
            await self._patiently(self.store.pause, job.id, fault.reason, str(fault))
            self.resting[job.id] = now + self.tuning.tick
            return
        if len(records) < limit:
            # All that was there: ask again soon, but let other jobs have their turn.
            self.resting[job.id] = now + self.tuning.tick / 4
        if not records:
            return
        self.leases[records[0].lease] = (job.id, {record.n for record in records})
        for record in records:
            plan = self._plan_of(record)
            if record.fault is not None:
                self._finish(plan.unrendered(record))
            else:
                record.team_id = plan.team_id
                self._lane_of(plan).ready.append(record)
        for key, lane in list(self.lanes.items()):
            if lane.permits is None:
                await self._refresh_lane(key, lane)

    async def _claimed(self, job_id: int, limit: int, *, allow_suspect: bool) -> list[Claimed]:
        token = secrets.token_hex(16)
        try:
            return await self._db(
                self.store.claim,
                job_id,
                self.worker,
                limit,
                self._prepare,
                allow_suspect=allow_suspect,
                token=token,
            )
        except (DatabaseError, InterfaceError) as error:
            # If it was committed all the same, nobody knows what it holds: asked again, the next
            # records would come, and these would wait for a lease that nobody lets go.
            logger.warning("a claim failed: %s", error)
            await self._db(self.store.disconnect)
            await self._patiently(self.store.abandon, token)
            return []

    def _prepare(self, record: Claimed) -> None:
        """Runs in the database thread, inside the claim's transaction."""
        key = (record.job_id, record.replay_id)
        plan, now = self.plans.get(key), self.clock.monotonic()
        if plan is None or now - plan.made_at > STALE_S:
            plan = make_plan(*key, now=self.clock.now(), monotonic=now)
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
        by_lease: dict[str, list[int]] = defaultdict(list)
        for lane in self.lanes.values():
            for record in lane.withdraw(which):
                by_lease[record.lease].append(record.n)
        for token, numbers in by_lease.items():
            await self._give_back(token, numbers, sent=set())

    async def _give_back(self, token: str, numbers: list[int], sent: set[int]) -> None:
        job_id, _ = self.leases[token]
        await self._patiently(self.store.give_back, token, job_id, numbers, sent)
        await self._patiently(self.store.drop_leases, self._settled(token, numbers))

    async def _give_back_doubtful(self, record: Claimed) -> None:
        await self._give_back(record.lease, [record.n], sent={record.n})

    def _settled(self, token: str, numbers: list[int]) -> list[str]:
        """Strike records off a lease; the token in a list when none is left on it."""
        if token not in self.leases:
            return []
        _, left = self.leases[token]
        left.difference_update(numbers)
        if left:
            return []
        del self.leases[token]
        return [token]

    # --- sending ----------------------------------------------------------------------------
    def _send(self) -> None:
        """Put in flight all that permits allow."""
        if self.stopping or len(self.done) >= self.tuning.buffer_at_most:
            return
        now = self.clock.monotonic()
        if now - self.beaten > MAY_SEND_FOR_S:
            return
        for lane in self.lanes.values():
            while (record := lane.next_to_send(now)) is not None:
                call = asyncio.create_task(self._call(lane, record))
                self.calls[call] = record
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
        record = self.calls.pop(call)
        lane.ended()
        if not call.cancelled() and (error := call.exception()) is not None:
            # A fault of ours. The call may have been made: back to pending, its attempt in doubt.
            logger.error("record %s of job %s", record.n, record.job_id, exc_info=error)
            self._errand(self._give_back_doubtful(record))
        self._send()

    async def _call(self, lane: Lane, record: Claimed) -> None:
        plan = self._plan_of(record)
        started_at, sent = self.clock.now(), self.clock.monotonic()
        request, response, outcome = await ask(
            self.transport, plan.endpoint, plan.call_of(record), plan.timeout
        )
        now = self.clock.monotonic()
        lane.answered(record, outcome, now)
        cooldown = 0.0
        action = None if outcome.failure is None else POLICIES[outcome.failure].action
        if action is Action.PAUSE:
            # Going on is pointless: nothing more of the job leaves while the pause is written.
            self.resting[record.job_id] = now + 2 * self.tuning.tick
            self._errand(self._return_unsent(partial(_is_of, record.job_id)))
        elif action is Action.WAIT:
            cooldown = lane.throttled(record, now, outcome.hints.retry_after)
            if lane.should_tell():
                until = self.clock.now() + timedelta(seconds=cooldown)
                self._errand(self._patiently(self.store.cool_down, plan.lane, until))
        self._finish(
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

    # --- settling ---------------------------------------------------------------------------
    def _finish(self, settlement: Settlement) -> None:
        self.done.append(settlement)
        self._settle.set()

    async def _settle_loop(self) -> None:
        while True:
            await self._settle.wait()
            if len(self.done) < self.tuning.flush_at:
                await asyncio.sleep(self.tuning.flush_every)
            self._settle.clear()
            while self.done:
                await self._flush()

    async def _flush(self) -> None:
        async with self._settling:
            await self._write()
        self._send()

    async def _write(self) -> None:
        batch, self.done = self.done[: self.tuning.flush_at], self.done[self.tuning.flush_at :]
        by_job: dict[int, list[Settlement]] = defaultdict(list)
        for settlement in batch:
            by_job[settlement.job_id].append(settlement)
        for job_id, settlements in by_job.items():
            by_lease: dict[str, list[int]] = defaultdict(list)
            for settlement in settlements:
                by_lease[settlement.lease].append(settlement.n)
            # Struck off only when it is written: until then the lease is renewed.
            ended = [t for t, ns in by_lease.items() if self.leases[t][1] <= set(ns)]
            status = await self._settle_all(job_id, settlements, ended)
            emptied = [t for lease in by_lease.items() for t in self._settled(*lease)]
            rest = sorted(set(emptied) - set(ended))
            if rest:  # their other records were given back while this was written
                await self._patiently(self.store.drop_leases, rest)
            if status is None or not status.is_runnable:
                await self._return_unsent(partial(_is_of, job_id))

    async def _settle_all(
        self, job_id: int, settlements: list[Settlement], ended: list[str]
    ) -> JobStatus | None:
        """Write a batch; where the database refuses what is in it, by halves, down to the one that
        cannot be stored, which fails in words that can. The others are not lost with it."""
        written = await self._patiently(self._try_to_settle, job_id, settlements, ended)
        if not isinstance(written, DatabaseError):
            return written
        if len(settlements) > 1:
            middle = len(settlements) // 2
            await self._settle_all(job_id, settlements[:middle], [])
            return await self._settle_all(job_id, settlements[middle:], ended)
        (refused,) = settlements
        logger.error("row %s of job %s cannot be stored: %s", refused.n, job_id, type(written))
        marked = [refused.without_what_was_answered()]
        return await self._patiently(self.store.settle, job_id, self.worker, marked, ended)

    def _try_to_settle(
        self, job_id: int, settlements: list[Settlement], ended: list[str]
    ) -> JobStatus | DatabaseError | None:
        """Runs in the database thread. Returns the error of a value that no repetition mends."""
        try:
            return self.store.settle(job_id, self.worker, settlements, ended)
        except (DataError, IntegrityError) as error:
            return error


def _is_of(job_id: int, record: Claimed) -> bool:
    return record.job_id == job_id
