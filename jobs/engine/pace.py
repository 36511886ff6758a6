"""How many requests a minute a provider bears, found from its answers and shared by all slices.

Calls in flight cannot be what is regulated: a quick provider with a small limit is over it with two
calls in flight. So the first 429 gives way to a *pace*, in requests a minute, which slices hand out
evenly (`jobs.engine.limits`):

- Until a 429 there is no pace: calls in flight double with each round trip.
- A burst of 429s is one cut, whatever its size. What was sent before a slice knew of the cut belongs to
  the burst: each cut begins a new epoch, and each call carries the epoch it was sent in.
- A refusal says that nothing is left. So what was let in between two refusals, over the time between
  them, *is* the limit, whatever the size of the provider's bucket, if the pace was near it for all that
  time. If it was far above, the limit lies between; if few were let in, the next refusal tells more.
- There the pace rests until the 429s are earned back, each by a hundred calls and some; then it tries
  for more, doubling its step: a limit that was raised is found in seconds once it tries. A refusal
  sends it back to a little above the mean, and if that passes for a while, the limit was raised indeed.
  A pace twice what was known is held for a minute, so that a full bucket is not taken for a limit.
- After a burst that shut everybody out, one call knocks at a time, ever more seldom, and when a minute
  of the clock begins, until one is let in. A door that stayed shut for seconds is one that counts in
  fixed minutes: there, what was let in during its minute is the limit.
- Headers that tell a limit set the pace at once, and again when they tell another.

How seldom it may try is arithmetic: of 60 calls a minute one 429 is 1.7%. With one refusal in so many
calls as `COST` allows, and two or three a try, a limit of 60 is tried each five to eight minutes.

Pure: times are parameters, in seconds of the database's clock. `Pace` stands in `LimitState.state`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

# Below this nobody begins to search, requests/min.
FLOOR = 60.0
# Above this there is no limit worth a pace.
BOUNDLESS = 1_000_000.0
# Of all calls, so many may be spent on 429s to learn whether the limit was raised: less than one in a
# hundred, as a try may cost more than was saved up.
COST = 0.007
REST_S = (15.0, 600.0)  # shortest and longest rest below a known limit
REST_TOLD_S = 1_800.0  # where headers tell the limit, there is little to find
KEEP = 0.98  # of what was let in, the pace after a cut
ENOUGH, ENOUGH_S = 20, 5.0  # calls, and seconds, that tell a mean
NEAR = 1.1  # a pace never so much above the mean was near it
CUT = (0.5, 0.95)  # with too few calls to tell a mean: the deepest cut, and the least
CUT_BLIND = 0.7  # the deepest with less than half of them
HEARD_S = 0.3  # until the slices have heard of a cut
FIRST_STEP = 0.02  # of the pace; it doubles each `STEP_S`, or two round trips if they take longer
STEP_S, STEP_CALLS = 3.0, 16
MINUTES_STEP_S = 10.0  # where fixed minutes are counted, and the end of one tells at once
TRY_S = 15.0  # so long a little above the mean with no refusal, and the limit is higher
HOLD_S = 60.0  # so long at twice what was known, before more is tried
# A single 429 among many says little of a limit, some providers shed load at random: no pace is found
# before some came at once.
SICK, SICK_OF = 0.27, 16
DOUBT = 1.5  # a pace so often what is let in was refused for a reason
COLD_S = 30.0  # after the first 429, what is spent on finding a level at all is not owed
SEARCH = 1.5  # the factor of one step of a search: where only a lower bound is known
SEARCH_CALLS = 4  # a step takes so many calls, and a round trip
SHUT_S = 3.0  # shut for so long, or told to wait so long, means counted in minutes
KNOCK_S = 10.0  # between two knocks at most
_BIN_S = 2.0
_BINS = 30  # a minute


@dataclass(frozen=True, slots=True)
class Seen:
    """What a slice saw on one connection and model since it last told."""

    epoch: int = 0  # what it knew of when it sent the calls counted in `passed` and `refused`
    accepted: int = 0  # let in, all of them
    passed: int = 0  # of them, sent in `epoch`
    refused: int = 0  # answered with 429 or 529, sent in `epoch`
    late: int = 0  # the same, sent before: of a burst that was answered for
    retry_after: float | None = None  # the longest told
    round_trip: float | None = None  # seconds, mean
    limit: int | None = None  # requests/min as told by headers


@dataclass(slots=True)
class Pace:
    base: float | None = None  # requests/min right after the last cut; None: no limit known
    searching: bool = False  # `base` is a lower bound, and the limit may be far above
    handed: float = 0.0  # seconds' worth of calls handed out since the cut
    steps: float = 0.0  # made upwards since then
    owed: float = 0.0  # 429s not yet earned back
    since: float = 0.0  # when the first pace was found
    # Since a refusal, when nothing was left: what was let in until the next one is the limit's mean.
    mark: float = 0.0
    mark_epoch: int = 0
    let_in: int = 0
    trying: bool = False  # a little above that, to see whether the limit is higher
    doubted: bool = False  # a refusal while searching, taken for noise
    epoch: int = 0
    opened: float = 0.0  # when calls could leave again after the last cut
    passed: int = 0  # in this epoch
    refused: int = 0
    sick: float = 0.0  # the share of 429s among the latest calls
    shut_since: float = 0.0  # the first cut since which nobody was let in; 0: somebody was
    knock_at: float = 0.0
    knocked: float = 0.0  # when the last one did
    refused_at: float = 0.0  # the last one that was sent away
    minutes: bool = False  # the provider counts in fixed minutes, as it seems
    turn: float = 0.0  # when such a minute began, seen from its end; 0: not known
    told: int | None = None  # by headers, requests/min
    round_trip: float = 0.5
    bins: list[list[int]] = field(default_factory=list)  # [time / _BIN_S, calls let in]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> "Pace":
        return cls(**{key: value for key, value in data.items() if key in _NAMES})

    def dump(self) -> dict[str, Any]:
        return asdict(self)

    # --- what it is -------------------------------------------------------------------------
    def rate(self) -> float | None:
        """Requests/min now; None: no limit known."""
        if self.base is None:
            return None
        if self.searching:
            return float(min(BOUNDLESS, self.base * SEARCH ** min(40.0, self.steps)))
        if self.steps <= 0:
            return self.base
        grown = 1 + FIRST_STEP * 2 ** min(40.0, self.steps)
        return float(min(BOUNDLESS, self.base / KEEP * grown))

    def hand_out(self, calls: int, seconds: float, now: float) -> None:
        """Take note of calls that may leave, and of the time that they take up."""
        self.owed = max(-1.0, self.owed - COST * calls)
        self.handed += seconds
        if self.searching:
            step = max(1.0, self.round_trip + 0.5)
            self.steps += min(seconds / step, calls / SEARCH_CALLS)
            self._forget()
            return
        shortest, longest = REST_S
        if self.told is not None and self.base is not None and self.base >= 0.9 * self.told:
            if self.handed > (longest if self.owed > 0 else shortest):
                self.base = max(self.base, KEEP * self.told)
            shortest = longest = REST_TOLD_S
        rested = self.handed > (longest if self.owed > 0 else shortest)
        if rested:
            self.owed = min(0.0, self.owed)
        if rested or (self.trying and self.handed > TRY_S and self.let_in >= 2 * ENOUGH):
            step = MINUTES_STEP_S if self.turn else STEP_S
            self.steps += min(seconds / max(step, 2 * self.round_trip), calls / STEP_CALLS)
            if FIRST_STEP * 2**self.steps >= 1.0:
                # Twice what was known, and still let in: that is known now.
                self.base, self.steps, self.handed = self.rate(), 0.0, shortest - HOLD_S
                self.trying = False
                self._mark(now, self.epoch)
                self._forget()

    def _forget(self) -> None:
        """What no provider allows is no limit."""
        if (self.rate() or 0.0) >= BOUNDLESS:
            self.base, self.searching, self.steps, self.since = None, False, 0.0, 0.0

    @property
    def knocking(self) -> bool:
        """Nobody was let in since the last cut, and a herd would be sent away again."""
        shut = self.shut_since > 0 and self.passed == 0
        return shut and (self.minutes or self.turn > 0 or self.refused > 0)

    # --- what it learns ---------------------------------------------------------------------
    def learn(self, seen: Seen, now: float, reopens: float) -> None:
        """Take in what a slice saw. `reopens` is when the shared cool-down ends."""
        self._count(seen.accepted, now)
        if seen.round_trip is not None:
            self.round_trip += 0.2 * (seen.round_trip - self.round_trip)
        if seen.limit is not None and seen.limit != self.told:
            self._heed(seen.limit, now)
        if not (self.searching or self.base is None) and now - self.since > COLD_S:
            self.owed += seen.refused + seen.late
        if self.shut_since and self.base is not None and (self.searching or self.turn):
            # What others saw let in before everybody was shut out.
            self.base = max(self.base, (1.0 if self.searching else KEEP) * self._minute(now))
        if seen.epoch >= self.mark_epoch:
            self.let_in += seen.passed if seen.epoch == self.mark_epoch else seen.accepted
        if seen.epoch != self.epoch:
            return  # sent before the slice knew of the cut: of that burst
        self.passed += seen.passed
        self.refused += seen.refused
        if seen.passed and self.shut_since:
            # Let in again. After a long wait, a minute's worth is all there is to find.
            self.searching = self.searching and not self.minutes
            self._turn(now)
            self.shut_since, self.refused = 0.0, seen.refused
        if calls := seen.passed + seen.refused:
            # In which order they came is not told: spread evenly.
            share = seen.refused / calls
            self.sick = share + (self.sick - share) * (1 - 1 / SICK_OF) ** calls
        if seen.refused and not self._is_noise(now):
            self._cut(seen, now, max(now, reopens))
        elif seen.refused and self.searching and not self.doubted:
            self.doubted = True
            self._mark(now, self.epoch)

    def _is_noise(self, now: float) -> bool:
        if self.sick >= SICK or (self.shut_since > 0 and not self.passed):
            return False
        if self.doubted and self._tells(now, ENOUGH_S / 2):
            # A small share of refusals may be due to cool-downs that fill a bucket again and again.
            return (self.rate() or 0.0) < DOUBT * self._mean(now)
        if self.told is not None and (self.rate() or 0.0) <= self.told:
            return True  # the limit is known, and this was below it
        return self.base is None or self.searching

    def _spell(self, now: float) -> float:
        return max(0.5, now - self.mark - self.round_trip - HEARD_S)

    def _mean(self, now: float) -> float:
        return self.let_in * 60.0 / self._spell(now)

    def _tells(self, now: float, seconds: float = ENOUGH_S) -> bool:
        return self.let_in >= ENOUGH and self._spell(now) >= seconds

    def _heed(self, limit: int, now: float) -> None:
        self.told = limit
        self.since = self.since or now
        self.base = max(1.0, KEEP * limit)
        self.searching, self.shut_since = False, 0.0
        self._begin(now, now)  # what is on its way now says nothing of it

    def _cut(self, seen: Seen, now: float, reopens: float) -> None:
        if self.shut_since and not self.passed:
            self._stay_shut(now, reopens)
            return
        self.minutes = (seen.retry_after or 0.0) >= SHUT_S
        before = self.rate()
        if before is None:
            self.base, self.searching, self.since = max(FLOOR, self._recent(now)), True, now
            self._mark(now, self.epoch + 1)
        else:
            self._lower(before, now)
        self._begin(now, reopens)
        self.shut_since = now

    def _lower(self, before: float, now: float) -> None:
        if self.minutes or self.turn:
            self.searching = False
            self.base = max(1.0, KEEP * min(before, max(self._minute(now), 0.3 * before)))
            return
        trying, doubted, self.doubted = False, self.doubted, False
        spell, mean, tells = self._spell(now), self._mean(now), self._tells(now)
        if not tells:
            share = self.passed / (self.passed + self.refused)
            limit = max(mean + 60.0 / spell, share * before)
            deepest, least = CUT
            if self.trying:
                deepest = KEEP / NEAR  # so much is known to pass
            elif self.let_in < ENOUGH / 2 or spell < ENOUGH_S / 2:
                deepest = CUT_BLIND
            self.base = min(max(limit, deepest * before), least * before)
        elif before <= NEAR * mean:
            self.base = KEEP * min(before, mean)
        else:
            # More slowly than it could have been for some of the time: the limit lies between.
            self.base = (before + max(mean, 0.3 * before)) / 2
            trying = self.steps > 0 and not self.searching
            if trying:
                self.base = min(self.base, NEAR * mean)
        if doubted and self._tells(now, ENOUGH_S / 2):
            self.base = min(self.base, DOUBT * mean)
        self.base = max(1.0, self.base)
        self.searching, self.trying = False, trying
        if tells:
            self._mark(now, self.epoch + 1)

    def _mark(self, now: float, epoch: int) -> None:
        self.mark, self.mark_epoch, self.let_in = now, epoch, 0

    def _stay_shut(self, now: float, reopens: float) -> None:
        """A knock was answered with no: the pace is not at fault, the door is shut."""
        self._begin(now, reopens)
        self.refused, self.refused_at = 1, self.knocked
        shut = now - self.shut_since
        if self.turn and (ahead := (self.turn - now) % 60.0) < 60.0 - 2 * SHUT_S:
            self.minutes = True
            self.knock_at = max(reopens, now + ahead)
        if shut < SHUT_S:
            return
        if not self.minutes and not self.searching and self.base is not None:
            self.base = min(self.base, max(self._minute(now), 0.3 * self.base))
        self.minutes = True
        if not self.turn:
            # Ever more seldom, and when a minute begins, as most count them by the clock.
            self.knock_at = max(reopens, now + min(shut, KNOCK_S, 60.0 - now % 60.0))

    def _is_turn(self, moment: float) -> bool:
        away = (moment - self.turn) % 60.0
        return min(away, 60.0 - away) <= 2 * SHUT_S

    def _turn(self, now: float) -> None:
        """Somebody was let in: after a long wait, a new minute has begun."""
        if self.minutes:
            clock = self.knocked - self.knocked % 60.0
            self.turn = clock if clock >= self.refused_at else self.knocked
        elif self.turn and not self._is_turn(now):
            self.turn = 0.0

    def _begin(self, now: float, reopens: float) -> None:
        self.epoch += 1
        self.passed = self.refused = 0
        self.handed = self.steps = 0.0
        self.opened = reopens
        self.sick = 0.0
        self.knock_at = reopens

    # --- the last minute --------------------------------------------------------------------
    def _count(self, accepted: int, now: float) -> None:
        key = int(now // _BIN_S)
        if accepted:
            if self.bins and self.bins[-1][0] >= key:
                self.bins[-1][1] += accepted
            else:
                self.bins.append([key, accepted])
        while self.bins and self.bins[0][0] <= key - _BINS:
            del self.bins[0]

    def _recent(self, now: float) -> float:
        return float(sum(count for _, count in self.bins))

    def _minute(self, now: float) -> float:
        """Let in since the provider's minute began, where that is known."""
        since = (now - self.turn) % 60.0
        if not self.turn or since < SHUT_S:
            return self._recent(now)  # just begun: it is of the last one that is told
        begin = (now - since) // _BIN_S
        return float(sum(count for key, count in self.bins if key >= begin))


_NAMES = frozenset(one.name for one in fields(Pace))
