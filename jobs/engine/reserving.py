"""Which of the records about to be claimed the budgets cover: of the job, of its team's month, of that
month on the connection. What they may cost is reserved in the claim's own transaction.

A job holds a part of each budget (`Grant`) and reserves from that; only when it does not suffice is the
budget's row touched, which all jobs of the team share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db.backends.utils import CursorWrapper

from jobs.costs.budgets import (
    AHEAD_SHARE,
    Refusal,
    begin_months,
    block,
    hand_out,
    month_of,
    refusal_of,
    team_has_budgets,
)
from jobs.engine.book import day_of
from jobs.engine.counters import JobState
from jobs.engine.dialect import Dialect, Writer
from jobs.engine.grants import write_grants
from jobs.engine.records import Claimed
from jobs.models import Budget, StatusReason

NO_PRICE = (
    "The price of {} is unknown, so that the budget could not be held. Set a price, then resume."
)


@dataclass(slots=True)
class Scope:
    """A budget of the month, and what the job holds of it."""

    id: int
    connection_id: int | None
    stop_at: int | None
    handed_out: int  # to all jobs and calls
    short: bool
    granted: int
    used: int
    reserved: int
    changed: bool = False

    @property
    def idle(self) -> int:
        return self.granted - self.used - self.reserved

    @property
    def room(self) -> int | None:
        """What nobody holds yet; below 0 once the stop was lowered."""
        return None if self.stop_at is None else self.stop_at - self.handed_out

    def covers(self, record: Claimed) -> bool:
        return self.connection_id in (None, record.connection_id)

    def need(self, records: Sequence[Claimed]) -> int:
        return sum(record.reserved for record in records if self.covers(record))


@dataclass(slots=True)
class Reserved:
    """`kept` may be claimed once this was written. Without any: `pause` says why if the job may not go
    on, else it may try again soon."""

    job_id: int
    kept: list[Claimed]
    scopes: list[Scope] = field(default_factory=list)
    pause: StatusReason | None = None
    detail: str = ""
    refusal: Refusal | None = None

    def write(self, dialect: Dialect, writer: Writer) -> None:
        changed = [scope for scope in self.scopes if scope.changed]
        if changed:
            rows = [(self.job_id, s.id, s.granted, s.used, s.reserved) for s in changed]
            write_grants(dialect, writer, rows)


def reserve(
    dialect: Dialect,
    cursor: CursorWrapper,
    state: JobState,
    claimed: list[Claimed],
    now: datetime,
) -> Reserved:
    """The leading records that all budgets cover; free calls are never in question."""
    month = month_of(day_of(now))
    scopes = [] if state.budgeted is False else _scopes(dialect, cursor, state, month)
    kept = _priced(state, scopes, claimed)
    if not kept:
        detail = NO_PRICE.format(claimed[0].model or "its model")
        return Reserved(state.id, [], pause=StatusReason.NO_PRICE, detail=detail)
    first, kept = kept[0], _within_job(state, kept)
    if not kept:
        return _refused_by_job(state, first)
    tight = [scope for scope in scopes if _is_tight(scope, scope.need(kept))]
    _lock(dialect, cursor, tight)
    for scope in tight:
        if scope.short:
            # Others are in need of what lies idle here; and after the stop was lowered, what was in
            # hand is no longer to be had.
            _put_back(scope)
    kept = _within(tight, kept)
    for scope in scopes:
        _take(scope, scope.need(kept), locked=scope in tight)
    result = Reserved(state.id, kept, scopes)
    if not kept:
        _refuse(cursor, state, tight, first, month, result)
    return result


def _is_tight(scope: Scope, need: int) -> bool:
    return need > 0 and (scope.short or need > scope.idle)


def _scopes(
    dialect: Dialect, cursor: CursorWrapper, state: JobState, month: date, *, again: bool = True
) -> list[Scope]:
    """The month's budgets of the job's team, by id; the month begins with its first claim."""
    if state.budgeted is None:
        # Whoever makes a team's first budget holds the rows of its jobs: from now on it is told.
        has = team_has_budgets(state.team_id)
        cursor.execute("UPDATE jobs_job SET budgeted = %s WHERE id = %s", [has, state.id])
        if not has:
            return []
    cursor.execute(
        "SELECT b.month, b.id, b.connection_id, b.stop_at, b.granted, b.short, "
        "COALESCE(g.granted, 0), COALESCE(g.used, 0), COALESCE(g.reserved, 0) FROM jobs_budget b "
        "LEFT JOIN jobs_grant g ON g.budget_id = b.id AND g.job_id = %s "
        "WHERE b.team_id = %s AND (b.month = %s OR b.month IS NULL) ORDER BY b.id",
        [state.id, state.team_id, month.isoformat()],
    )
    rows = cursor.fetchall()
    scopes = [Scope(*row) for of, *row in rows if of is not None]
    begun = {scope.connection_id for scope in scopes}
    rules = [row[1] for row in rows if row[0] is None and row[2] not in begun]
    if rules and again:
        begin_months(rules, month)
        return _scopes(dialect, cursor, state, month, again=False)
    return scopes


def _priced(state: JobState, scopes: list[Scope], claimed: list[Claimed]) -> list[Claimed]:
    """The leading records whose highest cost is known, where money has to be held."""
    for at, record in enumerate(claimed):
        if record.priced or record.fault is not None:
            continue
        if state.budget is not None or any(
            scope.stop_at is not None and scope.covers(record) for scope in scopes
        ):
            return claimed[:at]
    return claimed


def _within_job(state: JobState, claimed: list[Claimed]) -> list[Claimed]:
    if state.budget is None:
        return claimed
    left = state.budget - state.committed
    for at, record in enumerate(claimed):
        left -= record.reserved
        if left < 0 and record.reserved:
            return claimed[:at]
    return claimed


def _lock(dialect: Dialect, cursor: CursorWrapper, scopes: list[Scope]) -> None:
    """Hold the budgets' rows, and learn what stands in them now."""
    if not scopes:
        return
    condition, parameters = dialect.in_list("id", [scope.id for scope in scopes])
    cursor.execute(
        f"SELECT id, stop_at, granted, short FROM jobs_budget WHERE {condition} ORDER BY id"
        + dialect.lock(),
        parameters,
    )
    found = {budget_id: rest for budget_id, *rest in cursor.fetchall()}
    for scope in scopes:
        scope.stop_at, scope.handed_out, short = found[scope.id]
        scope.short = bool(short)


