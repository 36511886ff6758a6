"""The books of one settle: what its calls add to the job, the roll-ups of cost, and the throughput."""

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any

from jobs.engine.counters import JobDelta
from jobs.engine.dialect import Dialect, Writer
from jobs.engine.grants import Moves
from jobs.engine.records import AttemptLine, Offer, Settlement
from jobs.models import AttemptOutcome, ClosedMonth, Correction, DueReason, RecordStatus, Waste

THROUGHPUT_S = 10
_ROLLUP_KEYS = (
    "job_id", "template_version_id", "connection_id", "model", "day", "team_id",
)  # fmt: skip
ROLLUP_SUMS = (
    "calls", "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_tokens", "cost", "wasted_cost", "failed_cost", "retried_cost", "repaired_cost",
    "superseded_cost", "late_cost", "in_doubt_cost", "in_doubt_calls", "unpriced_calls",
    "estimated_calls", "estimated_cost", "accepted", "cache_savings", "batch_savings",
)  # fmt: skip
# What a correction adds to, by its columns of the same name.
CORRECTED = (
    "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_tokens", "cost", "wasted_cost", "in_doubt_cost", "in_doubt_calls", "unpriced_calls",
    "estimated_cost", "cache_savings", "batch_savings",
)  # fmt: skip
# Results taken instead of calls: no line of the ledger stands for them.
TAKEN_SUMS = ("shared", "reused", "reuse_savings")
_ALL_SUMS = (*ROLLUP_SUMS, *TAKEN_SUMS)
WASTE_SUMS = {waste: f"{waste.value}_cost" for waste in Waste}


def day_of(now: datetime) -> date:
    """The day on which what is claimed now is booked."""
    return now.astimezone(UTC).date()


def as_day(value: date | str) -> date:
    """Of a plain cursor: SQLite keeps days as text."""
    return value if isinstance(value, date) else date.fromisoformat(value)


def in_doubt(line: AttemptLine) -> bool:
    return line.outcome is AttemptOutcome.IN_DOUBT


def count_attempt(delta: JobDelta, line: AttemptLine) -> None:
    delta.attempts += 1
    if in_doubt(line):
        delta.in_doubt_attempts += 1
        delta.in_doubt_cost += line.cost or 0
        delta.unpriced_attempts += line.cost is None
        return
    delta.input_tokens += line.usage.input_tokens
    delta.cached_input_tokens += line.usage.cached_input_tokens
    delta.output_tokens += line.usage.output_tokens
    delta.cost += line.cost or 0
    if line.outcome is not AttemptOutcome.ACCEPTED:
        delta.wasted_cost += line.cost or 0
    if line.usage.estimated:
        delta.estimated_attempts += 1
        delta.estimated_cost += line.cost or 0
    delta.unpriced_attempts += line.charged and line.cost is None


