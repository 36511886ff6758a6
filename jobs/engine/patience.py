"""How long the calls of a job are waited for: learned from how long its answers took.

The person's own `timeout` is the ceiling. Below it, a call that is silent for far longer than the job's
answers take has most likely hung, and holds up the job's end. Paying twice for an answer that was only
slow is worse than waiting: so an answer of `max_tokens` is always waited for, a row's last attempt waits
up to the ceiling, each retry longer than the one before, and when many calls are given up it is the
provider that is slow, and all wait up to the ceiling.
"""

import math

# A cancelled job waits for its calls in flight at most so long; then they are in doubt.
CANCELLED_WAIT_S = 30.0
# Fewer answers say nothing about the slowest.
ENOUGH = 30
# Waited for at least, seconds: providers have moments.
SHORTEST_S = 30.0
# All but one in a hundred answers took so long at most; this many times as long is no honest answer's.
TAIL = 0.99
MARGIN = 4.0
RETRY = 4.0
# With more of the latest calls given up than this, it is not the odd one that hangs.
MANY = 0.1
# About so many of the latest answers count.
MEMORY = 400
# The histogram: four steps to each doubling, from 16 ms to 17 minutes.
_STEPS, _OFFSET, _BUCKETS = 4, 24, 64


class Patience:
    """A streaming estimate over the answers of one job with one model, of fixed size."""

    __slots__ = (
        "_answers", "_buckets", "_enough", "_given_up", "_known", "_max_tokens", "_seconds",
        "_shortest", "_tokens",
    )  # fmt: skip

    def __init__(
        self, max_tokens: int, *, shortest: float = SHORTEST_S, enough: int = ENOUGH
    ) -> None:
        self._max_tokens = max_tokens
        self._shortest = shortest
        self._enough = enough
        self._buckets = [0.0] * _BUCKETS
        self._answers = self._given_up = self._seconds = self._tokens = 0.0
        self._known: float | None = None  # of `usual`, until something is learned

    def answered(self, took: float, output_tokens: int) -> None:
        """The model answered, rightly or wrongly; errors come too quickly to say anything."""
        at = int(math.log2(took) * _STEPS) + _OFFSET if took > 0 else 0
        self._buckets[min(max(at, 0), _BUCKETS - 1)] += 1
        self._answers += 1
        self._seconds += took
        self._tokens += output_tokens
        self._known = None
        if self._answers >= MEMORY:
            self._forget_half()

    def gave_up(self) -> None:
        """A call was cut off before the ceiling."""
        self._given_up += 1
        self._known = None

    def seconds(self, ceiling: float, *, tries: int, max_attempts: int) -> float:
        """How long a call is waited for that its row has tried so often before."""
        if tries + 1 >= max_attempts:
            return ceiling
        return min(ceiling, self.usual * RETRY**tries)

    @property
    def usual(self) -> float:
        """How long a first attempt is waited for; infinite while nothing is known."""
        if self._known is None:
            self._known = self._learned()
        return self._known

    def _learned(self) -> float:
        ended = self._answers + self._given_up
        if self._answers < self._enough or self._given_up > MANY * ended:
            return math.inf
        longest = self._max_tokens * self._seconds / max(1.0, self._tokens)
        return max(self._shortest, MARGIN * self._slowest(), longest)

    def _slowest(self) -> float:
        """What all answers but one in a hundred took at most, rounded up by a fifth at most."""
        above = (1 - TAIL) * self._answers
        for at in range(_BUCKETS - 1, -1, -1):
            above -= self._buckets[at]
            if above < 0:
                return float(2 ** ((at + 1 - _OFFSET) / _STEPS))
        return 0.0

    def _forget_half(self) -> None:
        self._buckets = [n / 2 for n in self._buckets]
        self._answers /= 2
        self._given_up /= 2
        self._seconds /= 2
        self._tokens /= 2
