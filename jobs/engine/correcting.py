"""Corrections: lines that change what an attempt came to, while its own line stays as it is.

They are booked on the day on which they are made, so that no month that was closed changes, and with
them, in the same transaction, the record's cost, the job's sums and the roll-up.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.backends.utils import CursorWrapper

from jobs.engine.book import Book
from jobs.engine.counters import JobDelta
from jobs.engine.dialect import Dialect
from jobs.engine.records import AttemptLine
from jobs.models import Correction, CorrectionKind, Waste

_LATE = "The answer came after the worker that asked had lost the row; its month was closed."
_SUPERSEDED = "What corrections had added to the call is waste, as the call is, since a replay."


def book_corrections(
    dialect: Dialect,
    cursor: CursorWrapper,
    lines: Sequence[Correction],
    delta: JobDelta,
    book: Book,
) -> None:
    """Write them, and what they add to records; the caller, who holds the job's row, writes the rest
    with `delta` and `book`."""
    Correction.objects.bulk_create(lines)
    costs: dict[int, int] = defaultdict(int)
    for line in lines:
        costs[line.n] += line.cost
        delta.input_tokens += line.input_tokens
        delta.cached_input_tokens += line.cached_input_tokens
        delta.output_tokens += line.output_tokens
        delta.cost += line.cost
        delta.wasted_cost += line.wasted_cost
        delta.in_doubt_cost += line.in_doubt_cost
        delta.in_doubt_attempts += line.in_doubt_calls
        delta.unpriced_attempts += line.unpriced_calls
        delta.estimated_cost += line.estimated_cost
        book.correct(line)
    changed = [(cost, book.job_id, n) for n, cost in costs.items() if cost]
    if changed:
        cursor.executemany(
            "UPDATE jobs_record SET cost = cost + %s WHERE job_id = %s AND n = %s", changed
        )


def late_correction(
    team_id: int, job_id: int, n: int, number: int, line: AttemptLine, doubt: int | None, book: Book
) -> Correction:
    """The truth about a call in doubt, for which its own line cannot make room any more."""
    usage, cost = line.usage, line.cost or 0
    return Correction(
        team_id=team_id,
        kind=CorrectionKind.RECONCILED,
        job_id=job_id,
        n=n,
        number=number,
        template_version_id=line.template_version_id,
        connection_id=line.connection_id,
        model=line.model,
        day=book.today,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_tokens=usage.output_tokens,
        cost=cost,
        wasted_cost=cost,
        waste=Waste.LATE if line.charged else "",
        in_doubt_cost=-(doubt or 0),
        in_doubt_calls=-1,
        unpriced_calls=int(line.charged and line.cost is None) - int(doubt is None),
        estimated_cost=cost if usage.estimated else 0,
        cache_savings=line.rates.cache_savings(usage) if line.rates else 0,
        batch_savings=line.rates.batch_savings(usage) if line.rates else 0,
        price_id=line.price_id,
        rates=line.rates.text if line.rates else "",
        note=_LATE,
    )


def superseded_corrections(
    dialect: Dialect, cursor: CursorWrapper, accepted: Sequence[tuple[Any, ...]], book: Book
) -> list[Correction]:
    """Of the calls (n, number, version, connection, model) that lose their place: what corrections had
    added to them is waste as well."""
    condition, parameters = dialect.in_list("n", [n for n, *_ in accepted])
    cursor.execute(
        "SELECT n, number, SUM(cost - wasted_cost) FROM jobs_correction "
        f"WHERE job_id = %s AND {condition} GROUP BY n, number",
        [book.job_id, *parameters],
    )
    added = {(n, number): int(cost) for n, number, cost in cursor.fetchall()}
    return [
        Correction(
            team_id=book.team_id,
            kind=CorrectionKind.SUPERSEDED,
            job_id=book.job_id,
            n=n,
            number=number,
            template_version_id=version_id,
            connection_id=connection_id,
            model=model,
            day=book.today,
            wasted_cost=added[n, number],
            waste=Waste.SUPERSEDED,
            note=_SUPERSEDED,
        )
        for n, number, version_id, connection_id, model in accepted
        if added.get((n, number))
    ]
