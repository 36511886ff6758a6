"""Jobs whose rows an outsider holds: a forgotten transaction, a dump, somebody's console.

To find out costs a lock's timeout, in which the slice's thread does nothing else. So it is found out
once; after that a look, which waits for nothing, comes before each try.
"""

from django.db import DatabaseError

from jobs.engine.database import Database
from jobs.engine.store import Store


class HeldJobs:
    def __init__(self, store: Store, database: Database) -> None:
        self._store = store
        self._database = database
        self._held: set[int] = set()

    def seen(self, job_id: int) -> None:
        """The job's lock could not be had in time."""
        self._held.add(job_id)

    async def still(self, job_id: int) -> bool:
        """Whether to try is in vain."""
        if job_id in self._held:
            try:
                if await self._database.once(self._store.is_unlocked, job_id):
                    self._held.discard(job_id)
            except DatabaseError:
                self._held.discard(job_id)  # to be found out by who tries
        return job_id in self._held
