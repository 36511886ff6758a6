"""The outbox of a slice: what came back and is not yet written, and the loop that writes it in batches.

Nothing leaves it but by being written, not while the database is away, not while a job is locked; unless
the slice must end and the database refuses what it says for other reasons than what is in it. Then the
leases run out, and the calls are in doubt.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

from django.db import DatabaseError, DataError, IntegrityError

from jobs.engine.database import Database
from jobs.engine.held import HeldJobs
from jobs.engine.leases import Leases
from jobs.engine.records import Settlement
from jobs.engine.store import Store
from jobs.logs import words_of
from jobs.models import JobStatus
from jobs.troubles import Trouble, trouble_of

logger = logging.getLogger(__name__)

# What could not be written is tried again after so long.
REST_S = 0.5
# And what the database refuses, which it may do for as long as the program is not mended.
REFUSED_REST_S = 5.0
LAST_TRIES = 3


class Outbox:
    """`flush_every` (seconds) a result waits for company, `flush_at` results do not wait, and with
    `at_most` of them it is full. `on_stopped` is told of a job that turned out not to be runnable,
    `on_flushed` that there is room again."""

    def __init__(
        self,
        store: Store,
        database: Database,
        leases: Leases,
        held: HeldJobs,
        worker: str,
        *,
        flush_every: float,
        flush_at: int,
        at_most: int,
        on_stopped: Callable[[int], Awaitable[None]],
        on_flushed: Callable[[], None],
    ) -> None:
        self._store = store
        self._database = database
        self._leases = leases
        self._held = held
        self._worker = worker
        self._flush_every = flush_every
        self._flush_at = flush_at
        self._at_most = at_most
        self._on_stopped = on_stopped
        self._on_flushed = on_flushed
        self._waiting: list[Settlement] = []
        self._resting: dict[int, float] = {}  # job -> loop's time until which it is not tried
        self._refused = ""  # the words of what is wrong with our writing, until it succeeds
        self._wake = asyncio.Event()
        self.writing = asyncio.Lock()  # held while a batch is on its way to the tables

    def put(self, settlement: Settlement) -> None:
        self._waiting.append(settlement)
        self._wake.set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether nothing more may be sent: too much waits, or nothing can be written now."""
        return len(self._waiting) >= self._at_most or bool(self.trouble)

    @property
    def trouble(self) -> str:
        return self._refused or self._database.trouble

    async def loop(self) -> None:
        while True:
            await self._wake.wait()
            if len(self._waiting) < self._flush_at:
                await asyncio.sleep(self._flush_every)
            self._wake.clear()
            while self._waiting:
                if not await self._flush():
                    await asyncio.sleep(REST_S)

    async def empty(self) -> None:
        """Write all there is, also what the loop took out and is writing: cancelled there, it would
        be lost."""
        tries = 0
        while self._waiting or self.writing.locked():
            if await self._flush() or not self._waiting:
                continue
            tries += bool(self._refused)
            if tries > LAST_TRIES:
                logger.error("answers are not written", extra={"count": len(self._waiting)})
                self._waiting.clear()
            else:
                self._resting.clear()
                await asyncio.sleep(REST_S)

    async def _flush(self) -> bool:
        """Whether anything was written."""
        async with self.writing:
            wrote = False
            for job_id, settlements in self._take_out().items():
                wrote |= await self._write(job_id, settlements)
        self._on_flushed()
        return wrote

    def _take_out(self) -> dict[int, list[Settlement]]:
        """The next batch, by job, without those that rest."""
        now = asyncio.get_running_loop().time()
        self._resting = {job_id: until for job_id, until in self._resting.items() if until > now}
        by_job: dict[int, list[Settlement]] = defaultdict(list)
        left: list[Settlement] = []
        taken = 0
        for settlement in self._waiting:
            if taken < self._flush_at and settlement.job_id not in self._resting:
                by_job[settlement.job_id].append(settlement)
                taken += 1
            else:
                left.append(settlement)
        self._waiting = left
        return by_job

    async def _write(self, job_id: int, settlements: list[Settlement]) -> bool:
        if await self._held.still(job_id):
            self._keep(job_id, settlements, REST_S)
            return False
        by_lease: dict[str, list[int]] = defaultdict(list)
        for settlement in settlements:
            by_lease[settlement.lease].append(settlement.n)
        # Struck off only when it is written: until then the lease is renewed.
        ended = [t for t, numbers in by_lease.items() if self._leases.end_with(t, numbers)]
        try:
            status = await self._settle(job_id, settlements, ended)
        except DatabaseError as error:
            self._failed(job_id, settlements, error)
            return False
        self._refused = ""
        emptied = [t for lease in by_lease.items() for t in self._leases.strike_off(*lease)]
        rest = sorted(set(emptied) - set(ended))
        if rest:  # their other records were given back while this was written
            await self._database.patiently(self._store.drop_leases, rest)
        if status is None or not status.is_runnable:
            await self._on_stopped(job_id)
        return True

    def _failed(self, job_id: int, settlements: list[Settlement], error: DatabaseError) -> None:
        if trouble_of(error) is Trouble.LOCKED:
            self._held.seen(job_id)
            self._keep(job_id, settlements, REST_S)
            return
        if not self._refused:
            logger.error("answers cannot be written", extra={"job": job_id, "error": error})
        self._refused = words_of(error)  # what a database says may quote the answers
        self._keep(job_id, settlements, REFUSED_REST_S)

    def _keep(self, job_id: int, settlements: list[Settlement], rest: float) -> None:
        """For later. Written by halves, what is written already is so when it is repeated."""
        self._waiting += settlements
        self._resting[job_id] = asyncio.get_running_loop().time() + rest

    async def _settle(
        self, job_id: int, settlements: list[Settlement], ended: list[str]
    ) -> JobStatus | None:
        """Write a batch; where the database refuses what is in it, by halves, down to the one that
        cannot be stored, which fails in words that can. The others are not lost with it."""
        written = await self._database.unless_locked(
            self._try_to_settle, job_id, settlements, ended
        )
        if not isinstance(written, DatabaseError):
            return written
        if len(settlements) > 1:
            middle = len(settlements) // 2
            await self._settle(job_id, settlements[:middle], [])
            return await self._settle(job_id, settlements[middle:], ended)
        (refused,) = settlements
        told = {"job": job_id, "record": refused.n, "attempt": refused.number, "error": written}
        logger.error("answer cannot be stored", extra=told)
        marked = [refused.without_what_was_answered()]
        return await self._database.unless_locked(
            self._store.settle, job_id, self._worker, marked, ended
        )

    def _try_to_settle(
        self, job_id: int, settlements: list[Settlement], ended: list[str]
    ) -> JobStatus | DatabaseError | None:
        """Runs in the database thread. Returns the error of a value that no repetition mends."""
        try:
            return self._store.settle(job_id, self._worker, settlements, ended)
        except (DataError, IntegrityError) as error:
            return error
