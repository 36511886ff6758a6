"""What rows of earlier jobs, or of a job's pilot, came to: read from the ledger, at the price of now."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.costs.lengths import Population
from jobs.costs.population import rendered_tokens
from jobs.costs.pricing import Tariff
from jobs.datasets.selection import rows_at
from jobs.models import Attempt, Job, JobStatus, Price, Record, TemplateVersion
from jobs.providers.types import Usage

# Earlier jobs that are looked at, the newest, and rows of each.
JOBS = 5
ROWS_A_JOB = 80
_ENDED = (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_FAILURES)
_SEED = 20_261
_TOKENS = ("input", "cached_input", "cache_write", "cache_write_1h", "output")


@dataclass(frozen=True, slots=True)
class Seen:
    """A row with all its calls of the first run. `place` is that in its job, from 0 to 1; `tokens` is
    the length of its request, told from the characters; `first_input` what the provider counted."""

    job: int
    n: int
    place: float
    tokens: int
    calls: int
    first_input: int
    input: int
    output: int
    cost: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class History:
    """`same_version`: else the jobs were of other versions of the template."""

    seen: Sequence[Seen]
    jobs: int
    same_version: bool
    paces: Sequence[float]  # of each, rows a second


def seen_in(job: Job, numbers: Sequence[int], price: Price | None) -> list[Seen]:
    """These rows of a job, but for those that took another one's result: they say nothing of what a call
    costs. One that cannot be rendered was never called for: it costs nothing."""
    taken = Record.objects.filter(job_id=job.pk, n__in=numbers, source_job__isnull=False)
    apart = set(taken.values_list("n", flat=True))
    tariff = Tariff(price) if price is not None else None
    calls: dict[int, list[tuple[Usage, int]]] = defaultdict(list)
    lines = Attempt.objects.filter(job_id=job.pk, n__in=numbers, generation=0)
    columns = [f"{name}_tokens" for name in _TOKENS]
    for n, took_ms, *counted in (
        lines.exclude(outcome="in_doubt")
        .order_by("n", "number")
        .values_list("n", "took_ms", *columns)
    ):
        usage = Usage(**dict(zip(columns, counted, strict=True)))
        calls[n].append((usage, took_ms))
    tokens = rendered_tokens(job.dataset_id, job.template_version, numbers)
    found = []
    for place, n in enumerate(numbers):
        if n in apart:
            continue
        usages = [usage for usage, _ in calls[n]]
        found.append(
            Seen(
                job=job.pk,
                n=n,
                place=place / len(numbers),
                tokens=tokens.get(n, 0),
                calls=len(usages),
                first_input=usages[0].input_tokens if usages else 0,
                input=sum(usage.input_tokens for usage in usages),
                output=sum(usage.output_tokens for usage in usages),
                cost=sum(tariff.at(u.input_tokens).cost(u) for u in usages) if tariff else 0,
                took_ms=sum(took_ms for _, took_ms in calls[n]),
            )
        )
    return found


def history_of(version: TemplateVersion, model: str, price: Price | None) -> History | None:
    """Of the team's finished jobs of this template version and model that had a success; if there are
    none, of other versions. Calls that all failed say nothing of an answer's length."""
    alike = Job.objects.filter(
        model=model, status__in=_ENDED, succeeded__gt=0, attempts__gt=0
    ).select_related("dataset", "template_version")
    same = list(alike.filter(template_version=version).order_by("-id")[:JOBS])
    jobs = same or list(
        alike.filter(template_version__template=version.template_id).order_by("-id")[:JOBS]
    )
    seen = [one for job in jobs for one in _some_of(job, price)]
    return History(seen, len(jobs), bool(same), _paces(jobs)) if seen else None


def _paces(jobs: Sequence[Job]) -> list[float]:
    found = []
    for job in jobs:
        if job.started_at and job.finished_at and job.finished_at > job.started_at:
            seconds = (job.finished_at - job.started_at).total_seconds()
            found.append((job.succeeded + job.failed) / seconds)
    return found


def _some_of(job: Job, price: Price | None) -> list[Seen]:
    """Rows from all over the file: one by chance of each of as many equal parts."""
    rng = random.Random(_SEED + job.pk)  # noqa: S311
    population = Population(job.total, range(job.total), [0] * job.total)
    places = population.stratified(ROWS_A_JOB, rng)
    return seen_in(job, rows_at(job.selection, job.dataset.rows, places), price)
