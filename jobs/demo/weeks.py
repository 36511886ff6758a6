"""Eight weeks in which the team spent money: nights, a peak each Monday, a template that was changed, a
model that was tried, and one day that got out of hand.

A few jobs are really run; the others are copies of them, each on a day of its own.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from django.utils import timezone

from jobs.demo.past import copy_job
from jobs.models import Job

WEEKS = 8
# Days ago: the night from which the second version was used, the week in which the larger model was
# tried, and the day on which somebody sent everything twice more.
SECOND_VERSION, LARGER_MODEL, OUT_OF_HAND = 20, 9, 5
NIGHTLY, BACKLOG = "Tickets of the night", "Tickets of the weekend"
FACTS, SHIFT = "Order facts for the shop", "Summaries for the shift"

# The jobs to be really run: (template, its version, model, rows).
RUNS: dict[str, tuple[str, int, str, int]] = {
    "first": ("Classify ticket", 1, "sim-small", 80),
    "second": ("Classify ticket", 2, "sim-small", 80),
    "backlog": ("Classify ticket", 2, "sim-small", 200),
    "larger": ("Classify ticket", 2, "sim-medium", 80),
    "facts": ("Extract order facts", 1, "sim-medium", 60),
    "shift": ("Summarise ticket", 1, "sim-small", 60),
}


def spend_weeks(run: Mapping[str, Job]) -> None:
    """`run` are the jobs of `RUNS`, done just now; they are moved into the weeks themselves."""
    today = timezone.now().date()
    for name, days_ago, title in _plan(today):
        copy_job(run[name], timedelta(days=days_ago), title)


def _plan(today: date) -> Iterator[tuple[str, int, str]]:
    """(which job, how many days ago, what it was called), the oldest first: ids are given in order."""
    for days_ago in range(7 * WEEKS, 0, -1):
        weekday = (today - timedelta(days_ago)).weekday()
        if weekday == 0:
            yield "backlog", days_ago, BACKLOG
        if weekday < 5:
            yield "first" if days_ago > SECOND_VERSION else "second", days_ago, NIGHTLY
        if weekday in (1, 3):
            yield "facts", days_ago, FACTS
        if weekday == 4:
            yield "shift", days_ago, SHIFT
        if days_ago <= LARGER_MODEL and weekday < 5:
            yield "larger", days_ago, f"{NIGHTLY}, larger model"
        if days_ago == OUT_OF_HAND:
            yield from (("larger", days_ago, "All tickets again"),) * 6
