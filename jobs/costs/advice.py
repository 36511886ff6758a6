"""What a team could have spent less on in a month, each with its saving: computed from the ledger, never
guessed. A thing whose saving the ledger cannot prove is not said.

Looked at are the dearest jobs of the month, as far as their calls can be summed while a person waits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection as database

from jobs.costs.grouping import Days, Scope, group_sums
from jobs.costs.months import Month
from jobs.failures import POLICIES, FailureClass
from jobs.models import Job, PromptTemplate, Waste

# Jobs and calls that are looked at.
MOST_JOBS = 50
MOST_CALLS = 1_000_000
# Fewer results of a model say little about what one costs.
LEAST_RESULTS = 30
MOST_ADVICE = 3
_FRUITLESS = (Waste.FAILED.value, Waste.RETRIED.value, Waste.REPAIRED.value)


@dataclass(frozen=True, slots=True)
class Advice:
    """`saving` in pico-USD; `count` and `each` are how it came about. The words are the page's."""

    kind: str  # failures | replays | duplicates | again | model
    saving: int
    count: int
    job: Job | None = None  # the one that it concerns most
    jobs: int = 0
    failure_class: str = ""
    template: str = ""
    model: str = ""
    other_model: str = ""
    each: int = 0
    other_each: int = 0

    @property
    def suggestion(self) -> str:
        known = self.failure_class in set(FailureClass)
        return POLICIES[FailureClass(self.failure_class)].suggestion if known else ""

    @property
    def failure(self) -> str:
        known = self.failure_class in set(FailureClass)
        return POLICIES[FailureClass(self.failure_class)].label if known else self.failure_class


def advice_for(team_id: int, month: Month) -> list[Advice]:
    """The three that would have saved most, the best first; fewer where there are fewer."""
    days, scope = Days(month.first, month.last), Scope((team_id,))
    ids = _jobs(scope, days)
    found = [*_models(scope, days), *_replays(scope, days)]
    if ids:
        found += [*_failures(ids, days), *_duplicates(ids, days), *_again(ids, days)]
    found.sort(key=lambda one: (-one.saving, one.kind))
    return [one for one in found if one.saving > 0][:MOST_ADVICE]


def _jobs(scope: Scope, days: Days) -> list[int]:
    rows, _ = group_sums(scope, days, ["job"], ["calls"], limit=MOST_JOBS)
    chosen, held = [], 0
    for job_id, calls in rows:
        if job_id and held + calls <= MOST_CALLS:
            chosen.append(job_id)
            held += calls
    return chosen


def _models(scope: Scope, days: Days) -> Iterator[Advice]:
    """Of a template run by several models: the results of each at what the cheapest took for one."""
    sums = ["cost", "accepted", "unpriced_calls"]
    rows, _ = group_sums(scope, days, ["template", "model"], sums)
    each: dict[int, list[tuple[int, str, int]]] = {}
    for template_id, model, cost, accepted, unpriced in rows:
        if template_id and not unpriced and accepted >= LEAST_RESULTS:
            found = each.setdefault(template_id, [])
            found.append((int(cost) // int(accepted), model, int(accepted)))
    names = _template_names([pk for pk, found in each.items() if len(found) > 1])
    for template_id, found in each.items():
        low, cheapest, _ = min(found)
        for price, model, results in found:
            if price > low:
                yield Advice(
                    kind="model",
                    saving=(price - low) * results,
                    count=results,
                    template=names[template_id],
                    model=model,
                    other_model=cheapest,
                    each=price,
                    other_each=low,
                )


def _replays(scope: Scope, days: Days) -> Iterator[Advice]:
    rows, _ = group_sums(scope, days, ["job"], ["superseded_cost"])
    wasted = [(job_id, int(cost), 0) for job_id, cost in rows if job_id and cost > 0]
    yield from _together("replays", wasted)


def _failures(ids: Sequence[int], days: Days) -> Iterator[Advice]:
    """Calls that brought nothing, by cause."""
    where, values = _attempts(ids, days)
    waste = ", ".join(["%s"] * len(_FRUITLESS))
    rows = _fetch(
        "SELECT failure_class, job_id, SUM(COALESCE(cost, 0)), COUNT(*) FROM jobs_attempt "
        f"WHERE {where} AND waste IN ({waste}) GROUP BY failure_class, job_id",
        [*values, *_FRUITLESS],
    )
    by_class: dict[str, list[tuple[int, int, int]]] = {}
    for failure_class, job_id, cost, calls in rows:
        by_class.setdefault(failure_class, []).append((job_id, int(cost), calls))
    for failure_class, found in by_class.items():
        yield from _together("failures", found, failure_class)


def _together(
    kind: str, found: Sequence[tuple[int, int, int]], failure_class: str = ""
) -> Iterator[Advice]:
    """One advice of (job, saving, calls) of several jobs, with the job that it concerns most."""
    if found:
        yield Advice(
            kind=kind,
            saving=sum(saving for _, saving, _ in found),
            count=sum(calls for *_, calls in found),
            job=Job.objects.get(pk=max(found, key=lambda one: (one[1], -one[0]))[0]),
            jobs=len(found),
            failure_class=failure_class,
        )


_ANSWERED = "outcome IN ('accepted', 'superseded') AND request_key IS NOT NULL AND generation = 0"


def _duplicates(ids: Sequence[int], days: Days) -> Iterator[Advice]:
    """Rows of one job that asked the same, each called for; the dearest of the calls was needed."""
    where, values = _attempts(ids, days)
    rows = _fetch(
        "SELECT job_id, SUM(paid - dearest), SUM(calls - 1) FROM (SELECT job_id, request_key, "
        "SUM(COALESCE(cost, 0)) AS paid, MAX(COALESCE(cost, 0)) AS dearest, COUNT(*) AS calls "
        f"FROM jobs_attempt WHERE {where} AND {_ANSWERED} GROUP BY job_id, request_key "
        "HAVING COUNT(*) > 1) twice GROUP BY job_id",
        values,
    )
    found = [(job_id, int(saving), int(calls)) for job_id, saving, calls in rows if saving]
    yield from _together("duplicates", found)


def _again(ids: Sequence[int], days: Days) -> Iterator[Advice]:
    """Requests that one job had an answer to when another asked the same again."""
    where, values = _attempts(ids, days)
    rows = _fetch(
        "SELECT SUM(paid - dearest), SUM(times - 1) FROM (SELECT request_key, SUM(dearest) AS paid, "
        "MAX(dearest) AS dearest, COUNT(*) AS times FROM (SELECT job_id, request_key, "
        "MAX(COALESCE(cost, 0)) AS dearest FROM jobs_attempt "
        f"WHERE {where} AND {_ANSWERED} GROUP BY job_id, request_key) of_job "
        "GROUP BY request_key HAVING COUNT(*) > 1) twice",
        values,
    )
    for saving, calls in rows:
        yield Advice(kind="again", saving=int(saving or 0), count=int(calls or 0))


def _attempts(ids: Sequence[int], days: Days) -> tuple[str, list[Any]]:
    places = ", ".join(["%s"] * len(ids))
    values = [*ids, days.first.isoformat(), days.last.isoformat()]
    return f"job_id IN ({places}) AND day BETWEEN %s AND %s", values


def _fetch(query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def _template_names(ids: Sequence[int]) -> dict[int, str]:
    return dict(PromptTemplate.objects.filter(pk__in=ids).values_list("pk", "name"))