def _put_back(scope: Scope) -> None:
    idle = scope.idle
    if idle:
        scope.changed = True
        Budget.objects.filter(pk=scope.id).update(granted=scope.handed_out - idle)
        scope.handed_out -= idle
        scope.granted -= idle


def _within(scopes: list[Scope], claimed: list[Claimed]) -> list[Claimed]:
    left = {s.id: None if s.room is None else s.idle + max(0, s.room) for s in scopes}
    for at, record in enumerate(claimed):
        for scope in scopes:
            had = left[scope.id]
            if had is None or not record.reserved or not scope.covers(record):
                continue
            if had < record.reserved:
                return claimed[:at]
            left[scope.id] = had - record.reserved
    return claimed


def _take(scope: Scope, need: int, *, locked: bool) -> None:
    """Reserve for the job what it needs, from what it holds and, where its row is locked, the budget."""
    lacks = need - scope.idle
    if locked and lacks > 0:
        taken = block(lacks, scope.room, short=scope.short)
        if not hand_out(scope.id, taken):
            raise RuntimeError(f"budget {scope.id} has no room for {taken}, which was seen in it")
        scope.handed_out += taken
        scope.granted += taken
        if (
            scope.short
            and scope.stop_at is not None
            and (scope.room or 0) * AHEAD_SHARE > scope.stop_at
        ):
            Budget.objects.filter(pk=scope.id).update(short=False)
    scope.reserved += need
    scope.changed |= need > 0


def _refused_by_job(state: JobState, first: Claimed) -> Reserved:
    assert state.budget is not None
    result = Reserved(state.id, [])
    if state.running == 0:
        refusal = Refusal(
            scope="job",
            whose="the job's budget",
            limit=state.budget,
            spent=state.committed - state.reserved,
            reserved=state.reserved,
            wanted=first.reserved,
            resets=None,
            retry=False,
            connection=first.connection_id,
        )
        _pause(result, refusal)
    return result


def _pause(result: Reserved, refusal: Refusal) -> None:
    result.pause, result.refusal = StatusReason.BUDGET, refusal
    result.detail = f"{refusal} Once the budget allows it, the job goes on by itself."


def _refuse(
    cursor: CursorWrapper,
    state: JobState,
    scopes: list[Scope],
    first: Claimed,
    month: date,
    result: Reserved,
) -> None:
    """Nothing fits. As long as what others hold in hand, or what is in flight, may free enough, the job
    waits; else it pauses."""
    for scope in scopes:
        room = scope.room
        if room is None or not scope.covers(first) or scope.idle + max(0, room) >= first.reserved:
            continue
        cursor.execute(
            "SELECT COALESCE(SUM(reserved), 0), "
            "COALESCE(SUM(CASE WHEN job_id = %s THEN 0 ELSE granted - used - reserved END), 0) "
            "FROM jobs_grant WHERE budget_id = %s",
            [state.id, scope.id],
        )
        reserved, others = (int(value) for value in cursor.fetchone())
        if others and not scope.short:
            Budget.objects.filter(pk=scope.id).update(short=True)
        if scope.idle + room + others + reserved >= first.reserved:
            continue
        budget = Budget.objects.select_related("team", "connection").get(pk=scope.id)
        budget.granted -= scope.idle  # which goes back with the pause
        wanted, connection_id = first.reserved, first.connection_id
        _pause(
            result,
            refusal_of(budget, month=month, wanted=wanted, connection_id=connection_id),
        )
        return
