"""What stops a job that should not go on, as data on the job and one pure function for each breaker.

The whole job's share of failures is judged in `jobs.engine.decide`; here is what is only seen over a
while: the share among the latest rows, calls that lead to no rows, money that goes too fast, a provider
that is down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from jobs.failures import POLICIES, Action, FailureClass

# The latest settled rows that are looked at, and in how many pieces they are kept.
WINDOW_ROWS = 200
WINDOW_CHUNK = 20
# A job with this many calls for each row that they were for is out of control, whatever the cause:
# no row may use up more than its attempts, and few calls are lost with their worker.
CALLS_PER_ATTEMPT = 3
RUNAWAY_MIN_CALLS = 100
# What calls cost is summed up over a minute, in steps, seconds.
MINUTE_S = 60.0
SPENT_STEP_S = 5.0
# With nothing but trouble for so long the job pauses; then one call asks now and then.
DOWN_AFTER_S = 300.0
PROBE_EVERY_S = 60.0
# Before so many calls in a row came to nothing, it is the row's trouble; then it is the provider's, and
# uses up no attempts.
DOWN_CALLS = 10
TROUBLE = frozenset({FailureClass.SERVER_ERROR, FailureClass.TIMEOUT, FailureClass.CONNECTION})


@dataclass(slots=True)
class Batch:
    """What the calls of one settle came to, for the breakers."""

    calls: int = 0  # but for those that the provider had no time for
    answered: int = 0  # the provider said something other than that it is in trouble
    trouble: int = 0
    kept: int = 0  # rows that brought nothing and keep the result they had: failed, to a breaker

    def add(self, failure: FailureClass | None) -> None:
        waits = failure is not None and POLICIES[failure].action is Action.WAIT
        self.calls += not waits and failure not in TROUBLE
        self.trouble += failure in TROUBLE
        self.answered += failure not in TROUBLE


@dataclass(slots=True)
class Watch:
    """What stands in `Job.watch`. Times are seconds since 1970; a person who resumes begins it anew."""

    recent: list[list[int]] = field(default_factory=list)  # succeeded, failed, calls; oldest first
    down_since: float = 0.0  # nothing but trouble since then; 0: none
    down_calls: int = 0  # in that time
    probe_at: float = 0.0
    probing: bool = False  # one call at a time, until one is answered
    spent: list[list[float]] = field(
        default_factory=list
    )  # since when, pico-USD; where it is limited
    kept: int = 0  # rows that a replay sent for nothing, and that kept the result they had
    since: float = 0.0  # what was settled before was seen by a person; 0: by none
    since_what: str = ""  # resumed | replayed
    settled_at: float = 0.0
    stalled_at: float = 0.0  # see jobs.engine.stalls

    @classmethod
    def begun_anew(cls, what: str, now: datetime) -> dict[str, Any]:
        return cls(since=now.timestamp(), since_what=what).dump()

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> "Watch":
        return cls(**data)

    def dump(self) -> dict[str, Any]:
        return asdict(self)

    def note(
        self, batch: Batch, *, succeeded: int, failed: int, now: float, cost: int | None = None
    ) -> None:
        """Take in what one settle came to. `cost`: of a job whose cost per minute is limited."""
        self.settled_at, self.stalled_at = now, 0.0
        if cost is not None:
            self._spend(cost, now)
        if not self.recent or self.recent[-1][0] + self.recent[-1][1] >= WINDOW_CHUNK:
            self.recent.append([0, 0, 0])
        last = self.recent[-1]
        self.kept += batch.kept
        last[0] += succeeded - batch.kept
        last[1] += failed + batch.kept
        last[2] += batch.calls
        while _rows(self.recent[1:]) >= WINDOW_ROWS:
            del self.recent[0]
        if batch.answered:
            self.down_since, self.down_calls, self.probing = 0.0, 0, False
        elif batch.trouble:
            self.down_since = self.down_since or now
            self.down_calls += batch.trouble

    def _spend(self, cost: int, now: float) -> None:
        step = now - now % SPENT_STEP_S
        self.spent = [one for one in self.spent if one[0] > now - MINUTE_S]
        if not self.spent or self.spent[-1][0] != step:
            self.spent.append([step, 0])
        self.spent[-1][1] += cost

    @property
    def trouble_is_the_providers(self) -> bool:
        return self.down_calls >= DOWN_CALLS or self.probing

    def back_off(self, n: int, now: float) -> float:
        """Seconds after which a row is tried again while the provider is in trouble: longer the longer
        it lasts, and not all at once."""
        return min(60.0, max(2.0, (now - self.down_since) / 4)) * (0.5 + n % 16 / 16)


def _rows(recent: Sequence[Sequence[int]]) -> int:
    return sum(succeeded + failed for succeeded, failed, _ in recent)


def latest_rows_fail(recent: Sequence[Sequence[int]], tolerated: float) -> tuple[int, int] | None:
    """Failed and settled of the latest rows, if far more of them failed than the job tolerates: twice
    the share, and a fifth of all rows above it. What goes wrong late in a large job is seen here."""
    settled, failed = _rows(recent), sum(chunk[1] for chunk in recent)
    if settled < WINDOW_ROWS or failed <= max(2 * tolerated, tolerated + 0.2) * settled:
        return None
    return failed, settled


def runs_away(
    recent: Sequence[Sequence[int]], *, unsettled: int, max_attempts: int
) -> tuple[int, int] | None:
    """Calls and the rows they were for, if they are out of proportion. `unsettled` are rows that may
    have been called for and are not settled."""
    calls, rows = sum(chunk[2] for chunk in recent), _rows(recent) + unsettled
    if calls < RUNAWAY_MIN_CALLS or calls <= CALLS_PER_ATTEMPT * max_attempts * max(1, rows):
        return None
    return calls, rows


def spends_too_fast(spent: Sequence[Sequence[float]], most: int | None) -> int | None:
    """What the calls settled within the last minute cost, in doubt or not, if that is more than the job
    may cost in one."""
    cost = int(sum(one[1] for one in spent))
    return cost if most is not None and cost > most else None


def provider_is_down(watch: Watch, now: float) -> bool:
    """Whether to pause and ask with one call now and then. A probe that failed pauses at once again."""
    if not watch.down_since:
        return False
    lasts = now - watch.down_since >= DOWN_AFTER_S and watch.down_calls >= DOWN_CALLS
    return watch.probing or lasts
