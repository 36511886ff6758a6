"""Calls in doubt settled by what the provider counted: for each a line that corrects it, its highest
possible cost taken off and the truth put in its place. Applied twice it changes nothing."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from jobs.costs.pricing import Prices, Tariff
from jobs.engine.book import Book
from jobs.engine.correcting import book_corrections
from jobs.engine.counters import JobDelta, apply_delta, lock_job
from jobs.engine.dialect import dialect_of
from jobs.models import Attempt, AttemptOutcome, Connection, Correction, CorrectionKind, Waste
from jobs.providers.types import Usage


@dataclass(frozen=True, slots=True)
class Truth:
    """What became of a call in doubt. `cost` in pico-USD; None: to be valued by its tokens."""

    job_id: int
    n: int
    number: int
    usage: Usage
    cost: int | None
    note: str


def doubts(connection_id: int) -> "QuerySet[Attempt]":
    """The calls on a connection that are in doubt still."""
    settled = Correction.objects.filter(
        job_id=OuterRef("job_id"), n=OuterRef("n"), number=OuterRef("number"), in_doubt_calls__lt=0
    )
    return Attempt.objects.filter(
        outcome=AttemptOutcome.IN_DOUBT, connection_id=connection_id
    ).exclude(Exists(settled))


class Truths:
    """Settles the calls of one connection as one act."""

    def __init__(self, at: Connection, act: str, by: int | None, now: datetime) -> None:
        self.at = at
        self.act = act
        self.by = by
        self.now = now
        self._prices: dict[str, Prices] = {}

    def settle(self, truths: Sequence[Truth]) -> list[Correction]:
        """Job by job, each in a transaction; returns the lines that were written."""
        by_job: dict[int, list[Truth]] = defaultdict(list)
        for truth in truths:
            by_job[truth.job_id].append(truth)
        return [line for job_id in sorted(by_job) for line in self._of_job(job_id, by_job[job_id])]

    def _of_job(self, job_id: int, truths: list[Truth]) -> list[Correction]:
        dialect = dialect_of(connection)
        with transaction.atomic(), connection.cursor() as cursor:
            state = lock_job(dialect, cursor, job_id)
            if state is None:
                return []
            delta, book = JobDelta(), Book(job_id, state.team_id, self.now)
            numbers = [truth.n for truth in truths]
            open_still = {
                (one.n, one.number): one
                for one in doubts(self.at.pk).filter(job_id=job_id, n__in=numbers)
            }
            lines = [
                self._line(open_still[truth.n, truth.number], truth, book)
                for truth in truths
                if (truth.n, truth.number) in open_still
            ]
            book_corrections(dialect, cursor, lines, delta, book)
            book.write(dialect, cursor)
            apply_delta(dialect, cursor, state, delta, self.now, moves=book.moves())
            return lines

    def _line(self, attempt: Attempt, truth: Truth, book: Book) -> Correction:
        usage, cost, rates, price_id = truth.usage, truth.cost, None, None
        if cost is None:
            if attempt.model not in self._prices:
                self._prices[attempt.model] = Prices(self.at, attempt.model)
            price = self._prices[attempt.model].at(attempt.started_at)
            if price is not None:
                rates, price_id = Tariff(price).at(usage.input_tokens), price.pk
                cost = rates.cost(usage)
        return Correction(
            team_id=book.team_id,
            kind=CorrectionKind.RECONCILED,
            act=self.act,
            job_id=attempt.job_id,
            n=attempt.n,
            number=attempt.number,
            template_version_id=attempt.template_version_id,
            connection_id=attempt.connection_id,
            model=attempt.model,
            day=book.today,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
            output_tokens=usage.output_tokens,
            cost=cost or 0,
            wasted_cost=cost or 0,
            # Whatever it answered came to nobody: the row was called again, or given up.
            waste=Waste.LATE if cost != 0 else "",
            in_doubt_cost=-(attempt.cost or 0),
            in_doubt_calls=-1,
            unpriced_calls=int(cost is None) - int(attempt.cost is None),
            cache_savings=rates.cache_savings(usage) if rates else 0,
            price_id=price_id,
            rates=rates.text if rates else "",
            note=truth.note,
            created_by_id=self.by,
        )
