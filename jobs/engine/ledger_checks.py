"""The ledger held against what is written of it: attempts and corrections against records, jobs and
roll-ups, to the last digit; and each line against the prices it says it was valued with.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.backends.utils import CursorWrapper

from jobs.costs.pricing import Rates
from jobs.engine.book import CORRECTED, ROLLUP_SUMS, WASTE_SUMS
from jobs.engine.dialect import Dialect
from jobs.engine.difference import Difference, Jobs, compare, jobs_in
from jobs.models import Waste
from jobs.providers.types import Usage

_CONFIRMED = "outcome <> 'in_doubt'"
_COST = f"CASE WHEN {_CONFIRMED} THEN COALESCE(cost, 0) ELSE 0 END"
_WASTED = f"CASE WHEN {_CONFIRMED} AND outcome <> 'accepted' THEN COALESCE(cost, 0) ELSE 0 END"
_TOKENS = (
    "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_tokens",
)  # fmt: skip
# What a roll-up sums, as the lines have it; the savings follow from the rates.
_SUMS = {
    "calls": "1",
    **{name: f"CASE WHEN {_CONFIRMED} THEN {name} ELSE 0 END" for name in _TOKENS},
    "cost": _COST,
    "wasted_cost": _WASTED,
    "in_doubt_cost": f"CASE WHEN {_CONFIRMED} THEN 0 ELSE COALESCE(cost, 0) END",
    "in_doubt_calls": f"CASE WHEN {_CONFIRMED} THEN 0 ELSE 1 END",
    "unpriced_calls": "CASE WHEN cost IS NULL THEN 1 ELSE 0 END",
    "estimated_calls": f"CASE WHEN {_CONFIRMED} AND usage_estimated THEN 1 ELSE 0 END",
    "estimated_cost": f"CASE WHEN {_CONFIRMED} AND usage_estimated THEN COALESCE(cost, 0) ELSE 0 END",
    "accepted": "CASE WHEN outcome = 'accepted' THEN 1 ELSE 0 END",
}
_ATTEMPTS = {
    **_SUMS,
    **{
        name: f"CASE WHEN {_CONFIRMED} AND waste = '{waste.value}' THEN COALESCE(cost, 0) ELSE 0 END"
        for waste, name in WASTE_SUMS.items()
    },
}
# A call outside a job is not tried again.
_DIRECT_CALLS = {
    **_SUMS,
    **{name: _WASTED if waste is Waste.FAILED else "0" for waste, name in WASTE_SUMS.items()},
}
_CORRECTIONS = {
    **{name: name for name in CORRECTED},
    **{
        name: f"CASE WHEN waste = '{waste.value}' THEN wasted_cost ELSE 0 END"
        for waste, name in WASTE_SUMS.items()
    },
}
# The job's own name for a sum, where it keeps it.
_JOB_SUMS = {
    "calls": "attempts", "input_tokens": "input_tokens", "output_tokens": "output_tokens",
    "cached_input_tokens": "cached_input_tokens", "cost": "cost", "wasted_cost": "wasted_cost",
    "in_doubt_cost": "in_doubt_cost", "in_doubt_calls": "in_doubt_attempts",
    "unpriced_calls": "unpriced_attempts", "estimated_calls": "estimated_attempts",
    "estimated_cost": "estimated_cost",
}  # fmt: skip

Sums = dict[tuple[Any, ...], dict[str, int]]


def _none() -> dict[str, int]:
    return dict.fromkeys(ROLLUP_SUMS, 0)


def _summed(columns: Mapping[str, str]) -> str:
    return ", ".join(f"SUM({column})" for column in columns.values())


def _usage(sums: Mapping[str, int]) -> Usage:
    plain, cached, write, write_1h, output = (sums[name] for name in _TOKENS)
    return Usage(
        input_tokens=plain,
        output_tokens=output,
        cached_input_tokens=cached,
        cache_write_tokens=write,
        cache_write_1h_tokens=write_1h,
    )


def _booked(
    cursor: CursorWrapper, columns: Mapping[str, str], keys: int, faults: list[Difference]
) -> Sums:
    """The roll-ups that the lines ask for. The query gives `keys` key columns, the rates, the day of
    a later change, the day, and the sums of `columns`; the job is the first key, if it is one.

    Lines of the same rates add up to what these make of their tokens: all is linear.
    """
    booked: Sums = defaultdict(_none)
    for row in cursor.fetchall():
        key, (text, amended_on, day) = row[:keys], row[keys : keys + 3]
        found = _none() | dict(
            zip(columns, (int(one or 0) for one in row[keys + 3 :]), strict=True)
        )
        rates = Rates.parse(text)
        if rates is not None:
            usage = _usage(found)
            found["cache_savings"] = rates.cache_savings(usage)
            found["batch_savings"] = rates.batch_savings(usage)
            if rates.cost(usage) != found["cost"]:
                where = f"cost of the lines of {key[-1]} on {day} valued at {text}"
                faults.append(Difference(key[0], where, rates.cost(usage), found["cost"]))
        if amended_on is not None:
            # Accepted in a month that was closed before another answer took its place.
            later = booked[(*key, str(amended_on))]
            later["accepted"] -= found["calls"]
            later["wasted_cost"] += found["wasted_cost"]
            later["superseded_cost"] += found["superseded_cost"]
            found |= {"accepted": found["calls"], "wasted_cost": 0, "superseded_cost": 0}
        sums = booked[(*key, str(day))]
        for name, value in found.items():
            sums[name] += value
    return booked


def ledger_of_jobs(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """The lines against the jobs' sums and against the roll-ups, row by row."""
    where, parameters = jobs_in(dialect, jobs)
    keys = "job_id, template_version_id, connection_id, model"
    cursor.execute(
        f"SELECT {keys}, rates, amended_on, day, {_summed(_ATTEMPTS)} "
        f"FROM jobs_attempt WHERE {where} GROUP BY {keys}, rates, amended_on, day",
        parameters,
    )
    faults: list[Difference] = []
    booked = _booked(cursor, _ATTEMPTS, 4, faults)
    yield from faults
    _add_corrections(cursor, booked, where, parameters)
    totals: dict[int, dict[str, int]] = defaultdict(_none)
    for (job_id, *_), sums in booked.items():
        for name, value in sums.items():
            totals[job_id][name] += value
    for job_id, job in jobs.items():
        total = totals[job_id]
        yield from compare(job_id, {own: total[name] for name, own in _JOB_SUMS.items()}, job)
        causes = sum(total[name] for name in WASTE_SUMS.values())
        if causes != total["wasted_cost"]:
            yield Difference(job_id, "waste by its causes", total["wasted_cost"], causes)
    cursor.execute(
        f"SELECT team_id, {keys}, day, {', '.join(ROLLUP_SUMS)} FROM jobs_costrollup WHERE {where}",
        parameters,
    )
    of_teams = {(jobs[key[0]]["team_id"], *key): sums for key, sums in booked.items()}
    yield from _same_sums(of_teams, _rollups(cursor, 6), job_at=1)


