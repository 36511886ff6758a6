"""How many calls one slice keeps in flight on one connection and model."""

from dataclasses import dataclass

# A call that takes so much longer than it once did, and so long in all, says that more at once would
# only wait longer.
SLOW_FACTOR = 3.0
SLOW_S = 2.0
# The cool-down where the provider names none, from the first to the longest.
BLIND_S = (0.25, 2.0)


@dataclass(slots=True)
class Level:
    """Doubles with each round trip up to the slice's own ceiling, and stays where the provider grows
    slow. A small limit is another thing, answered by a pace (`jobs.engine.pace`) and a cool-down."""

    ceiling: int
    value: float = 8.0
    took: float = 0.0  # seconds a call, smoothed; 0: none ended yet
    quickest: float = 0.0  # the least that `took` ever was
    burst_at: float = -1.0  # when the last burst of 429s began
    bursts: int = 0  # in a row, with no call let in between
    until: float = 0.0  # its cool-down ends

    @property
    def slow(self) -> bool:
        return self.took > max(SLOW_S, SLOW_FACTOR * self.quickest)

    def succeeded(self, took: float) -> None:
        self.bursts = 0
        self.took += (took - self.took) * (0.05 if self.took else 1.0)
        self.quickest = min(self.quickest or self.took, self.took)
        if not self.slow:
            self.value = min(self.ceiling, self.value + 1.0)

    def throttled(
        self, sent_at: float, now: float, retry_after: float | None, shut: bool = False
    ) -> float:
        """Take note of a 429 or 529 to a call sent then; returns the cool-down in seconds from now.
        Where none is named, it doubles while everybody is `shut` out.

        Calls that were on their way when the first of a burst came back belong to it.
        """
        if sent_at > self.burst_at:
            self.burst_at = now
            self.bursts = self.bursts + 1 if shut else 1
            first, longest = BLIND_S
            blind = min(longest, first * 2.0 ** min(10, self.bursts - 1))
            self.until = now + (blind if retry_after is None else retry_after)
        elif retry_after is not None:
            self.until = max(self.until, now + retry_after)
        return max(0.0, self.until - now)
