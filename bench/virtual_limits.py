"""Slices against a provider's limit in virtual time: the engine's own lanes and shared state, and the
simulator's own limits, under a clock that jumps from event to event. Minutes take moments, and the
same seed gives the same run."""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from jobs.engine.lane import Lane
from jobs.engine.limits import Limits, SharedState, take
from jobs.engine.records import Claimed
from jobs.failures import FailureClass
from jobs.providers.types import Outcome, RateHints, Usage
from jobs.simulator.limits import Limits as ProviderLimits

TICK_S = 0.5
BEGIN = 1_800_000_020.0  # 20 seconds into a minute
TODAY = datetime.fromtimestamp(BEGIN, UTC).date()
TOKENS = (100, 50)  # of a call, in and out


@dataclass(frozen=True, slots=True)
class Provider:
    """What the provider allows, how it counts, what it tells and how long it takes.

    `kind`: "bucket" (a minute's worth at once), "tight" (two seconds' worth) or "minutes" (fixed ones).
    `headers`: "all", "retry-after" or "none".
    """

    rpm: int
    kind: str = "bucket"
    headers: str = "all"
    latency: float = 0.4
    jitter: float = 0.5
    sheds: float = 0.0  # the share that is sent away at random, with no word of any limit

    def hints(self, limit: int, remaining: int, reset: float, wait: float) -> RateHints:
        if self.headers == "none":
            return RateHints()
        told = None if wait <= 0 else float(max(1, -int(-wait // 1)))
        if self.headers == "retry-after":
            return RateHints(retry_after=told)
        return RateHints(told, limit, remaining, reset)


@dataclass(slots=True)
class Run:
    """One run: `limits` are what the connection is configured with, `changes` (after seconds, rpm) what
    becomes of the provider's limit."""

    provider: Provider
    slices: int = 1
    seconds: float = 120.0
    changes: tuple[tuple[float, int], ...] = ()
    limits: Limits = field(default_factory=Limits)
    deaths: tuple[tuple[float, int], ...] = ()  # after seconds, slice
    lulls: tuple[
        tuple[float, float], ...
    ] = ()  # from and until: nothing to send, as after a cancel
    teams: tuple[int, ...] = (1,)
    seed: int = 1
    tokens: tuple[int, int] = TOKENS  # what a call takes
    thought: int = TOKENS[0]  # what its text is estimated at
    begin: float = 0.0  # after so many seconds, with a state that others left
    # What came of it.
    sent: list[float] = field(default_factory=list)
    accepted: Counter[int] = field(default_factory=Counter)  # by second since the start
    refused: Counter[int] = field(default_factory=Counter)
    by_team: Counter[int] = field(default_factory=Counter)
    used_tokens: list[tuple[float, int, int]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    sent_by: Counter[tuple[str, int]] = field(default_factory=Counter)  # slice, second
    whys: Counter[str] = field(default_factory=Counter)
    state: SharedState = field(default_factory=SharedState)
    now: float = BEGIN
    cooldown: float = 0.0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def run(self) -> "Run":
        rng = random.Random(self.seed)
        self.now = BEGIN + self.begin
        provider = _Counting(self)
        lanes = [_Slice(self, n, provider, rng) for n in range(self.slices)]
        for n, one in enumerate(lanes):
            self.at(self.now + n * TICK_S / self.slices * rng.uniform(0.3, 1.0), one.tick)
        for after, rpm in self.changes:
            self.at(BEGIN + after, partial(provider.change, rpm))
        for _, until in self.lulls:
            for one in lanes:
                self.at(BEGIN + until, one.send)
        for after, n in self.deaths:
            self.at(BEGIN + after, lanes[n].die)
        while self._events and self._events[0][0] < BEGIN + self.seconds:
            self.now, _, event = heapq.heappop(self._events)
            event()
        return self

    def at(self, moment: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (moment, self._count, event))

    # --- what came of it --------------------------------------------------------------------
    def used(self, begin: float, end: float, rpm: int) -> float:
        """Of what a limit allows between two moments, the share that was used."""
        accepted = sum(self.accepted[second] for second in range(int(begin), int(end)))
        return accepted / (rpm * (end - begin) / 60.0)

    def refused_share(self, begin: float, end: float) -> float:
        """Of the calls between two moments, the share that was answered with 429."""
        spell = range(int(begin), int(end))
        refused = sum(self.refused[second] for second in spell)
        return refused / max(1, refused + sum(self.accepted[second] for second in spell))

    def seconds_to_level(self, begin: float, end: float, rpm: int) -> float | None:
        """After how long half a minute, or one of few calls, uses 95% and has less than 4% refused;
        None: never."""
        spell = 30 if rpm > 120 else 60
        for second in range(int(begin), int(end) - spell):
            used = self.used(second, second + spell, rpm)
            if used >= 0.945 and self.refused_share(second, second + spell) < 0.04:
                return second - begin
        return None

    def most_a_minute(self) -> int:
        """The most calls that left within any 60 seconds."""
        most = first = 0
        for last, moment in enumerate(self.sent):
            while self.sent[first] <= moment - 60.0:
                first += 1
            most = max(most, last - first + 1)
        return most


class _Counting:
    """The provider: counts and answers."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rng = random.Random(run.seed)
        self.limits = ProviderLimits(lambda: run.now)
        self.change(run.provider.rpm)

    def change(self, rpm: int) -> None:
        kind = self.run.provider.kind
        burst = 2.0 if kind == "tight" else 60.0
        self.limits.set(rpm=rpm, tpm=0, output_tpm=0, burst=burst, minutes=kind == "minutes")

    def ask(self) -> Outcome:
        run = self.run
        if run.provider.sheds and self.rng.random() < run.provider.sheds:
            run.refused[int(run.now - BEGIN)] += 1
            return Outcome(FailureClass.RATE_LIMITED, "", http_status=429)
        if run.provider.rpm == 0:
            return self._right(RateHints())
        wait, _, states = self.limits.take("m", 0, None)
        state = states["requests"]
        hints = run.provider.hints(state.limit, state.remaining, state.reset, wait)
        second = int(run.now - BEGIN)
        if wait > 0:
            run.refused[second] += 1
            return Outcome(FailureClass.RATE_LIMITED, "", http_status=429, hints=hints)
        run.accepted[second] += 1
        return self._right(hints)

    def _right(self, hints: RateHints) -> Outcome:
        usage = Usage(input_tokens=self.run.tokens[0], output_tokens=self.run.tokens[1])
        return Outcome(http_status=200, usage=usage, charged=True, hints=hints)


class _Slice:
    """What `jobs.engine.slice` does with a lane, with no database and no wire."""

    def __init__(self, run: Run, n: int, provider: _Counting, rng: random.Random) -> None:
        self.run, self.provider, self.rng, self.name = run, provider, rng, str(n)
        self.lane = Lane(run.limits, run.now)
        self.alarm = 0.0
        self.made = 0
        self.dead = False

    def die(self) -> None:
        self.dead = True

    def tick(self) -> None:
        if self.dead:
            return
        run, lane = self.run, self.lane
        self.fill()
        ask = lane.ask()
        state = SharedState.load(run.state.dump())
        permits = take(state, run.limits, self.name, ask, now=run.now, cooldown=run.cooldown)
        run.state = state
        until = datetime.fromtimestamp(run.cooldown, UTC) if run.cooldown else None
        lane.refill(permits, ask, until, datetime.fromtimestamp(run.now, UTC), run.now)
        run.whys[lane.why(run.now)] += 1
        self.send()
        run.at(run.now + TICK_S * self.rng.uniform(0.98, 1.1), self.tick)

    def fill(self) -> None:
        since = self.run.now - BEGIN
        if any(begin <= since < end for begin, end in self.run.lulls):
            self.lane.withdraw(lambda record: True)
            return
        if len(self.lane.ready) > 8 and len(self.run.teams) == 1:
            return
        for team in self.run.teams:
            for _ in range(self.lane.room(self.run.now, team)):
                self.made += 1
                record = Claimed(
                    team, self.made, "", 1, 0, 0, None, 0, 0, self.run.now, TODAY, {}, team_id=team
                )
                record.input_tokens = self.run.thought
                self.lane.ready.append(record)

    def send(self) -> None:
        run, lane = self.run, self.lane
        if self.dead:
            return
        self.fill()
        while (record := lane.next_to_send(run.now)) is not None:
            outcome = self.provider.ask()
            run.sent.append(run.now)
            run.sent_by[self.name, int(run.now - BEGIN)] += 1
            run.in_flight += 1
            run.most_in_flight = max(run.most_in_flight, run.in_flight)
            run.by_team[record.team_id] += 1
            run.used_tokens.append((run.now, *run.tokens))
            took = run.provider.latency * (1 + run.provider.jitter * self.rng.uniform(-1, 1))
            if outcome.failure is not None:
                took = min(0.3 * took, 0.3)  # no is said soon
            run.at(run.now + took, partial(self.answer, record, outcome))
            self.fill()
        slot = lane.next_slot()
        if slot is not None and slot > run.now and not (run.now < self.alarm <= slot):
            self.alarm = slot
            run.at(slot, self.send)

    def answer(self, record: Claimed, outcome: Outcome) -> None:
        self.run.in_flight -= 1
        if self.dead:
            return
        run, lane = self.run, self.lane
        lane.answered(record, outcome, run.now)
        if outcome.failure is not None:
            seconds = lane.throttled(record, run.now, outcome.hints.retry_after)
            if lane.should_tell():
                run.cooldown = max(run.cooldown, run.now + seconds)
        lane.ended()
        self.send()


# What happens to the provider's limit: a name, and how often the first limit it is.
PHASES = (("cold", 1), ("doubled", 2), ("halved", 1))


def phase_length(rpm: int) -> float:
    """Seconds in which there are calls enough to tell one in a hundred."""
    if rpm < 100:
        return 1200.0
    return 600.0 if rpm < 500 else 360.0 if rpm < 5_000 else 180.0


def levels(
    rpm: int, kind: str, headers: str, slices: int, *, seed: int = 1
) -> list[dict[str, Any]]:
    """From cold, then with the limit doubled, then with it halved: a row of figures for each."""
    length = phase_length(rpm)
    moments = [n * length for n in range(len(PHASES) + 1)]
    changes = tuple((moments[n], rpm * PHASES[n][1]) for n in range(1, len(PHASES)))
    run = Run(Provider(rpm, kind, headers), slices, moments[-1], changes, seed=seed).run()
    rows: list[dict[str, Any]] = []
    for (name, times), begin, end in zip(PHASES, moments, moments[1:], strict=False):
        limit = rpm * times
        level = run.seconds_to_level(begin, end, limit)
        # A bucket that was full hides a lower limit until it is empty.
        felt = next((s for s in range(int(begin), int(end)) if run.refused[s]), int(begin))
        settled = 60.0 + (felt if name == "halved" else begin)
        settled = min(end - 60.0, max(settled, begin + (level or 0.0)))
        settled = end - (end - settled) // 60.0 * 60.0  # whole minutes: some providers count these
        rows.append(
            {
                "rpm": limit, "kind": kind, "headers": headers, "slices": slices, "phase": name,
                "used": run.used(settled, end, limit),
                "refused": run.refused_share(settled, end),
                "refused_all": run.refused_share(begin, end),
                "seconds": level,
            }
        )  # fmt: skip
    return rows
