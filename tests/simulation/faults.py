"""What is broken in a history: how often each fault strikes, and how a call of the store is broken."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import Any

from django.db import OperationalError, connection

from tests.simulation import provider

_SAVEPOINTS = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
_BOOKS = ("jobs_job", "jobs_record", "jobs_attempt", "jobs_due", "jobs_lease", "jobs_costrollup")


class Fault(StrEnum):
    """What befalls a process at one call of the store."""

    KILL_BEFORE = "killed before"
    KILL_DURING = "killed during"
    KILL_AFTER = "killed after"
    FREEZE_BEFORE = "frozen before"
    FREEZE_AFTER = "frozen after"
    FAIL_BEFORE = "failed before the commit of"
    FAIL_AFTER = "lost the answer of"
    HANG = "hung in"


KILLS = (Fault.KILL_BEFORE, Fault.KILL_DURING, Fault.KILL_AFTER)
FREEZES = (Fault.FREEZE_BEFORE, Fault.FREEZE_AFTER)
DATABASE = (Fault.FAIL_BEFORE, Fault.FAIL_AFTER, Fault.HANG)
STEPS = ("claim", "try_to_settle")
AIMED = tuple((fault, step) for fault in Fault for step in STEPS)
UNBLAMED = (Fault.FAIL_BEFORE, Fault.FAIL_AFTER)


class LostConnectionError(OperationalError):
    """The database went away."""


class Killed(BaseException):
    """kill -9: nothing catches it, and nothing that runs on the way out reaches the database."""


class Plan:
    """The shares of one history, drawn from its seed: many faults in some, few or none in others.

    One fault is aimed: seeds in a row go through all faults at the steps that matter most.
    """

    def __init__(self, seed: int, rng: random.Random) -> None:
        self.rng = rng
        self.aimed = AIMED[seed % len(AIMED)]
        self.aimed_in = rng.randrange(3)  # times that its step goes well before
        self.calls: dict[Fault, float] = {}
        for family, rate in ((KILLS, 0.02), (FREEZES, 0.01), (DATABASE, 0.05)):
            if rng.random() < 0.5:
                self.calls |= {fault: rate * rng.random() for fault in family}
        if self.aimed[0] in UNBLAMED:
            # The database alone fails here, so that whoever is blamed is blamed wrongly.
            self.calls = dict.fromkeys(UNBLAMED, 0.03)
        kinds = rng.sample(provider.FAULTS, rng.randrange(6))
        self.provider = {kind: rng.choice((0.05, 0.1, 0.3)) for kind in kinds}
        doorbells = rng.random() < 0.5
        self.lost, self.doubled, self.delayed = (0.3, 0.3, 0.3) if doorbells else (0.0, 0.0, 0.0)
        self.people = rng.random() < 0.6
        self.stops = 0.05 if rng.random() < 0.3 else 0.0  # SIGTERM, each second

    def end(self) -> None:
        """From now on all is well."""
        self.aimed_in = -1
        self.calls.clear()
        self.provider.clear()
        self.lost = self.doubled = self.delayed = self.stops = 0.0
        self.people = False

    def draw(self, step: str) -> Fault | None:
        fault, aimed_at = self.aimed
        if step == aimed_at and self.aimed_in >= 0:
            self.aimed_in -= 1
            if self.aimed_in < 0:
                return fault
        at = self.rng.random()
        for fault, share in self.calls.items():
            at -= share
            if at < 0:
                return fault
        return None


class Tap:
    """Around the statements of one call: says whether it wrote, and breaks it at the `at`-th."""

    def __init__(self, at: int = -1, error: type[BaseException] = LostConnectionError) -> None:
        self.left = at
        self.error = error
        self.broke = False
        self.wrote = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        frame = sql.startswith(_SAVEPOINTS)
        if self.broke and self.error is Killed and not frame:
            raise Killed
        if self.left == 0 and not frame:
            self.left, self.broke = -1, True
            raise self.error("the database is away")
        self.left -= self.left > 0
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and any(name in sql for name in _BOOKS):
            self.wrote = True
        return execute(sql, params, many, context)


@contextmanager
def tapped(tap: Tap) -> Iterator[Tap]:
    with connection.execute_wrapper(tap):
        yield tap


def name_of(call: Callable[..., Any]) -> str:
    """The store's method, or the function, that a call comes down to."""
    inner = getattr(call, "func", call)
    if isinstance(call, partial) and len(call.args) > 1 and callable(call.args[1]):
        inner = call.args[1]  # a chunk, with the time it is done at
    return str(getattr(inner, "__name__", inner)).strip("_")


Reached = Counter[str]
