"""What is out of line, and how the month will end: from a history that has its own weekly shape."""

from datetime import date, timedelta

from jobs.costs.forecast import forecast
from jobs.costs.usual import odd, odd_days

TODAY = date(2026, 11, 24)  # a Tuesday


def _weeks(number: int, monday: int = 100, other: int = 10) -> dict[date, int]:
    """A peak each Monday, nothing on Sundays, a little unrest in all of it."""
    days = [TODAY - timedelta(n) for n in range(1, 7 * number + 1)]
    usual = {0: monday, 6: 0}
    return {
        day: usual.get(day.weekday(), other) * (100 + day.day % 7) * 10**6 for day in days
    }  # fmt: skip


def test_a_peak_each_monday_is_no_alarm_and_one_on_a_tuesday_is() -> None:
    cost = _weeks(12)
    last_week = TODAY - timedelta(7)
    assert odd_days(cost, TODAY - timedelta(27), TODAY, TODAY) == {}
    cost[last_week] = cost[last_week] * 6
    found = odd_days(cost, TODAY - timedelta(27), TODAY, TODAY)
    assert list(found) == [last_week]
    assert 5.5 < (found[last_week].times or 0) < 6.5
    # The odd day makes the next weeks' Tuesdays no odder.
    assert odd_days(cost, TODAY, TODAY, TODAY) == {}


def test_a_day_without_its_usual_work_is_told_once_it_is_over() -> None:
    cost = _weeks(12)
    monday = TODAY - timedelta(1)
    cost[monday] = 0
    assert list(odd_days(cost, monday, TODAY, TODAY)) == [monday]
    assert odd_days(cost, monday, TODAY, monday) == {}


def test_too_little_history_says_nothing() -> None:
    cost = {**_weeks(3), TODAY: 10**15}
    assert odd_days(cost, TODAY, TODAY, TODAY) == {}
    assert odd_days({}, TODAY, TODAY, TODAY) == {}
    assert odd(10**12, [1, 1, 1]) is None
    assert forecast(_weeks(1), TODAY) is None
    assert forecast({}, TODAY) is None


def test_the_month_ends_as_such_days_went_before() -> None:
    cost = _weeks(12)
    ahead = forecast(cost, TODAY)
    assert ahead is not None
    spent = sum(amount for day, amount in cost.items() if day.month == 11)
    assert ahead.spent == spent
    # Tuesday to Monday: one peak, five usual days, one Sunday.
    assert 150 * 100 * 10**6 <= ahead.expected - spent <= 150 * 106 * 10**6
    assert ahead.low <= ahead.expected <= ahead.high
    assert ahead.day_of(spent) == TODAY
    assert ahead.day_of(spent + 80 * 10**8) == date(2026, 11, 30)  # the peak goes beyond it
    assert ahead.day_of(10**15) is None


def test_what_was_spent_today_is_not_counted_twice() -> None:
    cost = _weeks(12)
    without = forecast(cost, TODAY)
    usual = forecast({**cost, TODAY: 5 * 10**8}, TODAY)
    assert without is not None
    assert usual is not None
    assert usual.expected == without.expected
    dear = forecast({**cost, TODAY: 10**12}, TODAY)
    assert dear is not None
    assert dear.low >= dear.spent == without.spent + 10**12


def test_on_the_last_day_nothing_but_that_day_is_left() -> None:
    last = date(2026, 11, 30)  # a Monday
    cost = {last - timedelta(n): 10**9 for n in range(1, 80)}
    ahead = forecast(cost, last)
    assert ahead is not None
    assert (ahead.low, ahead.expected, ahead.high) == (30 * 10**9,) * 3
    assert ahead.day_of(29 * 10**9) == last
    first = forecast({**cost, last: 10**9}, date(2026, 12, 1))
    assert first is not None
    assert (first.spent, first.expected) == (0, 31 * 10**9)
