"""What the month will have cost at its end, with a range, and when a budget will be used up.

The days after today are taken to cost what stretches of as many days cost that began on the same
weekday: the median of them is expected, the cheapest and the dearest are the range. So it holds whole
weekends and Mondays, and the spread that whole stretches really have, and promises no more than was
seen. A history too short for such stretches is added up day by day from its weekdays, which makes a
wider range; one of less than two weeks tells nothing. Today, which is not over, will cost what its
weekday does, or what it has cost already where that is more.
"""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

HISTORY = 70  # days: four stretches of a whole month, a week apart
LEAST_DAYS = 14
LEAST_STRETCHES = 4


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of a whole month, in pico-USD. `daily` is what is expected of each day that is left, today with
    what it has cost already."""

    spent: int
    low: int
    expected: int
    high: int
    days: int  # of history
    daily: dict[date, int]
    today: int  # what today has cost already: part of `spent`, and of its day in `daily`

    def day_of(self, limit: int) -> date | None:
        """The day on which what is expected exceeds a limit; None where it never does this month."""
        total = self.spent - self.today
        for day, amount in sorted(self.daily.items()):
            total += amount
            if total > limit:
                return day
        return None


def month_days(today: date) -> tuple[date, date]:
    return today.replace(day=1), today.replace(day=calendar.monthrange(today.year, today.month)[1])


def forecast(cost: Mapping[date, int], today: date) -> Forecast | None:
    """From what each day of the last `HISTORY` cost; None where there is too little of it."""
    first, last = month_days(today)
    begun = min((day for day, amount in cost.items() if amount and day < today), default=today)
    days = (today - begun).days
    if days < LEAST_DAYS:
        return None
    before = sum(amount for day, amount in cost.items() if first <= day < today)
    spent = cost.get(today, 0)
    by_weekday = _by_weekday(cost, begun, today)
    now = by_weekday[today.weekday()]
    left = [today + timedelta(n) for n in range(1, (last - today).days + 1)]
    usual = {day: int(median(by_weekday[day.weekday()])) for day in left}
    stretches = _stretches(cost, begun, today, len(left))
    if not left:
        low = middle = high = 0
    elif len(stretches) >= LEAST_STRETCHES:
        low, middle, high = min(stretches), int(median(stretches)), max(stretches)
    else:
        low = sum(min(by_weekday[day.weekday()]) for day in left)
        high = sum(max(by_weekday[day.weekday()]) for day in left)
        middle = sum(usual.values())
    # Days as they are usually, made to add up to what is expected of all.
    whole = sum(usual.values())
    daily = {day: amount * middle // whole if whole else 0 for day, amount in usual.items()}
    daily[today] = max(int(median(now)), spent)
    return Forecast(
        spent=before + spent,
        low=before + max(min(now), spent) + low,
        expected=before + daily[today] + middle,
        high=before + max(max(now), spent) + high,
        days=days,
        daily=daily,
        today=spent,
    )


def _by_weekday(cost: Mapping[date, int], begun: date, today: date) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {weekday: [] for weekday in range(7)}
    for n in range((today - begun).days):
        day = begun + timedelta(n)
        found[day.weekday()].append(cost.get(day, 0))
    return found


def _stretches(cost: Mapping[date, int], begun: date, today: date, length: int) -> list[int]:
    """What as many days cost that began on tomorrow's weekday and were over before today."""
    found = []
    start = today - timedelta(6)
    while start >= begun:
        if start + timedelta(length) <= today:
            found.append(sum(cost.get(start + timedelta(n), 0) for n in range(length)))
        start -= timedelta(7)
    return found
