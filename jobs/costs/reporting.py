"""The monthly report goes to the leads and admins of each team that spent something: once, a day after
the month's end, when nothing of it is under way any more."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from jobs.costs.advice_words import words_of
from jobs.costs.months import Month
from jobs.costs.report import Report, month_report
from jobs.models import CostRollup, Notice, NoticeKind, Role, Team
from jobs.money import money_text, usd_string
from jobs.notices.write import notice_write

# An installation that slept for longer tells of the month no more: its notices may be forgotten.
TOLD_FOR = timedelta(days=14)


def reports_due(now: datetime) -> list[Team]:
    """Teams whose report on the month before has not been written."""
    month = Month.of(now.date()).before
    if not month.closes_from <= now < month.closes_from + TOLD_FOR:
        return []
    spent = CostRollup.objects.filter(day__gte=month.first, day__lte=month.last)
    teams = Team.objects.filter(pk__in=spent.values("team_id")).order_by("pk")
    keys = {_key(team, month): team for team in teams}
    told = set(Notice.objects.filter(key__in=keys).values_list("key", flat=True))
    return [team for key, team in keys.items() if key not in told]


def report_write(team: Team, now: datetime) -> None:
    """Its report on the month before, as a notice; a second one is dropped."""
    month = Month.of(now.date()).before
    report = month_report(team, month)
    cost, total = money_text(report.total.known_cost), report.total
    notice_write(
        team_id=team.pk,
        kind=NoticeKind.MONTHLY_REPORT,
        key=_key(team, month),
        title=f"{month}: {cost} spent",
        link=f"/costs/report/?month={month}",
        at=now,
        body=_body(report),
        facts=_facts(report),
        data={
            "month": f"{month}",
            "cost": usd_string(total.known_cost),
            "cost_before": usd_string(report.before.known_cost),
            "wasted_cost": usd_string(total.wasted_cost),
            "in_doubt_cost": usd_string(total.in_doubt_cost),
            "unpriced_calls": total.unpriced_calls,
            "savings": [
                {"kind": one.kind, "saving": usd_string(one.saving)} for one in report.advice
            ],
        },
        role=Role.LEAD,
    )


def _key(team: Team, month: Month) -> str:
    return f"report:{team.pk}:{month}"


def _shown(pico: int | None) -> str:
    """In USD, and beside it in the installation's own currency, with the day of its rate."""
    display = settings.DISPLAY
    if pico is None or display is None:
        return money_text(pico)
    return f"{money_text(pico)} ({display.text(pico)} at the rate of {display.day})"


def _body(report: Report) -> str:
    lines = []
    for number, one in enumerate(report.advice, 1):
        said = words_of(one)
        saving = f"It would have saved {money_text(one.saving)}: {said.arithmetic}."
        lines.append(f"{number}. {said.title}. {said.text} {saving}")
    if lines:
        lines.insert(0, "What to do about it:")
    return "\n\n".join(lines)


def _facts(report: Report) -> list[tuple[str, Any]]:
    total = report.total
    facts = [("Spent", _shown(total.known_cost))]
    share = report.change_share
    of_it = f" ({share:+.0%})" if share is not None else ""
    sign = "+" if report.change > 0 else ""
    facts.append((f"Against {report.month.before}", f"{sign}{money_text(report.change)}{of_it}"))
    facts += [(f"Job {n}: {row.label}", money_text(row.known_cost)) for n, row in report.numbered]
    facts += [(f"Wasted, {cause}", money_text(amount)) for cause, amount in report.waste]
    if total.in_doubt_calls:
        facts.append(("In doubt, at most", money_text(total.known_in_doubt_cost)))
    if total.unpriced_calls:
        facts.append(("Calls of unknown price", f"{total.unpriced_calls:,}"))
    return facts
