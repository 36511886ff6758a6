"""Budgets of teams and months: reserved before a call leaves, in blocks, and never overshot."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.control.actions import job_pause
from jobs.control.budgets import budget_set, job_budget_set
from jobs.costs.budgets import AHEAD_SHARE, block
from jobs.engine.resuming import give_back_idle, resume_within_budgets
from jobs.engine.verify import verify
from jobs.models import Budget, Grant, Job, JobStatus, Price, StatusReason, Team
from jobs.money import to_usd
from tests.engine.test_record_state_machine import STEPS, World

pytestmark = pytest.mark.django_db

# The highest cost of a call of these jobs lies a little below.
A_CALL = 200_000_000
_OF_INPUT = ("input", "cached_input", "cache_write", "cache_write_1h")
_QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(
    need=st.integers(0, 10**12),
    room=st.one_of(st.none(), st.integers(0, 10**13)),
    short=st.booleans(),
)
def test_it_takes_what_is_needed_and_a_little_of_what_is_left(
    need: int, room: int | None, short: bool
) -> None:
    room = room if room is None else max(room, need)
    taken = block(need, room, short=short)
    assert taken >= need
    if room is not None:
        assert taken <= room
        assert (taken - need) * AHEAD_SHARE <= room - need
    if short or need == 0:
        assert taken == need


def world(team: Team, *, budget: int | None = None, price: int = 1) -> World:
    made = World(0, team, budget)
    Price.objects.filter(connection=made.job.connection).update(
        output=600_000 * price,
        **dict.fromkeys(_OF_INPUT, 150_000 * price),
    )
    return made


def limit(
    world: World,
    calls: float,
    *,
    connection: bool = False,
    month: bool = False,
    now: datetime | None = None,
) -> Budget:
    now = now or world.now
    return budget_set(
        actor=world.actor,
        connection=world.job.connection if connection else None,
        month=now.date() if month else None,
        warn_at=None,
        stop_at=to_usd(int(calls * A_CALL)),
        now=now,
    )


def books_are_right() -> None:
    difference = verify().difference
    assert difference is None, str(difference)


def committed(budget: Budget) -> int:
    """Spent and reserved, as the jobs' own grants have it."""
    held = Grant.objects.filter(budget=budget)
    return budget.direct + sum(grant.used + grant.reserved for grant in held)


STEPS_OF_TEAMS = (*STEPS, "claim", "claim", "claim", "sweep", "raise", "lower", "month", "midnight")


@settings(max_examples=60, deadline=None, suppress_health_check=_QUIET)
@given(
    seed=st.integers(0, 10**6),
    steps=st.lists(st.sampled_from(STEPS_OF_TEAMS), min_size=10, max_size=60),
)
def test_it_holds_in_any_order_of_events(db: None, seed: int, steps: list[str]) -> None:
    """Four jobs of two teams, one of them a thousand times as dear, across the end of a month."""
    rng = random.Random(seed)
    with transaction.atomic():
        teams = [Team.objects.create(name=f"team {n}") for n in range(2)]
        worlds = [world(teams[n % 2], price=rng.choice((1, 30, 1000))) for n in range(3)]
        worlds.append(world(teams[1], budget=3 * A_CALL))
        allowed: dict[int, int] = {}
        now = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
        for one in worlds:
            one.now = now
            if rng.random() < 0.8:
                limit(one, rng.choice((0, 1, 5, 40, 3000)), connection=rng.random() < 0.4)
        for step in steps:
            one = rng.choice(worlds)
            one.now = now
            if step == "sweep":
                give_back_idle(one.dialect, now)
                resume_within_budgets(one.dialect, now)
            elif step in ("raise", "lower"):
                calls = rng.choice((2, 30, 5000)) if step == "raise" else rng.choice((0, 1, 3))
                limit(one, calls, connection=rng.random() < 0.4, month=rng.random() < 0.5)
            elif step == "month":
                one.now = now = now + timedelta(days=rng.choice((1, 31)))
            elif step == "midnight":
                one.now = now = now.replace(hour=23, minute=59, second=58)
            else:
                one.step(step)
            now = max(now, one.now)
            books_are_right()
            for budget in Budget.objects.filter(month__isnull=False):
                # What a lowered stop found committed ends, and nothing is added to it.
                most = max(allowed.get(budget.pk, 0), budget.stop_at or 0)
                if step in ("raise", "lower") or budget.pk not in allowed:
                    most = max(most, committed(budget))
                assert committed(budget) <= most
                allowed[budget.pk] = max(committed(budget), budget.stop_at or 0)
        transaction.set_rollback(True)


def claims(one: World, limit: int = 1) -> int:
    """How many were claimed, of one job that asks for so many."""
    before = len(one.held)
    one.rng.choice = lambda options: options[0]  # type: ignore[method-assign,assignment]
    one.rng.randint = lambda a, b: limit  # type: ignore[method-assign]
    one.do_claim()
    return len(one.held) - before


def status(one: World) -> tuple[JobStatus, str]:
    one.job.refresh_from_db()
    return one.job.state, one.job.status_reason


def succeed(one: World) -> None:
    one.do_succeed()


def test_it_lets_no_two_jobs_pass_the_same_check() -> None:
    """Two jobs each fit into the budget; together they do not."""
    team = Team.objects.create(name="t")
    first, second = world(team), world(team)
    budget = limit(first, 1.5)
    assert claims(first) == 1
    assert claims(second) == 0
    assert status(second) == (JobStatus.QUEUED, "")  # what is in flight may yet free enough
    succeed(first)
    assert claims(second) == 1
    books_are_right()
    budget.refresh_from_db()
    assert budget.granted <= (budget.stop_at or 0)


