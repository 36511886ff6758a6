"""The limits of a connection and model, shared by all slices.

`take` is the pure half: given the shared state, what one slice may do until its next tick. The
store runs it under a lock on the `LimitState` row, so that no number of slices exceeds what is
configured. A slice takes permits for the near future only; what a dying slice held is lost for one
tick (requests, tokens) or until its grant runs out (in flight).

Buckets hold at most one second's worth: a provider counts its own minute, and a burst saved up over
a quiet minute is what it answers with 429.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BURST_S = 1.0
# A slice that has not renewed its in-flight grant for so long is gone, and its share free.
GRANT_S = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """As configured on the connection; None is unlimited."""

    rpm: int | None = None
    input_tpm: int | None = None
    output_tpm: int | None = None
    max_in_flight: int | None = None

    @property
    def any(self) -> bool:
        return any(
            limit is not None
            for limit in (self.rpm, self.input_tpm, self.output_tpm, self.max_in_flight)
        )


@dataclass(slots=True)
class Permits:
    """What a slice may still do: requests and tokens left, calls in flight at most. None: no limit.

    Tokens may go below zero, when answers were longer than was thought; then nothing is sent until
    the bucket has made up for it.
    """

    requests: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    in_flight: int | None = None


@dataclass(slots=True)
class SharedState:
    """What stands in `LimitState.state`. Times are seconds of the database's clock."""

    requests: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    at: float = 0.0
    grants: dict[str, tuple[int, float]] = field(default_factory=dict)  # slice -> (n, until)

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> "SharedState":
        return cls(
            requests=data.get("requests", 0.0),
            input_tokens=data.get("input_tokens", 0.0),
            output_tokens=data.get("output_tokens", 0.0),
            at=data.get("at", 0.0),
            grants={k: (v[0], v[1]) for k, v in data.get("grants", {}).items()},
        )

    def dump(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "at": self.at,
            "grants": {k: list(v) for k, v in self.grants.items()},
        }


def _draw(
    level: float, per_minute: int | None, elapsed: float, held: float | None, want: float
) -> tuple[float, float | None]:
    """Refill one bucket and move what a slice wants out of it.

    Returns (what is left in the bucket, what the slice holds now or None if unlimited).
    """
    if per_minute is None:
        return 0.0, None
    rate = per_minute / 60.0
    level = min(level + rate * elapsed, max(1.0, rate * BURST_S))
    held = held or 0.0
    # A whole permit is needed to send; debt (held < 0) is paid off first.
    draw = min(level, max(0.0, want - held))
    return level - draw, held + draw


def take(
    state: SharedState,
    limits: Limits,
    slice_id: str,
    held: Permits,
    *,
    in_flight: int,
    want: int,
    input_tokens_each: float,
    output_tokens_each: float,
    now: float,
) -> Permits:
    """Move permits from the shared state to a slice that would like to send `want` calls before its
    next tick. Changes `state`; returns all that the slice holds thereafter."""
    elapsed = max(0.0, min(now - state.at, 60.0)) if state.at else BURST_S
    live = {k: v for k, v in state.grants.items() if v[1] > now and k != slice_id}
    fair = 1 + len(live)
    result = Permits()
    state.requests, result.requests = _draw(
        state.requests, limits.rpm, elapsed, held.requests, float(want)
    )
    state.input_tokens, result.input_tokens = _draw(
        state.input_tokens, limits.input_tpm, elapsed, held.input_tokens, want * input_tokens_each
    )
    state.output_tokens, result.output_tokens = _draw(
        state.output_tokens,
        limits.output_tpm,
        elapsed,
        held.output_tokens,
        want * output_tokens_each,
    )
    granted = want + in_flight
    if limits.max_in_flight is not None:
        taken = sum(grant for grant, _ in live.values())
        free = limits.max_in_flight - taken
        # Never below what is already in flight: those calls cannot be called back.
        target = max(1, limits.max_in_flight // fair)
        granted = max(in_flight, min(max(0, free), target))
        result.in_flight = granted
    state.grants = live
    if want or in_flight:
        state.grants[slice_id] = (granted, now + GRANT_S)
    state.at = now
    return result


@dataclass(slots=True)
class Level:
    """How many calls one slice keeps in flight on one connection and model: grows on success, is cut
    once for each burst of 429s. The ceiling is the slice's own.

    It starts doubling each round trip, and grows by one each round trip after the first cut.
    """

    ceiling: int
    value: float = 8.0
    cut: bool = False  # has ever been cut: no more doubling
    quiet_until: float = 0.0  # a 429 before this belongs to the burst already answered for
    bursts: int = 0  # in a row, for the cool-down where the provider names none

    def succeeded(self) -> None:
        self.bursts = 0
        self.value = min(self.ceiling, self.value + (1.0 / self.value if self.cut else 1.0))

    def throttled(self, now: float, retry_after: float | None) -> float:
        """Take note of a 429 or 529 and return the cool-down in seconds from now."""
        if now >= self.quiet_until:
            self.cut = True
            self.value = max(1.0, self.value / 2)
            self.bursts += 1
        cooldown = (
            retry_after if retry_after is not None else min(60.0, 0.25 * 2 ** (self.bursts - 1))
        )
        self.quiet_until = max(self.quiet_until, now + cooldown)
        return cooldown
