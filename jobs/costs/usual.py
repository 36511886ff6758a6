"""Whether a figure is out of its own history: told by the median and the spread around it, both of which
a single odd day cannot move.

The distance is the modified z-score of Iglewicz and Hoaglin ("How to Detect and Handle Outliers", 1993):
0.6745 * (x - median) / MAD, where more than 3.5 is odd. Days are held against the same weekday alone and
jobs against jobs of their own name, so that a peak each night or each Monday is no alarm. Where there is
too little history nothing is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

LEAST = 4  # figures of history, without which nothing is usual
WEEKS = 8  # of history a day is held against
DISTANCE = 3.5
# A history of like figures has no spread; then a tenth of the median counts as one.
LEAST_SPREAD = 0.1
# What is less than half as much again as usual is not worth a person's time.
LEAST_TIMES = 1.5


@dataclass(frozen=True, slots=True)
class Odd:
    """A figure and what is usual there, in pico-USD."""

    amount: int
    usual: int
    low: int
    high: int
    seen: int  # figures of history

    @property
    def times(self) -> float | None:
        return self.amount / self.usual if self.usual else None


def odd(amount: int, history: Sequence[int]) -> Odd | None:
    """The figure with what is usual, if it is far above or below that; None where it is not, or where
    too little is known."""
    if len(history) < LEAST:
        return None
    middle = median(history)
    spread = median(abs(one - middle) for one in history)
    spread = max(spread, LEAST_SPREAD * middle, 1)
    if 0.6745 * abs(amount - middle) / spread <= DISTANCE:
        return None
    if middle / LEAST_TIMES < amount < middle * LEAST_TIMES:
        return None
    if min(history) <= amount <= max(history):
        return None  # it has been so before
    return Odd(amount, int(middle), min(history), max(history), len(history))


def odd_days(cost: Mapping[date, int], first: date, last: date, today: date) -> dict[date, Odd]:
    """Of the days `first` … `last` those that are out of the same weekday's history; `cost` reaches
    back `WEEKS` before `first`. Today, which is not over, can only have cost too much. History begins
    with the first day on which anything was spent."""
    begun = min((day for day, amount in cost.items() if amount), default=None)
    found: dict[date, Odd] = {}
    if begun is None:
        return found
    day = first
    while day <= min(last, today):
        weeks = (day - timedelta(weeks=n) for n in range(1, WEEKS + 1))
        history = [cost.get(one, 0) for one in weeks if one >= begun]
        out = odd(cost.get(day, 0), history)
        if out is not None and (day < today or out.amount > out.usual):
            found[day] = out
        day += timedelta(1)
    return found
