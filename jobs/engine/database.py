"""A slice's way to the store: one thread of its own, and patience while the database is away."""

import asyncio
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0


class Database:
    """`disconnect` closes the thread's connection, also a broken one; the next call makes another."""

    def __init__(self, disconnect: Callable[[], None], rng: random.Random) -> None:
        self.disconnect = disconnect
        self._rng = rng
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def once[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, partial(function, *args, **kwargs)
        )

    async def patiently[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Again and again while the database is away: what was paid for is not dropped."""
        wait = FIRST_WAIT_S
        while True:
            try:
                return await self.once(function, *args, **kwargs)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("database: %s; again in %.1f s", error, wait)
                await self.once(self.disconnect)
                await asyncio.sleep(wait * self._rng.uniform(0.5, 1.5))
                wait = min(wait * 2, LONGEST_WAIT_S)

    async def close(self) -> None:
        await self.once(self.disconnect)
        self._thread.shutdown()
