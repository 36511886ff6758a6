"""A slice's way to the store: a thread and a connection of its own, and patience while the database is
away.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError

from jobs.logs import words_of
from jobs.postgresql import wait_at_most
from jobs.troubles import Trouble, trouble_of

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
TRIES_MORE = 3


class Database:
    """`disconnect` closes the thread's connection, also a broken one; the next call makes another. No
    statement is waited for longer than `at_most` seconds, where the database can be told."""

    def __init__(
        self, disconnect: Callable[[], None], rng: random.Random, *, at_most: float
    ) -> None:
        self.disconnect = disconnect
        self._rng = rng
        self._thread = ThreadPoolExecutor(
            1, thread_name_prefix="store", initializer=wait_at_most, initargs=(at_most,)
        )
        self._trying = 0  # calls that wait for the database to be back
        self._since = 0.0  # monotonic: how long that has been so
        self.trouble = ""  # why, in the database's words; empty when all is well

    async def once[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, partial(function, *args, **kwargs)
        )

    async def patiently[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Again and again while the database is away or somebody holds a lock: what was paid for is not
        dropped. What another try may help gets three; what is wrong is raised."""
        return await self._again((Trouble.AWAY, Trouble.LOCKED), function, *args, **kwargs)

    async def unless_locked[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """As `patiently`, but a lock that somebody holds is raised: there are other things to do."""
        return await self._again((Trouble.AWAY,), function, *args, **kwargs)

    async def _again[T](
        self, waits_for: tuple[Trouble, ...], function: Callable[..., T], *args: Any, **kwargs: Any
    ) -> T:
        wait, conflicts, away = FIRST_WAIT_S, 0, False
        try:
            while True:
                try:
                    return await self.once(function, *args, **kwargs)
                except (DatabaseError, InterfaceError) as error:
                    trouble = trouble_of(error)
                    if trouble is Trouble.CONFLICT and conflicts < TRIES_MORE:
                        conflicts += 1
                        await asyncio.sleep(conflicts * FIRST_WAIT_S * self._rng.uniform(0.2, 1.0))
                        continue
                    if trouble not in waits_for:
                        raise
                    if not away:
                        away = True
                        self._went(error)
                    if trouble is Trouble.AWAY:
                        await self.once(self.disconnect)
                    await asyncio.sleep(wait * self._rng.uniform(0.5, 1.5))
                    wait = min(wait * 2, LONGEST_WAIT_S)
        finally:
            if away:
                self._came()

    def _went(self, error: Exception) -> None:
        """Said once, however many calls wait and however often they try."""
        self._trying += 1
        if self._trying == 1:
            self._since = time.monotonic()
            self.trouble = words_of(error)
            logger.warning("database away; trying until it is back", extra={"error": error})

    def _came(self) -> None:
        self._trying -= 1
        if not self._trying:
            self.trouble = ""
            away = round(time.monotonic() - self._since, 1)
            logger.warning("database back", extra={"seconds": away})

    async def close(self) -> None:
        await self.once(self.disconnect)
        self._thread.shutdown()
