"""Requests and tokens a minute for each model, kept as vendors keep them: in token buckets, or by
counting in fixed minutes."""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.simulator.wire import LimitState


@dataclass(slots=True)
class _Bucket:
    """Holds at most what `burst` seconds bring; starts full."""

    per_minute: int
    burst: float
    level: float
    at: float

    @property
    def capacity(self) -> float:
        return max(1.0, self.per_minute * self.burst / 60)

    def refill(self, now: float) -> None:
        self.level = min(self.capacity, self.level + (now - self.at) * self.per_minute / 60)
        self.at = now

    def wait_for(self, amount: float) -> float:
        """Seconds until `amount` is there; what is more than fits waits for a full bucket."""
        return max(0.0, (min(amount, self.capacity) - self.level) * 60 / self.per_minute)

    def state(self) -> LimitState:
        reset = (self.capacity - self.level) * 60 / self.per_minute
        return LimitState(self.per_minute, max(0, int(self.level)), max(0.0, reset))


@dataclass(slots=True)
class _Minute:
    """Counts in fixed minutes of the clock: all of a minute's may go at its start."""

    per_minute: int
    level: float
    at: float  # when the minute under way began
    left: float = 0.0  # seconds until the next one

    @property
    def capacity(self) -> float:
        return float(self.per_minute)

    def refill(self, now: float) -> None:
        minute = now - now % 60.0
        if minute > self.at:
            self.level, self.at = self.capacity, minute
        self.left = self.at + 60.0 - now

    def wait_for(self, amount: float) -> float:
        """Seconds until `amount` is there; what is more than fits waits for a full minute."""
        return self.left if min(amount, self.capacity) > self.level else 0.0

    def state(self) -> LimitState:
        return LimitState(self.per_minute, max(0, int(self.level)), self.left)


class Limits:
    """Buckets, or minutes, for each model. A limit of 0 is none."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock  # seconds, never going back
        self._buckets: dict[tuple[str, str], _Bucket | _Minute] = {}
        self.rpm = 0
        self.tpm = 0  # OpenAI: input and output; Anthropic: input alone
        self.output_tpm = 0  # Anthropic alone
        self.burst = 60.0
        self.minutes = False  # fixed minutes instead of buckets

    def set(
        self, *, rpm: int, tpm: int, output_tpm: int, burst: float, minutes: bool = False
    ) -> None:
        """New limits; where one changes, its buckets start full."""
        before = (self.rpm, self.tpm, self.output_tpm, self.burst, self.minutes)
        if before != (rpm, tpm, output_tpm, burst, minutes):
            self.rpm, self.tpm, self.output_tpm, self.burst = rpm, tpm, output_tpm, burst
            self.minutes = minutes
            self._buckets.clear()

    def take(
        self, model: str, tokens: int, output_tokens: int | None
    ) -> tuple[float, str, dict[str, LimitState]]:
        """Takes one request and its tokens, or nothing.

        Returns the seconds to wait (0 when taken), the name of the limit that was hit, and the
        state of all limits for the headers. `output_tokens` is None where output has no limit.
        """
        wanted: list[tuple[str, int, int]] = [
            ("requests", self.rpm, 1),
            ("tokens", self.tpm, tokens),
            ("output-tokens", self.output_tpm, output_tokens or 0),
        ]
        now = self._clock()
        buckets: list[tuple[str, _Bucket | _Minute, int]] = []
        for name, per_minute, amount in wanted:
            if per_minute <= 0 or (name == "output-tokens" and output_tokens is None):
                continue
            bucket = self._buckets.get((model, name))
            if bucket is None:
                bucket = self._new(per_minute, now)
                bucket.level = bucket.capacity
                self._buckets[(model, name)] = bucket
            bucket.refill(now)
            buckets.append((name, bucket, amount))
        wait, hit = max(
            ((bucket.wait_for(amount), name) for name, bucket, amount in buckets),
            default=(0.0, ""),
        )
        if wait <= 0:
            for _, bucket, amount in buckets:
                bucket.level -= amount
        return wait, hit if wait > 0 else "", {name: bucket.state() for name, bucket, _ in buckets}

    def _new(self, per_minute: int, now: float) -> _Bucket | _Minute:
        if self.minutes:
            return _Minute(per_minute, 0.0, now - now % 60.0)
        return _Bucket(per_minute, self.burst, 0.0, now)
