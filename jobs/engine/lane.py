"""A lane: what one slice has waiting and in flight on one connection and model, and what holds it."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jobs.engine.limits import Level, Limits, Permits
from jobs.engine.records import Claimed
from jobs.providers.types import Outcome

# Calls one slice keeps in flight on a lane at most: beyond it, more processes serve better.
CEILING = 256
# Records claimed ahead of sending: enough to bridge one claim, few enough to give back.
LOOKAHEAD = 64
FIRST_CLAIM = 16
# What an answer is thought to be before the first one came, tokens.
FIRST_GUESS_OUTPUT = 200.0
_SMOOTHING = 0.05


class Lane:
    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.permits = Permits(requests=0.0) if limits.any else Permits()
        self.level = Level(ceiling=min(CEILING, limits.max_in_flight or CEILING))
        self.ready: deque[Claimed] = deque()
        self.in_flight = 0
        self.cooldown_until = 0.0  # monotonic
        self.cooldown_ends: datetime | None = None  # the same, for people
        self.input_tokens_each = FIRST_GUESS_OUTPUT
        self.output_tokens_each = FIRST_GUESS_OUTPUT
        self.used_at = now
        self._told_until = 0.0

    # --- how much ---------------------------------------------------------------------------
    def capacity(self) -> int:
        """Calls that may be in flight now."""
        level = int(self.level.value)
        return level if self.permits.in_flight is None else min(level, self.permits.in_flight)

    def lookahead(self) -> int:
        ahead = min(LOOKAHEAD, max(8, self.capacity()))
        if self.permits.requests is not None:
            # Where requests are rationed, holding more than seconds' worth only blocks others.
            ahead = min(ahead, max(4, int(self.permits.requests) * 2))
        return ahead

    def room(self, now: float) -> int:
        """Records worth claiming now."""
        if now < self.cooldown_until:
            return 0
        return max(0, self.capacity() + self.lookahead() - self.in_flight - len(self.ready))

    def hungry(self) -> bool:
        return len(self.ready) < self.lookahead() / 2

    def want(self) -> int:
        """Calls this slice would like to send until its next tick."""
        if not self.ready and not self.in_flight:
            return FIRST_CLAIM if self.limits.any else 0
        return max(1, int(self.level.value))

    # --- sending ----------------------------------------------------------------------------
    def next_to_send(self, now: float) -> Claimed | None:
        """The next record if a call may leave; the permit is used up by asking."""
        if not self.ready or now < self.cooldown_until or self.in_flight >= self.capacity():
            return None
        permits = self.permits
        if permits.requests is not None and permits.requests < 1:
            return None
        if permits.input_tokens is not None and permits.input_tokens <= 0:
            return None
        if permits.output_tokens is not None and permits.output_tokens <= 0:
            return None
        record = self.ready.popleft()
        if permits.requests is not None:
            permits.requests -= 1
        if permits.input_tokens is not None:
            permits.input_tokens -= record.input_tokens
        if permits.output_tokens is not None:
            permits.output_tokens -= self.output_tokens_each
        record.output_estimate = self.output_tokens_each
        self.in_flight += 1
        self.used_at = now
        return record

    def ended(self) -> None:
        """A call is over, however it ended."""
        self.in_flight -= 1

    def answered(self, record: Claimed, outcome: Outcome) -> None:
        """Give back, or draw further, what the call took otherwise than was thought."""
        usage = outcome.usage
        used_in = usage.input_tokens if usage else 0
        used_out = usage.output_tokens if usage else 0
        if self.permits.input_tokens is not None:
            self.permits.input_tokens += record.input_tokens - used_in
        if self.permits.output_tokens is not None:
            self.permits.output_tokens += record.output_estimate - used_out
        if usage is not None and outcome.failure is None:
            self.input_tokens_each += _SMOOTHING * (used_in - self.input_tokens_each)
            self.output_tokens_each += _SMOOTHING * (used_out - self.output_tokens_each)
            self.level.succeeded()

    def throttled(self, now: float, retry_after: float | None) -> float:
        """Take note of a 429 or 529; returns the cool-down in seconds."""
        seconds = self.level.throttled(now, retry_after)
        self.cooldown_until = max(self.cooldown_until, now + seconds)
        return self.cooldown_until - now

    def should_tell(self) -> bool:
        """Whether the other slices do not know of this cool-down yet; asked once per burst."""
        if self.cooldown_until <= self._told_until + 0.25:
            return False
        self._told_until = self.cooldown_until
        return True

    def withdraw(self, which: Callable[[Claimed], bool]) -> list[Claimed]:
        """Take matching records, not yet sent, out of the queue."""
        taken = [record for record in self.ready if which(record)]
        if taken:
            self.ready = deque(record for record in self.ready if not which(record))
        return taken

    # --- ticks ------------------------------------------------------------------------------
    def refill(
        self, permits: Permits, cooldown: datetime | None, wall: datetime, now: float
    ) -> None:
        self.permits = permits
        self.level.ceiling = min(CEILING, self.limits.max_in_flight or CEILING)
        if cooldown is not None and cooldown > wall:
            self.cooldown_until = max(self.cooldown_until, now + (cooldown - wall).total_seconds())
            self.cooldown_ends = cooldown
        elif now >= self.cooldown_until:
            self.cooldown_ends = None

    def idle(self, now: float) -> bool:
        return not self.ready and not self.in_flight and now - self.used_at > 30

    def report(self, now: float) -> dict[str, Any]:
        """For the pages: the level, what is in flight, and in words what holds it there."""
        return {
            "level": self.capacity(),
            "in_flight": self.in_flight,
            "ready": len(self.ready),
            "why": self.why(now),
        }

    def why(self, now: float) -> str:
        if now < self.cooldown_until:
            if self.cooldown_ends is not None:
                return f"waiting for Retry-After until {self.cooldown_ends:%H:%M:%S} UTC"
            return f"waiting for the rate limit, {self.cooldown_until - now:.0f} s"
        permits, limits = self.permits, self.limits
        if self.ready and permits.requests is not None and permits.requests < 1:
            return f"your connection's limit of {limits.rpm:,} requests/min"
        if self.ready and permits.input_tokens is not None and permits.input_tokens <= 0:
            return f"your connection's limit of {limits.input_tpm:,} input tokens/min"
        if self.ready and permits.output_tokens is not None and permits.output_tokens <= 0:
            return f"your connection's limit of {limits.output_tpm:,} output tokens/min"
        if permits.in_flight is not None and self.in_flight >= permits.in_flight:
            return f"your connection's max in flight {limits.max_in_flight:,}"
        if self.in_flight >= CEILING:
            return f"this worker's ceiling of {CEILING} calls in flight"
        if self.level.cut and self.in_flight >= int(self.level.value):
            return "finding the provider's limit: growing by one after each 429"
        if self.in_flight >= int(self.level.value):
            return "ramping up"
        return "worker processes busy" if self.ready else "nothing waiting"