def _add_corrections(
    cursor: CursorWrapper, booked: Sums, where: str, parameters: list[Any]
) -> None:
    keys = "job_id, template_version_id, connection_id, model, day"
    cursor.execute(
        f"SELECT {keys}, {_summed(_CORRECTIONS)} FROM jobs_correction WHERE {where} GROUP BY {keys}",
        parameters,
    )
    for row in cursor.fetchall():
        sums = booked[(*row[:4], str(row[4]))]
        for name, value in zip(_CORRECTIONS, row[5:], strict=True):
            sums[name] += int(value or 0)


def _rollups(cursor: CursorWrapper, keys: int) -> Sums:
    return {
        (*row[: keys - 1], str(row[keys - 1])): dict(
            zip(ROLLUP_SUMS, (int(value or 0) for value in row[keys:]), strict=True)
        )
        for row in cursor.fetchall()
    }


def _same_sums(ledger: Sums, rollups: Sums, job_at: int | None) -> Iterator[Difference]:
    nothing = _none()
    for key in sorted({*ledger, *rollups}, key=str):
        where = f"roll-up of {key[-2]} on {key[-1]}, "
        yield from compare(
            0 if job_at is None else key[job_at],
            ledger.get(key, nothing),
            rollups.get(key, nothing),
            where,
        )


