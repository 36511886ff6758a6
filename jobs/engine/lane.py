"""A lane: what one slice has waiting and in flight on one connection and model, and what holds it."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jobs.engine.fairness import Ready
from jobs.engine.level import Level
from jobs.engine.limits import GRANT_S, HORIZON_S, SLOT_S, Ask, Limits, Permits
from jobs.engine.pace import Seen
from jobs.engine.records import Claimed
from jobs.failures import POLICIES, Action, FailureClass
from jobs.providers.types import Outcome

# Calls one slice keeps in flight on a lane at most: beyond it, more processes serve better.
CEILING = 512
# Records claimed ahead of sending: what leaves in this time (a claim waits for the settles before it),
# and few enough to give back.
AHEAD_S = 0.2
LOOKAHEAD = 256
FIRST_CLAIM = 16
# Records of a team that may always wait here at least, whatever the others have waiting.
TEAM_LOOKAHEAD = 2
# A call that was not sent away by then was let in, however long its answer takes.
LET_IN_S = 2.0
# What an answer is thought to be before the first one came, tokens.
FIRST_GUESS_OUTPUT = 200.0
_SMOOTHING = 0.05


class Estimate:
    """What the calls of one job take in tokens, learned from its answers: the first weigh most."""

    __slots__ = ("answers", "input_ratio", "output")

    def __init__(self) -> None:
        self.answers = 0
        self.input_ratio = 1.0  # what was counted, over what was estimated from the text
        self.output = FIRST_GUESS_OUTPUT

    def learn(self, estimated: int, used_in: int, used_out: int) -> None:
        self.answers += 1
        weight = max(_SMOOTHING, 1.0 / self.answers)
        self.input_ratio += weight * (used_in / max(1, estimated) - self.input_ratio)
        self.output += weight * (used_out - self.output)


class Lane:
    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.permits: Permits | None = None  # until the first tick nothing is known, nothing sent
        self.slots: deque[float] = deque()  # monotonic
        self.level = Level(ceiling=min(CEILING, limits.max_in_flight or CEILING))
        self.ready = Ready()
        self.in_flight = 0
        self.cooldown_until = 0.0  # monotonic
        self.cooldown_ends: datetime | None = None  # the same, for people
        self.estimates: dict[int, Estimate] = {}  # by job
        self.input_tokens_each = FIRST_GUESS_OUTPUT
        self.output_tokens_each = FIRST_GUESS_OUTPUT
        self.used_at = now
        self._granted_until = 0.0
        self._held_back = False
        self._handed = 0  # slots at the last tick that brought some
        self._told_until = 0.0
        self._told: tuple[int | None, int | None, bool] = (None, None, True)
        self._seen = _Tally()
        self._awaited: deque[Claimed] = deque()  # in flight for less than `LET_IN_S`, some ended

    # --- how much ---------------------------------------------------------------------------
    @property
    def rationed(self) -> bool:
        return self.permits is not None and self.permits.rate is not None

    def capacity(self) -> int:
        """Calls that may be in flight now."""
        level = int(self.level.value)
        granted = self.permits.in_flight if self.permits is not None else None
        return level if granted is None else min(level, granted)

    def lookahead(self) -> int:
        if self.rationed:
            # Holding more than seconds' worth only blocks others.
            return min(LOOKAHEAD, max(4, 2 * self._handed))
        if not self.level.took:
            return min(LOOKAHEAD, max(8, self.capacity()))
        return min(LOOKAHEAD, max(8, int(self.capacity() / self.level.took * AHEAD_S)))

    def room(self, now: float, team: int) -> int:
        """Records of a team worth claiming now."""
        if now < self.cooldown_until:
            return 0
        room = self.lookahead() - len(self.ready)
        if not self.rationed:
            room += self.capacity() - self.in_flight
        share = max(TEAM_LOOKAHEAD, self.lookahead() // (1 + self.ready.teams))
        return max(0, room, share - self.ready.of(team))

    def hungry(self) -> bool:
        return len(self.ready) < self.lookahead() / 2

    def want(self) -> int:
        """Calls this slice could send within the horizon for which slots are handed out."""
        if not self.ready:
            return 1 if self.in_flight else 0
        turnover = self.in_flight * HORIZON_S / max(0.01, self.level.took or HORIZON_S)
        return max(1, int(self.capacity() - self.in_flight + turnover)) - len(self.slots)

    # --- sending ----------------------------------------------------------------------------
    def next_to_send(self, now: float) -> Claimed | None:
        """The next record if a call may leave; the permit is used up by asking."""
        permits = self.permits
        if not self.ready or permits is None or self._held_back or now < self.cooldown_until:
            return None
        if self.in_flight >= self.capacity():
            return None
        if permits.in_flight is not None and now > self._granted_until:
            return None  # others may have this share by now
        if permits.rate is not None:
            while self.slots and self.slots[0] < now - SLOT_S:
                self.slots.popleft()
            if not self.slots or self.slots[0] > now:
                return None
        record = self.ready.first()
        wanted_in, wanted_out = self._wanted(record)
        if self._short_of_tokens(permits, wanted_in, wanted_out):
            return None
        if permits.input_tokens is not None:
            permits.input_tokens -= wanted_in
        if permits.output_tokens is not None:
            permits.output_tokens -= wanted_out
        if permits.rate is not None:
            self.slots.popleft()
        record = self.ready.pop()
        record.input_estimate, record.output_estimate = wanted_in, wanted_out
        record.sent_at, record.epoch = now, permits.epoch
        self._awaited.append(record)
        self.in_flight += 1
        self.used_at = now
        return record

    def _wanted(self, record: Claimed) -> tuple[float, float]:
        """Input and output tokens that its call is thought to take."""
        estimate = self._estimate_of(record)
        return record.input_tokens * estimate.input_ratio, estimate.output

    def _short_of_tokens(self, permits: Permits, wanted_in: float, wanted_out: float) -> bool:
        limits = self.limits
        return _short(
            permits.input_tokens, wanted_in, self.input_tokens_each, limits.input_tpm
        ) or _short(permits.output_tokens, wanted_out, self.output_tokens_each, limits.output_tpm)

    def waits_for_tokens(self) -> bool:
        """Whether the next call has to wait for them: a large one may for long, with nothing wrong."""
        if self.permits is None or not self.ready:
            return False
        return self._short_of_tokens(self.permits, *self._wanted(self.ready.first()))

    def next_slot(self) -> float | None:
        """When the next call may leave, if it is a slot that it waits for."""
        return self.slots[0] if self.slots and self.ready else None

    def _estimate_of(self, record: Claimed) -> Estimate:
        found = self.estimates.get(record.job_id)
        if found is None:
            found = self.estimates[record.job_id] = Estimate()
        return found

    def ended(self) -> None:
        """A call is over, however it ended."""
        self.in_flight -= 1

    # --- what comes back --------------------------------------------------------------------
    def answered(self, record: Claimed, outcome: Outcome, now: float) -> None:
        """Learn from an answer; give back, or draw further, what it took otherwise than was thought."""
        self._settle_tokens(record, outcome)
        hints = outcome.hints
        if hints.limit_requests or hints.limit_tokens:
            self._told = (
                hints.limit_requests or None, hints.limit_tokens or None, hints.tokens_cover_output,
            )  # fmt: skip
            if not self.rationed:
                self._held_back = True  # there is a limit: nothing more until the next tick tells
        if outcome.http_status is None:
            return  # nobody said anything
        refused = outcome.failure is not None and (POLICIES[outcome.failure].action is Action.WAIT)
        if outcome.failure is FailureClass.OVERLOADED and self._seen.accepted:
            return  # the others' load; a cool-down answers it, unless nobody is let in
        if refused or not record.told:
            self._tell(record, now, refused, hints.retry_after)
        if outcome.failure is None:
            self.level.succeeded(now - record.sent_at)

    def _tell(
        self, record: Claimed, now: float, refused: bool = False, retry_after: float | None = None
    ) -> None:
        record.told = True
        epoch = self.permits.epoch if self.permits is not None else 0
        self._seen.add(refused, record.epoch == epoch, now - record.sent_at, retry_after)

    def _tell_of_long_calls(self, now: float) -> None:
        while self._awaited and self._awaited[0].sent_at <= now - LET_IN_S:
            record = self._awaited.popleft()
            if not record.told:
                self._tell(record, now)

    def _settle_tokens(self, record: Claimed, outcome: Outcome) -> None:
        usage = outcome.usage
        if usage is not None:
            used_in, used_out = float(usage.input_tokens), float(usage.output_tokens)
        elif outcome.charged is None:
            return  # it may have been answered: counted as was thought
        else:
            used_in = used_out = 0.0
        permits = self.permits
        if permits is not None and permits.input_tokens is not None:
            permits.input_tokens += record.input_estimate - used_in
        if permits is not None and permits.output_tokens is not None:
            permits.output_tokens += record.output_estimate - used_out
        if usage is not None and outcome.failure is None:
            self._estimate_of(record).learn(
                record.input_tokens, usage.input_tokens, usage.output_tokens
            )
            self.input_tokens_each += _SMOOTHING * (used_in - self.input_tokens_each)
            self.output_tokens_each += _SMOOTHING * (used_out - self.output_tokens_each)

    def throttled(self, record: Claimed, now: float, retry_after: float | None) -> float:
        """Take note of a 429 or 529; returns the cool-down in seconds."""
        shut = self.permits is not None and self.permits.knocking
        seconds = self.level.throttled(record.sent_at, now, retry_after, shut)
        self.cooldown_until = max(self.cooldown_until, now + seconds)
        self.slots.clear()
        return self.cooldown_until - now

    def should_tell(self) -> bool:
        """Whether the other slices do not know of this cool-down yet; asked once per burst."""
        if self.cooldown_until <= self._told_until + 0.25:
            return False
        self._told_until = self.cooldown_until
        return True

    def withdraw(self, which: Callable[[Claimed], bool]) -> list[Claimed]:
        """Take matching records, not yet sent, out of the queue."""
        return self.ready.withdraw(which)

    # --- ticks ------------------------------------------------------------------------------
    def ask(self) -> Ask:
        """What to ask the shared state for, and what to tell it. Once a tick."""
        permits = self.permits or Permits()
        requests, tokens, cover_output = self._told
        seen, self._seen = self._seen, _Tally()
        return Ask(
            want=max(0, self.want()),
            in_flight=self.in_flight,
            waiting=bool(self.ready),
            input_tokens=permits.input_tokens,
            output_tokens=permits.output_tokens,
            input_tokens_each=self.input_tokens_each,
            output_tokens_each=self.output_tokens_each,
            tokens_told=tokens,
            told_counts_output=cover_output,
            seen=seen.told(permits.epoch, requests),
        )

    def refill(
        self,
        permits: Permits,
        asked: Ask,
        cooldown: datetime | None,
        wall: datetime,
        now: float,
    ) -> None:
        """Take what was granted; tokens that came back in the meantime are added to it."""
        if self.permits is not None:
            _add_change(permits, self.permits, asked)
        self.permits, self._held_back = permits, False
        self._tell_of_long_calls(now)
        self._granted_until = now + GRANT_S
        self.level.ceiling = min(CEILING, self.limits.max_in_flight or CEILING)
        if cooldown is not None and cooldown > wall:
            self.cooldown_until = max(self.cooldown_until, now + (cooldown - wall).total_seconds())
            self.cooldown_ends = cooldown
        elif now >= self.cooldown_until:
            self.cooldown_ends = None
        if permits.slots is None:
            self.slots.clear()
            return
        late = wall.timestamp() - now
        if now < self.cooldown_until:
            self.slots = deque(slot for slot in self.slots if slot >= self.cooldown_until)
        self.slots.extend(
            at for slot in permits.slots if (at := slot - late) >= self.cooldown_until
        )
        if permits.slots:
            self._handed = len(permits.slots)

    def idle(self, now: float) -> bool:
        return not self.ready and not self.in_flight and now - self.used_at > 5.0

    def report(self, now: float) -> dict[str, Any]:
        """For the pages: the level, what is in flight, and in words what holds it there."""
        return {
            "level": self.capacity(),
            "in_flight": self.in_flight,
            "ready": len(self.ready),
            "rate": self.permits.rate if self.permits is not None else None,
            "why": self.why(now),
            "tokens_short": self.waits_for_tokens(),
        }

    def why(self, now: float) -> str:
        permits, limits = self.permits, self.limits
        if permits is None:
            return "starting"
        if now < self.cooldown_until:
            if self.cooldown_ends is not None:
                return f"waiting for Retry-After until {self.cooldown_ends:%H:%M:%S} UTC"
            return f"waiting for the rate limit, {self.cooldown_until - now:.0f} s"
        if permits.knocking:
            return "the provider lets no call in; asking with one at a time"
        if permits.in_flight is not None and self.in_flight >= permits.in_flight:
            return f"your connection's max in flight {limits.max_in_flight:,}"
        if self.ready and permits.input_tokens is not None and permits.input_tokens <= 0:
            return f"your connection's limit of {limits.input_tpm:,} input tokens/min"
        if self.ready and permits.output_tokens is not None and permits.output_tokens <= 0:
            return f"your connection's limit of {limits.output_tpm:,} output tokens/min"
        if self.in_flight >= CEILING:
            return f"this worker's ceiling of {CEILING} calls in flight"
        if self.in_flight >= int(self.level.value):
            if self.level.slow:
                return f"the provider is slow: {self.level.took:.1f} s a call"
            return "ramping up"
        if self.ready and permits.rate is not None:
            if permits.configured:
                return f"your connection's limit of {limits.rpm:,} requests/min"
            return f"provider limit about {rounded(permits.rate):,}/min"
        return "worker processes busy" if self.ready else "nothing waiting"


class _Tally:
    """What came back since the last tick."""

    __slots__ = ("accepted", "late", "passed", "refused", "retry_after", "seconds")

    def __init__(self) -> None:
        self.accepted = self.passed = self.refused = self.late = 0
        self.retry_after: float | None = None
        self.seconds = 0.0

    def add(self, refused: bool, current: bool, took: float, retry_after: float | None) -> None:
        if not refused:
            self.accepted += 1
            self.passed += current
            self.seconds += took
            return
        self.refused += current
        self.late += not current
        if retry_after is not None:
            self.retry_after = max(self.retry_after or 0.0, retry_after)

    def told(self, epoch: int, limit: int | None) -> Seen:
        return Seen(
            epoch=epoch,
            accepted=self.accepted,
            passed=self.passed,
            refused=self.refused,
            late=self.late,
            retry_after=self.retry_after,
            round_trip=self.seconds / self.accepted if self.accepted else None,
            limit=limit,
        )


def _short(held: float | None, wanted: float, each: float, limit: int | None) -> bool:
    """Whether these tokens do not cover a call; of one larger than usual, a usual one's will do, and
    of one too large for the bucket, what the bucket holds."""
    if held is None or limit is None:
        return False
    return held <= 0 or held < min(wanted, each, 0.09 * limit)


def _add_change(new: Permits, held: Permits, asked: Ask) -> None:
    """While the store was asked, calls were sent and answered: their tokens count too."""
    if new.input_tokens is not None and held.input_tokens is not None:
        new.input_tokens += held.input_tokens - (asked.input_tokens or 0.0)
    if new.output_tokens is not None and held.output_tokens is not None:
        new.output_tokens += held.output_tokens - (asked.output_tokens or 0.0)


def rounded(rate: float) -> int:
    """Two digits: nobody knows it better."""
    size: int = 10 ** max(0, len(str(int(rate))) - 2)
    return max(1, round(rate / size) * size)
