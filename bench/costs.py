"""The costs pages over a large ledger: the server's time for each view."""

from bench.figures import Figure
from bench.installation import Installation

ATTEMPTS = {"postgresql": 10_000_000, "sqlite": 200_000}
# Of SQLite, which is for one machine, with a tenth of the jobs.
JOBS_A_DAY = {"postgresql": 300, "sqlite": 30}
DAYS = 120


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
