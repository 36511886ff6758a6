"""The calls that a slice has in flight, and the one watch over them.

A call has no timer of its own: one pass, a few times a second, cuts off those that were silent for too
long. What is learned meanwhile holds for calls that left before it was known, too.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from jobs.engine.answers import learn
from jobs.engine.patience import Patience
from jobs.engine.plan import Plan
from jobs.engine.prompt_cache import PromptCache
from jobs.engine.records import Claimed


@dataclass(slots=True, eq=False)
class Flight:
    """One call. `cutoff` is entered by whoever sends it; to reschedule it ends the call."""

    record: Claimed
    plan: Plan
    patience: Patience
    cutoff: asyncio.Timeout
    cache: PromptCache
    cut: bool = False

    def until(self) -> float:
        """Monotonic: how long it is waited for, as far as is known now."""
        record, plan = self.record, self.plan
        return record.sent_at + self.patience.seconds(
            plan.timeout, tries=record.tries, max_attempts=plan.max_attempts
        )


class Flights:
    """`shortest` (seconds) and `enough` (answers) as in `jobs.engine.patience`; a cancelled job waits
    for its calls for `cancelled_wait` seconds at most."""

    def __init__(self, *, shortest: float, enough: int, cancelled_wait: float) -> None:
        self._shortest = shortest
        self._enough = enough
        self._cancelled_wait = cancelled_wait
        self._flights: dict[asyncio.Task[None], Flight] = {}
        self._patience: dict[tuple[int, int | None], Patience] = {}
        self._caches: dict[tuple[int, int | None], PromptCache] = {}
        self._ends: dict[int, float] = {}  # jobs being cancelled: monotonic
        self._ended = 0  # calls
        self._counted = (0, 0.0)  # of them when the rate was last asked for, and when that was

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return list(self._flights)

    def records(self) -> Iterator[Claimed]:
        return (flight.record for flight in self._flights.values())

    def unfinished(self) -> list[Claimed]:
        return [flight.record for call, flight in self._flights.items() if not call.done()]

    def knows(self, key: tuple[int, int | None]) -> bool:
        """Whether something was learned of this job and replay."""
        return key in self._patience

    def make(self, record: Claimed, plan: Plan) -> Flight:
        key = (record.job_id, record.replay_id)
        patience = self._patience.get(key)
        if patience is None:
            patience = Patience(plan.max_tokens, shortest=self._shortest, enough=self._enough)
            self._patience[key] = learn(patience, plan.answers)
        cache = self._caches.setdefault(key, PromptCache())
        return Flight(record, plan, patience, asyncio.timeout(None), cache)

    def add(self, call: asyncio.Task[None], flight: Flight) -> None:
        self._flights[call] = flight

    def remove(self, call: asyncio.Task[None]) -> Claimed:
        self._ended += 1
        return self._flights.pop(call).record

    def rate(self, now: float) -> float:
        """Calls that ended each second since this was asked last."""
        (ended, at), self._counted = self._counted, (self._ended, now)
        return round((self._ended - ended) / (now - at), 1) if at and now > at else 0.0

    # --- the watch --------------------------------------------------------------------------
    def cancelled(self, jobs: Iterable[int], now: float) -> None:
        """These jobs, and no others, are being cancelled."""
        self._ends = {job: self._ends.get(job, now + self._cancelled_wait) for job in jobs}

    def watch(self, now: float) -> None:
        """Cut off the calls that are waited for no longer."""
        for flight in self._flights.values():
            if flight.cut or now < self._until(flight):
                continue
            early = flight.until() <= now < flight.record.sent_at + flight.plan.timeout
            # Raised where it has not begun yet or is over in this moment: there is nothing to cut.
            with suppress(RuntimeError):
                flight.cutoff.reschedule(0.0)
                flight.cut = True
                if early:
                    flight.patience.gave_up()

    def _until(self, flight: Flight) -> float:
        until = flight.until()
        end = self._ends.get(flight.record.job_id) if self._ends else None
        return until if end is None else min(until, end)

    def report(self, now: float, wall: float) -> dict[str, dict[str, Any]]:
        """For the pages, by job: how many calls, when the first of them left, and how long they are
        waited for at the latest, in seconds since 1970."""
        jobs: dict[str, list[Flight]] = defaultdict(list)
        for flight in self._flights.values():
            jobs[str(flight.record.job_id)].append(flight)
        return {
            job: {
                "calls": len(flights),
                "lanes": sorted({"{}:{}".format(*flight.plan.lane) for flight in flights}),
                "since": wall + min(flight.record.sent_at for flight in flights) - now,
                "until": wall + max(self._until(flight) for flight in flights) - now,
            }
            for job, flights in jobs.items()
        }

    def forget(self, runnable: Iterable[int]) -> None:
        """What was learned of jobs that are neither at work nor have calls in flight."""
        known = {*runnable, *(record.job_id for record in self.records())}
        self._patience = {key: kept for key, kept in self._patience.items() if key[0] in known}
        self._caches = {key: kept for key, kept in self._caches.items() if key[0] in known}