def test_it_takes_back_what_another_holds_without_need_before_it_pauses() -> None:
    team = Team.objects.create(name="t")
    rich, poor = world(team), world(team)
    budget = limit(rich, 40)
    assert claims(rich, 3) == 3  # and some in hand for later ones
    grant = Grant.objects.get(job_id=rich.job.pk)
    assert grant.granted - grant.used - grant.reserved > A_CALL
    Budget.objects.filter(pk=budget.pk).update(stop_at=grant.granted + 1)
    assert claims(poor) == 0
    assert status(poor)[0] is JobStatus.QUEUED
    give_back_idle(rich.dialect, rich.now)
    assert claims(poor) == 1
    books_are_right()


def test_it_pauses_with_the_reason_and_goes_on_once_it_is_raised() -> None:
    one = world(Team.objects.create(name="Support"))
    limit(one, 0.5)
    assert claims(one) == 0
    assert status(one) == (JobStatus.PAUSED, StatusReason.BUDGET)
    detail = one.job.status_detail
    assert "The budget of team Support for November 2026 is 0.0001 USD" in detail
    assert "0.00 USD are spent, 0.00 USD are reserved" in detail
    assert "begins anew on 2026-12-01 at 00:00 UTC" in detail
    assert "does not help" in detail
    limit(one, 0.6)
    assert status(one)[0] is JobStatus.PAUSED
    limit(one, 5)
    assert status(one) == (JobStatus.RUNNING, "")
    assert claims(one) == 1
    books_are_right()


def test_it_goes_on_by_itself_when_a_month_begins_but_never_over_a_person() -> None:
    team = Team.objects.create(name="t")
    one, other = world(team), world(team)
    limit(one, 1.2)
    assert claims(one) == 1
    one.do_fail()
    limit(one, 0.3, month=True)
    assert claims(one) == claims(other) == 0
    assert status(one) == status(other) == (JobStatus.PAUSED, StatusReason.BUDGET)
    Job.objects.filter(pk=other.job.pk).update(status="running")
    job_pause(actor=other.actor, job=other.job)
    for at, gone in ((one.now, False), (datetime(2026, 12, 1, tzinfo=UTC), True)):
        resume_within_budgets(one.dialect, at)
        assert (status(one)[0] is JobStatus.RUNNING) == gone
    assert status(other) == (JobStatus.PAUSED, StatusReason.PERSON)
    one.now = datetime(2026, 12, 1, tzinfo=UTC)
    assert claims(one) == 1
    assert Budget.objects.get(month="2026-12-01").granted > 0
    books_are_right()


def test_it_lets_calls_in_flight_end_when_the_stop_is_lowered_below_them() -> None:
    one = world(Team.objects.create(name="t"))
    budget = limit(one, 100)
    assert claims(one, 3) == 3
    limit(one, 1)
    assert claims(one) == 0
    succeed(one)
    assert claims(one) == 0  # what that freed is not within the stop either
    assert status(one)[0] is JobStatus.RUNNING
    succeed(one)
    succeed(one)
    budget.refresh_from_db()
    assert committed(budget) == Job.objects.get(pk=one.job.pk).cost
    assert claims(one) == 1  # what they cost in the end leaves room for a call
    books_are_right()


def test_it_takes_into_account_what_was_spent_before_it_was_set() -> None:
    one = world(Team.objects.create(name="t"))
    assert claims(one, 3) == 3
    succeed(one)
    one.do_doubt()
    budget = limit(one, 2.5)
    spent = Job.objects.get(pk=one.job.pk)
    assert budget.granted == spent.cost + spent.in_doubt_cost + spent.reserved
    books_are_right()
    one.do_crash()
    one.do_late()
    books_are_right()


def test_it_never_blocks_what_is_free() -> None:
    one = world(Team.objects.create(name="t"), price=0)
    limit(one, 0)
    assert claims(one, 3) == 3
    job_budget_set(actor=one.actor, job=one.job, budget="0")
    assert claims(one, 3) == 3
    books_are_right()


def test_it_makes_no_call_at_an_unknown_price_where_money_has_to_be_held() -> None:
    one = world(Team.objects.create(name="t"))
    Price.objects.all().delete()
    limit(one, 100)
    assert claims(one) == 0
    assert status(one) == (JobStatus.PAUSED, StatusReason.NO_PRICE)
    assert "The price of sim-small is unknown" in one.job.status_detail


def test_it_books_a_call_on_the_month_of_its_claim() -> None:
    one = world(Team.objects.create(name="t"))
    one.now = datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC)
    limit(one, 10)
    assert claims(one, 2) == 2
    one.now = datetime(2026, 12, 1, 0, 0, 5, tzinfo=UTC)
    assert claims(one, 1) == 1
    for _ in range(3):
        succeed(one)
    november, december = Budget.objects.exclude(month=None).order_by("month")
    assert committed(november) == 2 * committed(december) > 0
    books_are_right()


def test_it_counts_a_call_that_cost_more_than_the_most_it_could() -> None:
    one = world(Team.objects.create(name="t"))
    budget = limit(one, 1)
    assert claims(one) == 1
    Price.objects.update(input=10**12)
    one.plans.clear()
    succeed(one)
    budget.refresh_from_db()
    assert budget.granted == Job.objects.get(pk=one.job.pk).cost > (budget.stop_at or 0)
    assert budget.short
    books_are_right()


def test_it_gives_back_what_a_job_held_when_it_stops() -> None:
    one = world(Team.objects.create(name="t"))
    budget = limit(one, 1000)
    assert claims(one) == 1
    job_pause(actor=one.actor, job=one.job)
    one.do_give_back()
    budget.refresh_from_db()
    grant = Grant.objects.get()
    assert budget.granted == grant.granted == grant.used
    books_are_right()