class Book:
    """The sums of one settle for the roll-up and the throughput of one job."""

    def __init__(self, job_id: int, team_id: int, now: datetime):
        self.job_id = job_id
        self.team_id = team_id
        self.now = now
        self.today = day_of(now)
        self.rollups: dict[tuple[Any, ...], dict[str, int]] = defaultdict(
            lambda: dict.fromkeys(_ALL_SUMS, 0)
        )
        self._closed: dict[date, bool] = {}
        self.succeeded = self.failed = self.calls = self.rate_limited = 0

    def open_day(self, day: date) -> date:
        """The day itself; or today, where the month of the day was closed meanwhile."""
        if (day.year, day.month) == (self.today.year, self.today.month):
            return day
        month = day.replace(day=1)
        if month not in self._closed:
            closed = ClosedMonth.objects.filter(team_id=self.team_id, month=month)
            self._closed[month] = closed.exists()
        return self.today if self._closed[month] else day

    def _sums(self, line: AttemptLine) -> dict[str, int]:
        day = line.day.isoformat()
        return self.rollups[(line.template_version_id, line.connection_id, line.model, day)]

    def add(self, settlement: Settlement, line: AttemptLine | None) -> None:
        late = line is not None and line.outcome is AttemptOutcome.LATE
        if not late:
            self.succeeded += settlement.status is RecordStatus.SUCCEEDED
            self.failed += settlement.status is RecordStatus.FAILED
        if line is None:
            return
        self.calls += not late
        self.rate_limited += settlement.due is DueReason.RATE_LIMIT
        sums = self._sums(line)
        sums["calls"] += 1
        if in_doubt(line):
            sums["in_doubt_calls"] += 1
            sums["in_doubt_cost"] += line.cost or 0
            sums["unpriced_calls"] += line.cost is None
            return
        usage = line.usage
        sums["input_tokens"] += usage.input_tokens
        sums["cached_input_tokens"] += usage.cached_input_tokens
        sums["cache_write_tokens"] += usage.cache_write_tokens
        sums["cache_write_1h_tokens"] += usage.cache_write_1h_tokens
        sums["output_tokens"] += usage.output_tokens
        cost = line.cost or 0
        sums["cost"] += cost
        if line.outcome is AttemptOutcome.ACCEPTED:
            sums["accepted"] += 1
        else:
            sums["wasted_cost"] += cost
            if line.waste is not None:
                sums[WASTE_SUMS[line.waste]] += cost
        sums["unpriced_calls"] += line.charged and line.cost is None
        if usage.estimated:
            sums["estimated_calls"] += 1
            sums["estimated_cost"] += cost
        if line.rates is not None:
            sums["cache_savings"] += line.rates.cache_savings(usage)
            sums["batch_savings"] += line.rates.batch_savings(usage)

    def take(self, key: tuple[int, int, str], offer: Offer, *, own: bool) -> None:
        """A record took a result instead of a call."""
        self.succeeded += 1
        sums = self.rollups[(*key, day_of(self.now).isoformat())]
        sums["shared" if own else "reused"] += 1
        sums["reuse_savings"] += offer.cost

    def take_back_doubt(self, line: AttemptLine, cost: int | None) -> None:
        sums = self._sums(line)
        sums["calls"] -= 1
        sums["in_doubt_calls"] -= 1
        sums["in_doubt_cost"] -= cost or 0
        sums["unpriced_calls"] -= cost is None

    def supersede(self, key: tuple[int, int, str, str], cost: int) -> None:
        """An accepted call of that version, connection, model and day has lost its place."""
        sums = self.rollups[key]
        sums["accepted"] -= 1
        sums["wasted_cost"] += cost
        sums[WASTE_SUMS[Waste.SUPERSEDED]] += cost

    def correct(self, line: Correction) -> None:
        key = (line.template_version_id, line.connection_id, line.model, line.day.isoformat())
        sums = self.rollups[key]
        for name in CORRECTED:
            sums[name] += getattr(line, name)
        if line.waste:
            sums[WASTE_SUMS[Waste(line.waste)]] += line.wasted_cost

    def moves(self, moves: Moves | None = None) -> Moves:
        """What all this comes to in the team's budgets, added to other moves if there are any."""
        moves = moves or Moves()
        for (_, connection_id, _, day), sums in self.rollups.items():
            moves.spend(day, connection_id, sums["cost"] + sums["in_doubt_cost"])
        return moves

    def write(self, dialect: Dialect, cursor: Writer) -> None:
        rows = [
            (self.job_id, *key, self.team_id, *(sums[name] for name in _ALL_SUMS))
            for key, sums in self.rollups.items()
        ]
        if rows:
            added = ", ".join(f"{n} = jobs_costrollup.{n} + excluded.{n}" for n in _ALL_SUMS)
            kinds = {"model": "text", "day": "date"}
            dialect.insert_rows(
                cursor,
                "jobs_costrollup",
                [(name, kinds.get(name, "bigint")) for name in (*_ROLLUP_KEYS, *_ALL_SUMS)],
                rows,
                f"ON CONFLICT ({', '.join(_ROLLUP_KEYS)}) DO UPDATE SET {added}",
            )
        if self.succeeded or self.failed or self.calls:
            start = self.now.replace(
                second=self.now.second - self.now.second % THROUGHPUT_S, microsecond=0
            )
            cursor.execute(
                "INSERT INTO jobs_throughput (job_id, at, team_id, succeeded, failed, calls, "
                "rate_limited) VALUES (%s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (job_id, at) DO UPDATE SET "
                "succeeded = jobs_throughput.succeeded + excluded.succeeded, "
                "failed = jobs_throughput.failed + excluded.failed, "
                "calls = jobs_throughput.calls + excluded.calls, "
                "rate_limited = jobs_throughput.rate_limited + excluded.rate_limited",
                [
                    self.job_id,
                    dialect.time(start),
                    self.team_id,
                    self.succeeded,
                    self.failed,
                    self.calls,
                    self.rate_limited,
                ],
            )
