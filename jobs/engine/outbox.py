"""The outbox of a slice: what came back and is not yet written, and the loop that writes it in batches.

Nothing leaves it but by being written: not when the slice ends, not while the database is away.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

from django.db import DatabaseError, DataError, IntegrityError

from jobs.engine.database import Database
from jobs.engine.leases import Leases
from jobs.engine.records import Settlement
from jobs.engine.store import Store
from jobs.models import JobStatus

logger = logging.getLogger(__name__)


class Outbox:
    """`flush_every` (seconds) a result waits for company, `flush_at` results do not wait, and with
    `at_most` of them it is full. `on_stopped` is told of a job that turned out not to be runnable,
    `on_flushed` that there is room again."""

    def __init__(
        self,
        store: Store,
        database: Database,
        leases: Leases,
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
        self._worker = worker
        self._flush_every = flush_every
        self._flush_at = flush_at
        self._at_most = at_most
        self._on_stopped = on_stopped
        self._on_flushed = on_flushed
        self._waiting: list[Settlement] = []
        self._wake = asyncio.Event()
        self.writing = asyncio.Lock()  # held while a batch is on its way to the tables

    def put(self, settlement: Settlement) -> None:
        self._waiting.append(settlement)
        self._wake.set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self._at_most

    async def loop(self) -> None:
        while True:
            await self._wake.wait()
            if len(self._waiting) < self._flush_at:
                await asyncio.sleep(self._flush_every)
            self._wake.clear()
            while self._waiting:
                await self._flush()

    async def empty(self) -> None:
        """Write all there is, also what the loop took out and is writing: cancelled there, it would
        be lost."""
        while self._waiting or self.writing.locked():
            await self._flush()

    async def _flush(self) -> None:
        async with self.writing:
            await self._write()
        self._on_flushed()

    async def _write(self) -> None:
        batch = self._waiting[: self._flush_at]
        self._waiting = self._waiting[self._flush_at :]
        by_job: dict[int, list[Settlement]] = defaultdict(list)
        for settlement in batch:
            by_job[settlement.job_id].append(settlement)
        for job_id, settlements in by_job.items():
            by_lease: dict[str, list[int]] = defaultdict(list)
            for settlement in settlements:
                by_lease[settlement.lease].append(settlement.n)
            # Struck off only when it is written: until then the lease is renewed.
            ended = [t for t, numbers in by_lease.items() if self._leases.end_with(t, numbers)]
            status = await self._settle(job_id, settlements, ended)
            emptied = [t for lease in by_lease.items() for t in self._leases.strike_off(*lease)]
            rest = sorted(set(emptied) - set(ended))
            if rest:  # their other records were given back while this was written
                await self._database.patiently(self._store.drop_leases, rest)
            if status is None or not status.is_runnable:
                await self._on_stopped(job_id)

    async def _settle(
        self, job_id: int, settlements: list[Settlement], ended: list[str]
    ) -> JobStatus | None:
        """Write a batch; where the database refuses what is in it, by halves, down to the one that
        cannot be stored, which fails in words that can. The others are not lost with it."""
        written = await self._database.patiently(self._try_to_settle, job_id, settlements, ended)
        if not isinstance(written, DatabaseError):
            return written
        if len(settlements) > 1:
            middle = len(settlements) // 2
            await self._settle(job_id, settlements[:middle], [])
            return await self._settle(job_id, settlements[middle:], ended)
        (refused,) = settlements
        logger.error("row %s of job %s cannot be stored: %s", refused.n, job_id, type(written))
        marked = [refused.without_what_was_answered()]
        return await self._database.patiently(
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
