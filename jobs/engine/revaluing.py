"""A job valued anew from a day on, on somebody's word: for each of its charged calls the difference
between what it has cost so far and what it costs at the prices that are known now for when it was made.

Done in chunks, each in one transaction under the job's lock; done twice it changes nothing. A call in
doubt keeps its highest possible cost, and what the provider's own account settled stays settled.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import transaction
from django.db.models import Sum

from jobs.costs.pricing import Prices, Rates, Tariff
from jobs.costs.proof import usage_of
from jobs.engine.book import Book, day_of
from jobs.engine.correcting import book_corrections
from jobs.engine.counters import JobDelta, apply_delta, lock_job
from jobs.engine.dialect import Dialect
from jobs.models import (
    Attempt,
    AttemptOutcome,
    Connection,
    Correction,
    CorrectionKind,
    Job,
    Revaluation,
)

# Calls that are looked at in one transaction.
CHUNK_LINES = 1_000


@dataclass(slots=True)
class Found:
    """What a look at some calls came to."""

    lines: list[Correction] = field(default_factory=list)
    without_price: int = 0  # charged, and no price is known for when they were made

    @property
    def difference(self) -> int:
        return sum(line.cost for line in self.lines)


class Valuer:
    """Values the calls of one job anew."""

    def __init__(self, job: Job, day_from: date, today: date, act: str, by: int | None) -> None:
        self.job = job
        self.day_from = day_from
        self.today = today
        self.act = act
        self.by = by
        self._prices: dict[tuple[int, str], Prices] = {}
        self._tariffs: dict[tuple[int, bool], Tariff] = {}

    def look(self, after: int, upto: int) -> Found:
        """At the calls of the rows after + 1 … upto."""
        found = Found()
        attempts = list(
            Attempt.objects.filter(
                job_id=self.job.pk, n__gt=after, n__lte=upto, day__gte=self.day_from
            )
            .exclude(outcome=AttemptOutcome.IN_DOUBT)
            .defer("request", "answer", "usage", "message")
            .order_by("n", "number")
        )
        earlier = self._corrected(after, upto)
        for attempt in attempts:
            self._value(attempt, earlier[attempt.n, attempt.number], found)
        return found

    def _corrected(self, after: int, upto: int) -> dict[tuple[int, int], dict[str, int]]:
        names = ("cost", "unpriced_calls", "cache_savings", "batch_savings")
        sums: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: dict.fromkeys(names, 0))
        rows = (
            Correction.objects.filter(job_id=self.job.pk, n__gt=after, n__lte=upto)
            .values("n", "number")
            .annotate(**{f"all_{name}": Sum(name) for name in names})
        )
        for n, number, *of_line in rows.values_list("n", "number", *(f"all_{x}" for x in names)):
            sums[n, number] = dict(zip(names, of_line, strict=True))
        return sums

    def _value(self, attempt: Attempt, earlier: dict[str, int], found: Found) -> None:
        if attempt.cost is not None and not attempt.rates:
            return  # the provider did not charge it
        tariff = self._tariff(attempt)
        if tariff is None:
            found.without_price += attempt.cost is None and earlier["unpriced_calls"] == 0
            return
        usage = usage_of(attempt)
        old, new = Rates.parse(attempt.rates), tariff.at(usage.input_tokens)
        cost = new.cost(usage) - (attempt.cost or 0) - earlier["cost"]
        priced = int(attempt.cost is None) + earlier["unpriced_calls"]
        saved = new.cache_savings(usage) - earlier["cache_savings"]
        batch = new.batch_savings(usage) - earlier["batch_savings"]
        if old is not None:
            saved -= old.cache_savings(usage)
            batch -= old.batch_savings(usage)
        if not (cost or priced or saved or batch):
            return
        wasted = attempt.outcome != AttemptOutcome.ACCEPTED
        found.lines.append(
            Correction(
                team_id=self.job.team_id,
                kind=CorrectionKind.REVALUED,
                act=self.act,
                job_id=attempt.job_id,
                n=attempt.n,
                number=attempt.number,
                template_version_id=attempt.template_version_id,
                connection_id=attempt.connection_id,
                model=attempt.model,
                day=self.today,
                cost=cost,
                wasted_cost=cost if wasted else 0,
                waste=attempt.waste if wasted else "",
                unpriced_calls=-priced,
                estimated_cost=cost if attempt.usage_estimated else 0,
                cache_savings=saved,
                batch_savings=batch,
                price_id=tariff.price_id,
                rates=new.text,
                created_by_id=self.by,
            )
        )

    def _tariff(self, attempt: Attempt) -> Tariff | None:
        lane = (attempt.connection_id, attempt.model)
        if lane not in self._prices:
            connection = Connection.objects.get(pk=attempt.connection_id)
            self._prices[lane] = Prices(connection, attempt.model)
        price = self._prices[lane].at(attempt.started_at)
        if price is None:
            return None
        batch = "@" in attempt.rates or (not attempt.rates and self.job.mode == "batch")
        if (price.pk, batch) not in self._tariffs:
            self._tariffs[price.pk, batch] = Tariff(price, batch=batch)
        return self._tariffs[price.pk, batch]


def chunk_end(job_id: int, after: int) -> int | None:
    """The row with which the next chunk ends; None where no more calls were made."""
    following = Attempt.objects.filter(job_id=job_id, n__gt=after).order_by("n", "number")
    numbers = following.values_list("n", flat=True)[:CHUNK_LINES]
    return max(numbers, default=None)


def revalue_chunk(dialect: Dialect, revaluation_id: int, now: datetime) -> bool:
    """Value the next rows of a job anew; returns whether there may be more."""
    with transaction.atomic(), dialect.connection.cursor() as cursor:
        act = Revaluation.objects.select_related("job").get(pk=revaluation_id)
        state = lock_job(dialect, cursor, act.job_id)
        act.refresh_from_db(
            fields=["applied_to", "finished_at", "lines", "difference", "without_price"]
        )
        if act.finished_at is not None or state is None:
            return False
        upto = chunk_end(act.job_id, act.applied_to)
        valuer = Valuer(act.job, act.day_from, day_of(now), act.public_id, act.created_by_id)
        found = valuer.look(act.applied_to, upto) if upto is not None else Found()
        if found.lines:
            delta, book = JobDelta(), Book(act.job_id, state.team_id, now)
            book_corrections(dialect, cursor, found.lines, delta, book)
            book.write(dialect, cursor)
            apply_delta(dialect, cursor, state, delta, now, moves=book.moves())
        act.applied_to = upto or act.applied_to
        act.lines += len(found.lines)
        act.difference += found.difference
        act.without_price += found.without_price
        if upto is None:
            act.finished_at = now
            # Its books are looked at once more.
            Job.objects.filter(pk=act.job_id).update(checked_at=None)
        act.save(
            update_fields=["applied_to", "lines", "difference", "without_price", "finished_at"]
        )
        return act.finished_at is None
