"""Whether what jobs hold of their team's budgets, and what was handed out of each, is as the roll-ups
and the reservations of the records have it."""

from collections import defaultdict
from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from jobs.engine.dialect import Dialect
from jobs.engine.difference import Difference, Jobs, compare, jobs_in
from jobs.engine.grants import Moves

_NEXT_MONTH = {True: "b.month + INTERVAL '1 month'", False: "date(b.month, '+1 month')"}


def grants_of_jobs(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """What each job has of its team's budgets: spent as the roll-ups say, reserved as its records do."""
    where, parameters = dialect.in_list(
        "team_id", sorted({job["team_id"] for job in jobs.values()})
    )
    cursor.execute(
        "SELECT id, team_id, connection_id, month FROM jobs_budget "
        f"WHERE month IS NOT NULL AND {where} ORDER BY id",
        parameters,
    )
    budgets = cursor.fetchall()
    if not budgets:
        return
    where, parameters = jobs_in(dialect, jobs)
    cursor.execute(
        f"SELECT job_id, budget_id, granted, used, reserved FROM jobs_grant WHERE {where}",
        parameters,
    )
    grants = {(job_id, budget_id): row for job_id, budget_id, *row in cursor.fetchall()}
    moves: dict[int, Moves] = defaultdict(Moves)
    cursor.execute(
        "SELECT job_id, day, connection_id, SUM(cost + in_doubt_cost) FROM jobs_costrollup "
        f"WHERE {where} GROUP BY job_id, day, connection_id",
        parameters,
    )
    for job_id, day, connection_id, amount in cursor.fetchall():
        moves[job_id].spend(str(day), connection_id, int(amount))
    where, parameters = jobs_in(dialect, jobs, "r.job_id")
    cursor.execute(
        "SELECT r.job_id, l.day, COALESCE(p.connection_id, j.connection_id), SUM(r.reserved) "
        "FROM jobs_record r JOIN jobs_lease l ON l.token = r.lease JOIN jobs_job j ON j.id = r.job_id "
        f"LEFT JOIN jobs_replay p ON p.id = r.replay_id WHERE {where} AND r.status = 1 "
        "GROUP BY r.job_id, l.day, COALESCE(p.connection_id, j.connection_id)",
        parameters,
    )
    for job_id, day, connection_id, amount in cursor.fetchall():
        moves[job_id].free(str(day), connection_id, int(amount))
    for job_id, job in jobs.items():
        for budget_id, team_id, connection_id, month in budgets:
            if team_id != job["team_id"]:
                continue
            spent, reserved = moves[job_id].of(str(month), connection_id)
            granted, *found = grants.get((job_id, budget_id), (0, 0, 0))
            names, where = ("used", "reserved"), f"of budget {budget_id}, "
            yield from compare(
                job_id,
                dict(zip(names, (spent, reserved), strict=True)),
                dict(zip(names, found, strict=True)),
                where,
            )
            if granted < spent + reserved:
                yield Difference(job_id, f"{where}granted", f">= {spent + reserved}", granted)


def budgets_of_teams(dialect: Dialect, cursor: CursorWrapper) -> Iterator[Difference]:
    """What was handed out of each budget is what jobs hold and calls outside jobs spent; within its
    stop, unless that was lowered since."""
    cursor.execute(
        "SELECT b.id, b.granted, b.direct, b.stop_at, b.short, COALESCE(g.granted, 0), "
        "(SELECT COALESCE(SUM(r.cost + r.in_doubt_cost), 0) FROM jobs_costrollup r "
        "WHERE r.job_id = 0 AND r.team_id = b.team_id AND r.day >= b.month "
        f"AND r.day < {_NEXT_MONTH[dialect.postgresql]} "
        "AND (b.connection_id IS NULL OR r.connection_id = b.connection_id)) "
        "FROM jobs_budget b LEFT JOIN (SELECT budget_id, SUM(granted) AS granted FROM jobs_grant "
        "GROUP BY budget_id) g ON g.budget_id = b.id WHERE b.month IS NOT NULL ORDER BY b.id"
    )
    for budget_id, granted, direct, stop_at, short, in_hand, spent in cursor.fetchall():
        where = f"budget {budget_id}, "
        if direct != spent:
            yield Difference(0, f"{where}calls outside jobs", int(spent), direct)
        if granted != in_hand + direct:
            yield Difference(0, f"{where}granted", int(in_hand) + direct, granted)
        if stop_at is not None and granted > stop_at and not short:
            yield Difference(0, f"{where}granted", f"<= {stop_at}", granted)
