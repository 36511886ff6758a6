"""Leads learn of a budget's warning, of its stop, and of a month that will exceed it; each once."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import Budget, CostRollup, JobStatus, Notice, NoticeCopy, StatusReason
from jobs.money import PICO
from jobs.notices.of_budgets import note_budgets
from jobs.notices.spread import spread_notices
from tests.cast import cast  # noqa: F401
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def spend(work: Work, usd: float, *, days_ago: int = 0, connection: int = 0) -> None:  # noqa: F811
    CostRollup.objects.create(
        job_id=0,
        template_version_id=0,
        connection_id=connection or work.connection.pk,
        model=f"m{CostRollup.objects.count()}",
        day=NOW.date() - timedelta(days_ago),
        team_id=work.cast.team.pk,
        cost=int(usd * PICO),
    )


def limit(work: Work, warn_at: int | None, stop_at: int | None, **more: object) -> Budget:  # noqa: F811
    found = Budget.objects.filter(team=work.cast.team).count()
    return Budget.objects.create(
        team=work.cast.team,
        key=f"budget {found}",
        warn_at=None if warn_at is None else warn_at * PICO,
        stop_at=None if stop_at is None else stop_at * PICO,
        **more,
    )


def told(*, looking_ahead: bool = False, now: datetime = NOW) -> list[str]:
    for _ in range(2):
        note_budgets(now, looking_ahead=looking_ahead)
    return list(Notice.objects.order_by("id").values_list("title", flat=True))


def test_it_warns_once_for_a_month_and_limit_and_tells_leads(work: Work) -> None:  # noqa: F811
    rule = limit(work, 80, 100)
    spend(work, 79.99)
    assert told() == []
    spend(work, 0.01, days_ago=3)
    assert told() == ["The budget of November has reached its warning"]
    limit(work, 80, 100, month=NOW.date().replace(day=1))  # the month's own row
    assert len(told()) == 1
    Budget.objects.update(warn_at=70 * PICO)
    assert len(told()) == 2
    rule.refresh_from_db()
    assert told(now=NOW + timedelta(days=20))[2:] == []  # of the next month nothing is spent
    spread_notices(NOW)
    people = set(NoticeCopy.objects.values_list("user__username", flat=True))
    assert people == {"alice", "bob"}
    warned = Notice.objects.order_by("id")[0]
    assert ["Spent", "$80.00"] in warned.facts
    assert ["Begins anew", "2026-12-01"] in warned.facts
    assert (warned.data["spent"], warned.data["stop_at"]) == ("80.00", "100.00")


def test_it_says_when_a_budget_is_used_up(work: Work) -> None:  # noqa: F811
    limit(work, 80, 100)
    limit(work, None, 10, connection=work.connection)
    spend(work, 9.95)
    assert told() == []
    # What is left covers no call any more, and a job waits for it.
    refused = {"scope": "connection", "limit": 10 * PICO, "connection": work.connection.pk}
    waiting = {"status": JobStatus.PAUSED, "status_reason": StatusReason.BUDGET}
    work.job(pending=3, **waiting, refusal={"scope": "job", "limit": 10 * PICO, "connection": 1})
    assert told() == []
    work.job(pending=3, **waiting, refusal=refused)
    assert told() == ["The budget of November on Simulator is used up"]
    spend(work, 91, connection=work.connection.pk + 1)
    assert told()[1:] == ["The budget of November is used up"]


def test_it_foresees_a_month_that_exceeds_its_budget(work: Work) -> None:  # noqa: F811
    limit(work, 250, 280)
    for day in range(1, 61):
        spend(work, 10, days_ago=day)
    assert told() == []  # 190 of 280: nothing is reached
    assert told(looking_ahead=True) == ["The budget of November will be used up by 29 November"]
    foreseen = Notice.objects.get()
    assert foreseen.data["expected"] == "300.00"
    assert "$300.00 is expected" in foreseen.body
    assert len(told(looking_ahead=True, now=NOW + timedelta(hours=6))) == 1
