"""Four jobs of two teams whose budgets end in the middle, and a watch on every write: inside an
installation, for `bench.budgets`."""

from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction

from bench.actions import prepare
from jobs.control.budgets import budget_set, job_budget_set
from jobs.engine.verify import snapshot, verify
from jobs.models import Budget, Connection, Job, JobStatus, Price, Role, Team
from jobs.money import usd_string
from jobs.teams.access import Actor

IN_FLIGHT = 16  # of each job: what one killed slice leaves in doubt is small against a budget
# By whose it is: the job that a budget stops, at how many times the price, and the budget in USD.
PRICES = {"cheap": 1, "dear": 1_000, "middle": 30, "own": 1}


def besiege(*, rows: int, url: str) -> dict[str, int]:
    """Jobs by name. Each budget covers about 40% of the rows of the job that it stops."""
    jobs: dict[str, Job] = {}
    for name, price in PRICES.items():
        made = prepare(rows=rows, url=url, max_in_flight=IN_FLIGHT, name=name)
        job = Job.objects.get(pk=made["job"])
        meters = ("input", "cached_input", "cache_write", "cache_write_1h")
        Price.objects.filter(connection=job.connection).update(
            output=600_000 * price, **dict.fromkeys(meters, 150_000 * price)
        )
        jobs[name] = job
    first, second = jobs["cheap"].team, jobs["middle"].team
    for name, team in (("dear", first), ("own", second)):
        job = jobs[name]
        Connection.objects.filter(pk=job.connection_id).update(team=team)
        Price.objects.filter(connection=job.connection).update(team=team)
        Job.objects.filter(pk=job.pk).update(team=team)
    Job.objects.filter(pk__in=[job.pk for job in jobs.values()]).update(
        parameters={"max_tokens": 40}
    )
    share = rows * 0.4 * 16e-6
    _limit(first, None, share * 1_000)
    _limit(second, None, 1_000)
    _limit(second, jobs["middle"].connection, share * 30)
    own = Job.objects.get(pk=jobs["own"].pk)
    job_budget_set(actor=_actor(second), job=own, budget=f"{share:.6f}")
    _watch()
    return {name: job.pk for name, job in jobs.items()}


def limited(*, team: int) -> None:
    """A budget that does not end, for what it costs to hold one."""
    _limit(Team.objects.get(pk=team), None, 100_000)


def _actor(team: Team) -> Actor:
    return Actor(User.objects.order_by("pk")[0], team, Role.ADMIN, True, "command")


def _limit(team: Team, on: Connection | None, usd: float) -> None:
    budget_set(actor=_actor(team), connection=on, month=None, warn_at=None, stop_at=f"{usd:.6f}")


_BEYOND = {
    "jobs_budget": "NEW.stop_at IS NOT NULL AND NEW.granted > NEW.stop_at",
    "jobs_grant": "NEW.used + NEW.reserved > NEW.granted",
    "jobs_job": "NEW.budget IS NOT NULL "
    "AND NEW.cost + NEW.in_doubt_cost + NEW.reserved > NEW.budget",
}


def _watch() -> None:
    """The database itself notes each write, committed or not, that goes beyond a budget."""
    note = "INSERT INTO beyond (what) VALUES ('{}')"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE beyond (what text)")
        for table, condition in _BEYOND.items():
            named = f"CREATE TRIGGER watch_{table} AFTER UPDATE ON {table} "
            insert = note.format(table)
            if connection.vendor == "postgresql":
                cursor.execute(
                    f"CREATE FUNCTION note_{table}() RETURNS trigger AS $$ BEGIN {insert}; "
                    "RETURN NULL; END $$ LANGUAGE plpgsql"
                )
                cursor.execute(
                    f"{named} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION note_{table}()"
                )
            else:
                cursor.execute(f"{named} FOR EACH ROW WHEN {condition} BEGIN {insert}; END")
    with transaction.atomic(), connection.cursor() as cursor:
        # A watch that sees nothing would be seen.
        cursor.execute("UPDATE jobs_budget SET granted = stop_at + 1 WHERE stop_at IS NOT NULL")
        cursor.execute("SELECT COUNT(*) FROM beyond")
        assert cursor.fetchone()[0] > 0
        transaction.set_rollback(True)


def standing(*, jobs: dict[str, int]) -> dict[str, Any]:
    """How far it is: whether anything may still be called for, and how many were settled."""
    found = Job.objects.filter(pk__in=jobs.values())
    going = [job for job in found if job.running or job.state.is_runnable]
    return {"over": not going, "settled": sum(job.succeeded + job.failed for job in found)}


def aftermath(*, jobs: dict[str, int]) -> dict[str, Any]:
    """What became of it, with how much of each budget was used (spent, in doubt too)."""
    with snapshot():
        difference = verify().difference
    with connection.cursor() as cursor:
        cursor.execute("SELECT what, COUNT(*) FROM beyond GROUP BY what")
        beyond = dict(cursor.fetchall())
    by_name = {name: Job.objects.get(pk=pk) for name, pk in jobs.items()}
    own, used = by_name["own"], {}
    for budget in Budget.objects.exclude(month=None).filter(stop_at__lt=10**15).order_by("pk"):
        whose = "team and month" if budget.connection is None else "team, month and connection"
        assert budget.stop_at is not None
        used[whose] = budget.granted / budget.stop_at
    assert own.budget is not None
    used["job"] = (own.cost + own.in_doubt_cost + own.reserved) / own.budget
    return {
        "difference": str(difference) if difference else "",
        "beyond": beyond,
        "used": used,
        "status": {name: f"{job.status} {job.status_reason}" for name, job in by_name.items()},
        "reserved": sum(job.reserved for job in by_name.values()),
        "done": {name: job.succeeded for name, job in by_name.items()},
        "in_doubt": sum(job.in_doubt_attempts for job in by_name.values()),
        "spent": {name: usd_string(job.cost + job.in_doubt_cost) for name, job in by_name.items()},
        "stopped": all(
            by_name[name].state is JobStatus.PAUSED for name in ("dear", "middle", "own")
        ),
    }
