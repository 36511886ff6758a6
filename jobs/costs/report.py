"""What a month of a team came to, for the people who answer for it: one reading for page and mail."""

from dataclasses import dataclass

from jobs.costs.advice import Advice, advice_for
from jobs.costs.months import Month
from jobs.costs.selectors import cost_table
from jobs.costs.sums import CostRow, CostSums, CostTable
from jobs.models import ClosedMonth, Team

TOP_JOBS = 5


@dataclass(frozen=True, slots=True)
class Report:
    team: Team
    month: Month
    total: CostSums
    before: CostSums
    top: list[CostRow]
    waste: list[tuple[str, int]]  # by cause, the dearest first
    advice: list[Advice]
    closed: ClosedMonth | None

    @property
    def numbered(self) -> list[tuple[int, CostRow]]:
        return list(enumerate(self.top, 1))

    @property
    def change(self) -> int:
        return self.total.cost - self.before.cost

    @property
    def change_share(self) -> float | None:
        return self.change / self.before.cost if self.before.cost > 0 else None


def month_report(team: Team, month: Month) -> Report:
    jobs = _table(team, month, "job")
    total = jobs.total
    causes = sorted(total.waste.items(), key=lambda one: -one[1])
    return Report(
        team=team,
        month=month,
        total=total,
        before=_table(team, month.before, "team").total,
        # Calls outside jobs are a group without a key.
        top=[row for row in jobs.rows if row.key][:TOP_JOBS],
        waste=[(cause, amount) for cause, amount in causes if amount],
        advice=advice_for(team.pk, month),
        closed=ClosedMonth.objects.filter(team=team, month=month.first).first(),
    )


def _table(team: Team, month: Month, by: str) -> CostTable:
    return cost_table(
        team_ids=[team.pk],
        group_by=by,
        date_from=month.first,
        date_to=month.last,
        limit=TOP_JOBS + 1,
    )
