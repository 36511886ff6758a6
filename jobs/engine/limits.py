"""The limits of a connection and model, shared by all slices: what is configured, what the provider's
headers tell, and the pace that its 429s taught (`jobs.engine.pace`).

`take` is the pure half: given the shared state, what one slice may do until its next tick. The
store runs it under a lock on the `LimitState` row, so that no number of slices exceeds what is
configured.

Requests are handed out as *slots*, the moments at which one call may leave, evenly spaced over all
slices: there is no burst, and no minute holds more than its share, wherever it begins. A slot that is
not used in time is void, and so are those of a slice that dies: nothing has to be given back. Tokens
are drawn from buckets that hold about a second's worth; what a slice did not use goes back at its next
tick, and what an answer took beyond the estimate is a debt that all slices pay off.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.engine.history import Minute, note
from jobs.engine.pace import KEEP, Pace, Seen

# How far ahead slots are handed out: over two ticks, so that a late tick leaves no gap.
HORIZON_S = 1.0
# A slot is void when it was not used for so long.
SLOT_S = 0.5
# Tokens a bucket holds, in seconds of its limit; single calls may need more.
BURST_S = 1.0
# A slice that has not renewed its in-flight grant for so long is gone, and its share free.
GRANT_S = 6.0


@dataclass(frozen=True, slots=True)
class Limits:
    """As configured on the connection; None is unlimited."""

    rpm: int | None = None
    input_tpm: int | None = None
    output_tpm: int | None = None
    max_in_flight: int | None = None


@dataclass(slots=True)
class Permits:
    """What a slice may do. None: no limit.

    `slots` are moments on the database's clock. Tokens may go below zero, when answers were longer
    than was thought; then nothing is sent until that is made up for.
    """

    slots: list[float] | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    in_flight: int | None = None
    rate: float | None = None  # requests/min of all slices together
    configured: bool = False  # that rate is the connection's own limit, not what was found
    knocking: bool = False  # the provider lets nobody in; one call at a time asks
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """What a slice asks for at a tick, what it still holds, and what it saw since the last."""

    want: int  # calls it could send until its next tick but one
    in_flight: int = 0
    waiting: bool = False  # records wait to be sent
    input_tokens: float | None = None  # held
    output_tokens: float | None = None
    input_tokens_each: float = 0.0
    output_tokens_each: float = 0.0
    tokens_told: int | None = None  # tokens/min that headers tell
    told_counts_output: bool = True
    seen: Seen = field(default_factory=Seen)


@dataclass(slots=True)
class SharedState:
    """What stands in `LimitState.state`. Times are seconds of the database's clock."""

    input_tokens: float = 0.0
    output_tokens: float = 0.0
    at: float = 0.0
    next_slot: float = 0.0
    grants: dict[str, tuple[int, float]] = field(default_factory=dict)  # slice -> (n, until)
    pace: Pace = field(default_factory=Pace)
    past: list[Minute] = field(default_factory=list)

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> "SharedState":
        return cls(
            input_tokens=data.get("input_tokens", 0.0),
            output_tokens=data.get("output_tokens", 0.0),
            at=data.get("at", 0.0),
            next_slot=data.get("next_slot", 0.0),
            grants={k: (v[0], v[1]) for k, v in data.get("grants", {}).items()},
            pace=Pace.load(data.get("pace", {})),
            past=data.get("past", []),
        )

    def dump(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "at": self.at,
            "next_slot": self.next_slot,
            "grants": {k: list(v) for k, v in self.grants.items()},
            "pace": self.pace.dump(),
            "past": self.past,
        }


