"""The thin functions that queue messages name. Each asks the tables what there is to do."""

import asyncio
import gc
import logging
import os
import random
import secrets
import time

import uvloop
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from jobs import queue
from jobs.engine.checking import check_finished
from jobs.engine.expanding import cancel_chunk, expand_chunk
from jobs.engine.lane import CEILING
from jobs.engine.reconcile import sweep_if_due
from jobs.engine.replaying import replay_chunk
from jobs.engine.retention import forget_bodies
from jobs.engine.revaluing import revalue_chunk
from jobs.engine.slice import Slice, Tuning
from jobs.engine.store import Store
from jobs.engine.twins import look
from jobs.engine.workers import register_worker
from jobs.providers.transport_kinds import make_transport

logger = logging.getLogger(__name__)

# Objects made before the youngest are looked through; the interpreter's 2,000 cost a tenth of a slice's
# time, and what a slice drops is freed by its reference counts but for two or three objects a call.
GC_YOUNGEST = 20_000


@queue.task
def run_slice(idle: float = Tuning().idle) -> None:
    """Work for all runnable jobs until there are none for `idle` seconds, or minutes have passed."""
    store = Store()
    store.sync_clock()
    worker = register_worker("slice", store)
    began = time.monotonic()
    logger.info("slice started", extra={"worker": worker})
    store.disconnect()  # the session has a thread of its own for the database
    parent = os.getppid()

    def told_to_stop() -> bool:
        # A killed sentinel leaves its workers behind; they must not go on without a guard.
        return queue.stopping.is_set() or os.getppid() != parent

    gc.freeze()  # what is there by now stays
    gc.set_threshold(GC_YOUNGEST)

    rng = random.Random(secrets.randbits(64))  # noqa: S311  spreads retries, no secret
    # Slices that began together do not leave together.
    life = settings.SLICE_SECONDS * rng.uniform(0.75, 1.0)

    async def session() -> None:
        transport = make_transport(
            settings.TRANSPORT,
            allow_private=settings.ALLOW_PRIVATE_ADDRESSES,
            max_connections=CEILING * 2,
        )
        try:
            await Slice(
                worker=worker,
                store=store,
                transport=transport,
                rng=rng,
                tuning=Tuning(life=life, idle=idle),
                told_to_stop=told_to_stop,
                on_beat=lambda: beat(store),
                on_leave=lambda: leave(store),
            ).run()
        finally:
            await transport.close()

    try:
        asyncio.run(session(), loop_factory=uvloop.new_event_loop)
    finally:
        try:
            store.sign_off(worker)
        except (DatabaseError, InterfaceError) as error:
            # Its row is taken for a dead worker's, whose leases were all given back.
            logger.warning("slice could not sign off", extra={"worker": worker, "error": error})
        seconds = round(time.monotonic() - began, 1)
        logger.info("slice left", extra={"worker": worker, "seconds": seconds})


def beat(store: Store) -> None:
    """Now and then from within a slice: sweep, and call for company while much is pending."""
    sweep_if_due(store)
    if store.runnable_jobs() and store.live_slices() < queue.capacity():
        queue.ring()


def leave(store: Store) -> None:
    if not queue.stopping.is_set() and store.runnable_jobs():
        queue.ring()


@queue.task
def expand(job_id: int) -> None:
    """Make all records of a job; claims make them too when they are quicker."""
    store = Store()
    while not queue.stopping.is_set() and expand_chunk(store.dialect, job_id):
        pass


@queue.task
def look_for_twins(job_id: int) -> None:
    """Look for rows of a job that need no call of their own."""
    store = Store()
    store.sync_clock()
    look(store, job_id)
    queue.ring()


@queue.task
def cancel(job_id: int) -> None:
    """Cancel what is pending of a job that is being cancelled."""
    store = Store()
    store.sync_clock()
    while not queue.stopping.is_set() and cancel_chunk(store.dialect, job_id, store.clock.now()):
        pass


@queue.task
def apply_replay(replay_id: int) -> None:
    """Send the records of a replay back to pending."""
    store = Store()
    store.sync_clock()
    while not queue.stopping.is_set() and replay_chunk(store.dialect, replay_id, store.clock.now()):
        queue.ring()
    queue.ring()


@queue.task
def revalue(revaluation_id: int) -> None:
    """Value a job anew."""
    store = Store()
    store.sync_clock()
    while not queue.stopping.is_set() and revalue_chunk(
        store.dialect, revaluation_id, store.clock.now()
    ):
        pass


@queue.task
def check_books() -> None:
    """Hold the ledger of jobs that have ended against their sums."""
    check_finished(queue.stopping.is_set)


@queue.task
def forget() -> None:
    """Forget raw requests and answers of jobs that ended long ago."""
    store = Store()
    store.sync_clock()
    forget_bodies(store.clock.now(), queue.stopping.is_set)
