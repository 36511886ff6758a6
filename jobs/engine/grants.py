"""What a job holds of its team's budgets moves as its calls are settled, given back or lost.

Called with the job's row locked: nobody else touches its grants meanwhile. Locks are taken in the order
job, grants, budgets by id.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from jobs.costs.budgets import month_of
from jobs.engine.dialect import Dialect, Writer

GRANT_COLUMNS = [
    ("job_id", "bigint"),
    ("budget_id", "bigint"),
    ("granted", "bigint"),
    ("used", "bigint"),
    ("reserved", "bigint"),
]


class Moves:
    """What a transaction spends (or takes back, below 0) and frees of what was reserved, by the month in
    which it is booked and the connection."""

    def __init__(self) -> None:
        self.spent: dict[tuple[str, int], int] = defaultdict(int)
        self.freed: dict[tuple[str, int], int] = defaultdict(int)

    def spend(self, day: str | date, connection_id: int, cost: int) -> None:
        if cost:
            self.spent[(_month(day), connection_id)] += cost

    def free(self, day: str | date, connection_id: int, reserved: int) -> None:
        if reserved:
            self.freed[(_month(day), connection_id)] += reserved

    @property
    def months(self) -> list[str]:
        return sorted({month for month, _ in (*self.spent, *self.freed)})

    def of(self, month: str, connection_id: int | None) -> tuple[int, int]:
        """Spent and freed of one budget's scope."""
        spent, freed = (
            sum(
                amount
                for key, amount in sums.items()
                if key[0] == month and connection_id in (None, key[1])
            )
            for sums in (self.spent, self.freed)
        )
        return spent, freed


def _month(day: str | date) -> str:
    return month_of(date.fromisoformat(day) if isinstance(day, str) else day).isoformat()


def write_grants(dialect: Dialect, writer: Writer, rows: Iterable[tuple[int, ...]]) -> None:
    """Rows of (job, budget, granted, used, reserved), as they are to be."""
    dialect.insert_rows(
        writer,
        "jobs_grant",
        GRANT_COLUMNS,
        list(rows),
        "ON CONFLICT (job_id, budget_id) DO UPDATE SET granted = excluded.granted, "
        "used = excluded.used, reserved = excluded.reserved",
    )


def settle_grants(
    dialect: Dialect,
    writer: Writer,
    *,
    job_id: int,
    team_id: int,
    moves: Moves | None,
    keep: bool,
) -> None:
    """Book what was spent and freed. What the job then holds without need goes back unless it is to
    `keep` it, and also where another job is short of it.

    A call that cost more than the most it could is in the books all the same: the grant grows with it,
    and a budget that it took beyond its stop is short.
    """
    months = moves.months if moves is not None else []
    if keep and not months:
        return
    condition, parameters = dialect.in_list("b.month", months or ["1970-01-01"])
    if dialect.postgresql:
        condition = condition.replace("ANY(%s)", "ANY(%s::date[])")
    idle = "" if keep else " OR g.granted > g.used + g.reserved"
    with dialect.connection.cursor() as cursor:
        cursor.execute(
            "SELECT b.id, b.connection_id, b.month, b.short, COALESCE(g.granted, 0), "
            "COALESCE(g.used, 0), COALESCE(g.reserved, 0) FROM jobs_budget b LEFT JOIN jobs_grant g "
            "ON g.budget_id = b.id AND g.job_id = %s WHERE b.team_id = %s AND b.month IS NOT NULL "
            f"AND ({condition}{idle}) ORDER BY b.id",
            [job_id, team_id, *parameters],
        )
        found = cursor.fetchall()
    grants, changes = [], []
    for budget_id, connection_id, month, short, granted, used, reserved in found:
        spent, freed = moves.of(str(month), connection_id) if moves is not None else (0, 0)
        needed = used + spent + reserved - freed
        held = max(granted, needed) if keep and not short else needed
        if (spent, freed, held) != (0, 0, granted):
            grants.append((job_id, budget_id, held, used + spent, reserved - freed))
        if held != granted:
            changes.append((*[held - granted] * 3, budget_id))
    if grants:
        write_grants(dialect, writer, grants)
    for change in changes:
        writer.execute(
            "UPDATE jobs_budget SET granted = granted + %s, "
            "short = short OR (%s > 0 AND granted + %s > stop_at) WHERE id = %s",
            change,
        )