def take(
    state: SharedState, limits: Limits, slice_id: str, ask: Ask, *, now: float, cooldown: float
) -> Permits:
    """Move permits from the shared state to a slice, and take in what it saw. Changes `state`.

    `cooldown` is when the shared cool-down ends, 0 if there is none.
    """
    pace = state.pace
    pace.learn(ask.seen, now, cooldown)
    elapsed = max(0.0, min(now - state.at, 60.0)) if state.at else BURST_S
    live = {k: v for k, v in state.grants.items() if v[1] > now and k != slice_id}
    permits = Permits(epoch=pace.epoch, knocking=pace.knocking)
    permits.rate, permits.configured = _rate(limits, pace, ask)
    seen = ask.seen
    note(state.past, now, seen.accepted, seen.refused + seen.late, permits.rate)
    if permits.rate is not None:
        permits.slots = _slots(state, permits, ask.want, 1 + len(live), now, cooldown)
    state.input_tokens, permits.input_tokens = _draw(
        state.input_tokens, limits.input_tpm, elapsed, ask.input_tokens, ask.input_tokens_each,
        ask.want,
    )  # fmt: skip
    state.output_tokens, permits.output_tokens = _draw(
        state.output_tokens, limits.output_tpm, elapsed, ask.output_tokens, ask.output_tokens_each,
        ask.want,
    )  # fmt: skip
    state.grants = live
    at_work = ask.waiting or ask.in_flight > 0 or ask.want > 0
    share = 0
    if limits.max_in_flight is not None:
        free = limits.max_in_flight - sum(grant for grant, _ in live.values())
        target = max(1, limits.max_in_flight // (1 + len(live)))
        # A share that stands nowhere would be given to others too.
        permits.in_flight = share = min(max(0, free), target) if at_work else 0
    if at_work:
        # What is in flight cannot be called back, and is free for others only when it has ended.
        state.grants[slice_id] = (max(ask.in_flight, share), now + GRANT_S)
    state.at = now
    return permits


def _rate(limits: Limits, pace: Pace, ask: Ask) -> tuple[float | None, bool]:
    """Requests/min of all slices together, and whether it is what is configured."""
    found = pace.rate()
    if ask.tokens_told is not None:
        each = ask.input_tokens_each + (ask.output_tokens_each if ask.told_counts_output else 0.0)
        told = KEEP * ask.tokens_told / max(1.0, each)
        found = told if found is None else min(found, told)
    if limits.rpm is None:
        return found, False
    # A minute has one slot more than spaces, and a slot may be used a little late.
    own = max(0.5, limits.rpm - 1) * 60.0 / (60.0 + SLOT_S)
    return (found, False) if found is not None and found < own else (own, True)


def _slots(
    state: SharedState, permits: Permits, want: int, slices: int, now: float, cooldown: float
) -> list[float]:
    assert permits.rate is not None
    pace, interval = state.pace, 60.0 / permits.rate
    start = max(state.next_slot, now, cooldown)
    if permits.knocking:
        start = max(start, pace.knock_at)
        if not want or start >= now + HORIZON_S:
            return []
        pace.knocked = start
        pace.knock_at = start + max(1.0, 1.5 * pace.round_trip + HORIZON_S)
        state.next_slot = start + interval
        pace.hand_out(1, 0.0, now)
        return [start]
    # No more than a fair share at once, or who ticks first takes all.
    want = min(want, max(1, math.ceil(HORIZON_S / interval / slices)))
    slots: list[float] = []
    while len(slots) < want and start < now + HORIZON_S:
        slots.append(start)
        start += interval
    if slots:
        state.next_slot = start
        pace.hand_out(len(slots), len(slots) * interval, now)
    return slots


def _draw(
    level: float, limit: int | None, elapsed: float, held: float | None, each: float, want: int
) -> tuple[float, float | None]:
    """Refill one bucket of tokens, put back what a slice held, and let it draw anew.

    Returns (what is left in the bucket, what the slice holds now or None if unlimited).
    """
    if limit is None:
        return 0.0, None
    # A bucket must hold one call, or none would ever leave.
    burst = max(limit / 60.0 * BURST_S, min(each, limit / 10.0))
    rate = max(limit / 120.0, limit - 1.5 * burst) / 60.0
    level = min(level + (held or 0.0) + rate * elapsed, burst)
    draw = min(level, want * each)
    if draw < min(each, burst * 0.999):
        draw = 0.0  # not yet enough for one call
    return level - draw, draw
