"""Whether each closed month still says what it said when it was closed."""

from collections.abc import Iterator

from jobs.costs.closing import totals_now
from jobs.engine.difference import Difference
from jobs.models import ClosedMonth


def closed_months() -> Iterator[Difference]:
    for closed in ClosedMonth.objects.select_related("team").order_by("pk"):
        now = totals_now(closed)
        for name, value in closed.totals.items():
            if now[name] != value:
                where = f"{name} of {closed.month:%Y-%m}, closed, of the team {closed.team.name}"
                yield Difference(0, where, now[name], value)