def ledger_of_records(dialect: Dialect, cursor: CursorWrapper, jobs: Jobs) -> Iterator[Difference]:
    """Of each record: one accepted attempt if it has a result of its own and none else, of the replay
    that the result is said to come from, its cost, its calls."""
    where, parameters = jobs_in(dialect, jobs)
    has_result = "CASE WHEN r.output IS NULL OR r.source_job_id IS NOT NULL THEN 0 ELSE 1 END"
    came_from = f"{has_result} * COALESCE(r.kept_from, r.replay_id, 0)"
    cost = "COALESCE(a.cost, 0) + COALESCE(c.cost, 0)"
    cursor.execute(
        f"SELECT r.job_id, r.n, {has_result}, COALESCE(a.accepted, 0), "
        f"{came_from}, COALESCE(a.came_from, 0), {cost}, r.cost, COALESCE(a.last, 0), "
        "r.calls FROM jobs_record r LEFT JOIN "
        f"(SELECT job_id, n, SUM({_SUMS['accepted']}) AS accepted, SUM({_COST}) AS cost, "
        "MAX(CASE WHEN outcome = 'accepted' THEN replay_id END) AS came_from, "
        f"MAX(number) AS last FROM jobs_attempt WHERE {where} GROUP BY job_id, n) a "
        "ON a.job_id = r.job_id AND a.n = r.n LEFT JOIN "
        f"(SELECT job_id, n, SUM(cost) AS cost FROM jobs_correction WHERE {where} "
        f"GROUP BY job_id, n) c ON c.job_id = r.job_id AND c.n = r.n WHERE r.{where} AND "
        f"(COALESCE(a.accepted, 0) <> {has_result} "
        f"OR COALESCE(a.came_from, 0) <> {came_from} "
        f"OR {cost} <> r.cost OR COALESCE(a.last, 0) > r.calls) "
        "ORDER BY r.job_id, r.n LIMIT 1",
        [*parameters, *parameters, *parameters],
    )
    for job_id, n, results, accepted, origin, found, of_lines, written, *last in cursor.fetchall():
        if accepted != results:
            yield Difference(job_id, f"accepted attempts of record {n}", results, int(accepted))
        if of_lines != written:
            yield Difference(job_id, f"cost of record {n}", int(of_lines), written)
        if found != origin:
            yield Difference(job_id, f"replay behind the result of record {n}", found, origin)
        yield Difference(job_id, f"calls of record {n}", *last)


def ledger_of_direct_calls(dialect: Dialect, cursor: CursorWrapper) -> Iterator[Difference]:
    """Template tries and connection tests against their roll-ups."""
    keys = "team_id, connection_id, model"
    cursor.execute(
        f"SELECT 0, {keys}, rates, NULL, day, {_summed(_DIRECT_CALLS)} "
        f"FROM jobs_directcall GROUP BY {keys}, rates, day"
    )
    faults: list[Difference] = []
    booked = _booked(cursor, _DIRECT_CALLS, 4, faults)
    yield from faults
    cursor.execute(
        f"SELECT 0, {keys}, day, {', '.join(ROLLUP_SUMS)} FROM jobs_costrollup WHERE job_id = 0"
    )
    yield from _same_sums(booked, _rollups(cursor, 5), job_at=None)
