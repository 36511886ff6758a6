"""A slice in the test's own process, against a simulator over real HTTP."""

import asyncio
import random
from dataclasses import replace
from typing import Any

from jobs.engine.reconcile import sweep
from jobs.engine.slice import Slice, Tuning
from jobs.engine.store import Store
from jobs.engine.workers import register_worker
from jobs.models import Job
from jobs.providers.transport import LeanTransport

# Quick: nothing here waits for what a person would.
TUNING = Tuning(flush_every=0.02, tick=0.05, heartbeat=0.5, idle=0.2, life=600.0, grace=5.0)


def run_slice(store: Store | None = None, **tuning: Any) -> None:
    """One slice from its start until it finds no more work. The clock of retries runs for real."""
    store = store or Store()
    store.sync_clock()
    worker = register_worker("slice", store)

    async def session() -> None:
        transport = LeanTransport(allow_private=True, max_connections=512)
        try:
            await Slice(
                worker=worker,
                store=store,
                transport=transport,
                rng=random.Random(7),
                tuning=replace(TUNING, **tuning),
                told_to_stop=lambda: False,
                on_beat=lambda: sweep(store),
                on_leave=lambda: None,
            ).run()
        finally:
            await transport.close()

    try:
        asyncio.run(session())
    finally:
        store.sign_off(worker)


def run_job(job: Job, **tuning: Any) -> Job:
    """Run slices until the job ends or pauses; returns it fresh."""
    run_slice(**tuning)
    job.refresh_from_db()
    return job
