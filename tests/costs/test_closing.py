"""Closing a month: what it came to is written down once, and nothing changes it again."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.costs import closing
from jobs.costs.closing import month_close, totals_now
from jobs.costs.focus import focus_lines
from jobs.costs.months import Month
from jobs.engine.verify import verify
from jobs.errors import Conflict, NotAllowed, NotFound
from jobs.models import AuditEvent, ClosedMonth, CostRollup, JobStatus, Lease, Role
from tests.api.caller import Caller
from tests.cast import actor_for, cast, join, make_user  # noqa: F401
from tests.costs.books import RATES, USAGE, write_call, write_correction
from tests.engine.test_job_state_machine import Bench
from tests.engine.test_ledger_lines import told
from tests.web.reading import text
from tests.web.work import Work, work  # noqa: F401

pytestmark = pytest.mark.django_db
MAY = Month(date(2026, 5, 1))


def at(monkeypatch: pytest.MonkeyPatch, *moment: int) -> None:
    monkeypatch.setattr(closing.timezone, "now", lambda: datetime(*moment, tzinfo=UTC))


def test_a_month_closes_a_day_after_its_end_once_and_by_an_admin(
    work: Work,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = work.job(status=JobStatus.RUNNING)
    write_call(job, date(2026, 5, 31))
    alice, bob = work.cast.actor(work.cast.alice), work.cast.actor(work.cast.bob)
    at(monkeypatch, 2026, 6, 1, 23, 59)
    with pytest.raises(Conflict, match="from 2026-06-02 00:00 UTC on"):
        month_close(actor=alice, month=MAY)
    at(monkeypatch, 2026, 6, 2)
    with pytest.raises(NotAllowed):
        month_close(actor=bob, month=MAY)
    lease: Any = {"token": "t", "worker": "w", "until": closing.timezone.now(), "records": [1]}
    Lease.objects.create(job=job, day=date(2026, 5, 31), **lease)
    with pytest.raises(Conflict, match="on their way"):
        month_close(actor=alice, month=MAY)
    Lease.objects.update(day=date(2026, 6, 1))
    closed = month_close(actor=alice, month=MAY)
    assert closed.totals["cost"] == RATES.cost(USAGE)
    with pytest.raises(Conflict, match="closed already"):
        month_close(actor=alice, month=MAY)
    with pytest.raises(NotFound):
        month_close(actor=alice, month=MAY.before)
    event = AuditEvent.objects.get(action="month.close")
    assert (event.actor_name, event.detail["month"]) == ("alice", "2026-05")
    assert event.detail["cost_usd"] == "0.000374"


def test_what_changes_a_closed_month_is_seen(work: Work) -> None:  # noqa: F811
    first = write_call(work.job(status=JobStatus.COMPLETED), date(2026, 5, 31))
    closed = month_close(actor=work.cast.actor(work.cast.alice), month=MAY)
    write_correction(first, date(2026, 6, 3), -7)
    assert totals_now(closed) == closed.totals
    CostRollup.objects.filter(day=date(2026, 5, 31)).update(day=date(2026, 5, 30))
    assert totals_now(closed)["cost"] == closed.totals["cost"]
    assert totals_now(closed) != closed.totals


def test_replays_and_late_answers_leave_it_as_it_was_and_verify_holds_it_to_that() -> None:
    bench = Bench(3)
    bench.clock.at = datetime(2026, 10, 31, 23, 50, tzinfo=UTC)
    bench.claim()
    late = told(bench)
    bench.settle(told(bench), told(bench))
    bench.crash()
    team = bench.job.team
    admin = make_user("ada")
    join(admin, team, Role.ADMIN)
    october = Month(date(2026, 10, 1))
    closed = month_close(actor=actor_for(admin, team), month=october)
    rows = list(CostRollup.objects.filter(day__lte=october.last).order_by("pk").values())
    file = list(focus_lines(team_ids=[team.pk], month=october))
    bench.clock.at = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    bench.settle(late)
    bench.replay(2, replayed="all")
    bench.apply_replays()
    bench.claim()
    bench.settle(told(bench), told(bench))
    assert list(CostRollup.objects.filter(day__lte=october.last).order_by("pk").values()) == rows
    assert list(focus_lines(team_ids=[team.pk], month=october)) == file
    assert CostRollup.objects.filter(day__gt=october.last).exists()
    assert verify().difference is None
    ClosedMonth.objects.update(totals=closed.totals | {"cost": closed.totals["cost"] + 1})
    assert "cost of 2026-10, closed, of the team" in str(verify().difference)


def test_people_and_programs_see_what_is_closed_and_close_it(work: Work) -> None:  # noqa: F811
    job = work.job(status=JobStatus.COMPLETED)
    for day in (date(2026, 4, 2), date(2026, 5, 2)):
        write_call(job, day)
    alice, bob = work.cast.client(work.cast.alice), work.cast.client(work.cast.bob)
    assert "Needs the role “admin”" in text(bob.get("/costs/months/"))
    answer = alice.post("/costs/months/2026-05/close/", {"confirmed": "yes"}, follow=True)
    assert "2026-05 is closed. Its figures never change again." in text(answer)
    assert "by alice" in text(bob.get("/costs/months/"))
    again = alice.post("/costs/months/2026-05/close/", {"confirmed": "yes"}, follow=True)
    assert "2026-05 is closed already." in text(again)
    assert alice.post("/costs/months/may/close/", {"confirmed": "yes"}).status_code == 404
    api = Caller(work.cast.token(work.cast.alice))
    done = api.post("/costs/months/2026-04/close", {})
    assert (done["month"], done["cost"], done["closed_by"]) == ("2026-04", "0.000374", "alice")
    months = {one["month"]: one for one in api.items("/costs/months")}
    assert months["2026-05"]["closed_at"] is not None
    assert ClosedMonth.objects.count() == 2
    charges = work.cast.client(work.cast.bob).get("/costs/focus.csv?month=2026-04")
    assert api.download("/costs/focus?month=2026-04") == b"".join(charges)  # type: ignore[arg-type]


def test_before_the_first_call_the_page_says_so(work: Work) -> None:  # noqa: F811
    assert "Nothing was spent yet" in text(work.olivia.get("/costs/months/"))
