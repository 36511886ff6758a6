"""The costs pages over a large ledger: the server's time for each view."""

from bench.figures import Figure
from bench.installation import Installation

ATTEMPTS = {"postgresql": 10_000_000, "sqlite": 200_000}
# Of SQLite, which is for one machine, with a tenth of the jobs.
JOBS_A_DAY = {"postgresql": 300, "sqlite": 30}
DAYS = 120
ROWS = 1_000_000


def pages(runs: int, scale: float) -> list[Figure]:
    figures = []
    for kind, attempts in ATTEMPTS.items():
        number = int(attempts * scale)
        with Installation(kind) as place:
            jobs_a_day = max(1, int(JOBS_A_DAY[kind] * min(1.0, scale)))
            world = place.ask("fill", days=DAYS, jobs_a_day=jobs_a_day, attempts=number)
            world.pop("jobs")
            found = place.ask("cost_pages", times=10 * runs, **world)
        slowest = max(found.items(), key=lambda item: item[1])
        figures.append(
            Figure(
                f"costs pages, ledger of {number:,} attempts, {jobs_a_day} jobs a day, {kind}",
                f"slowest p95 {slowest[1]:.0f} ms ({slowest[0]})",
                "",
                "≤ 100 ms",
                slowest[1] <= 100,
                found,
            )
        )
    return figures


def compare(runs: int, scale: float) -> list[Figure]:
    """Two jobs of a million records beside each other."""
    rows = int(ROWS * scale)
    with Installation("postgresql") as place:
        world = place.ask("prepare", rows=rows, url="http://127.0.0.1:9")
        other = place.ask("twin", job=world["job"])["job"]
        for job in (world["job"], other):
            place.ask("pretend", job=job, attempts_each=1)
        found = place.ask(
            "compare_pages", user=world["user"], job=world["job"], other=other, times=10 * runs
        )
    slowest = max(found.items(), key=lambda item: item[1])
    return [
        Figure(
            f"two jobs of {rows:,} records compared, postgresql",
            f"slowest p95 {slowest[1]:.0f} ms ({slowest[0]})",
            "",
            "≤ 500 ms",
            slowest[1] <= 500,
            found,
        )
    ]
