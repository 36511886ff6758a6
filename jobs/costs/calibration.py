"""How estimates turned out: what finished jobs were told to cost, and what they did cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from django.db.models import Exists, OuterRef

from jobs.costs.told import Told, told_of
from jobs.models import Job, JobStatus, Replay, Team

# The newest; older ones say little of how it is done now.
JOBS = 500
_ENDED = (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_FAILURES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One job that was estimated and ran to its end, without a replay."""

    job: Job
    told: Told

    @property
    def held(self) -> bool:
        return self.told.cost.holds(self.job.cost)

    @property
    def off(self) -> float:
        """By what share it cost more than expected; below 0: less."""
        expected = self.told.cost.expected
        return self.job.cost / expected - 1 if expected else 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """Of some outcomes: in how many the range held, the mean deviation, the mean half width."""

    basis: str
    jobs: int
    held: int
    off: float
    width: float

    @property
    def share(self) -> float:
        return self.held / self.jobs


def outcomes(team: Team) -> list[Outcome]:
    """The newest first."""
    ended = (
        Job.objects.filter(team=team, status__in=_ENDED, unpriced_attempts=0)
        .exclude(estimate={})
        .exclude(Exists(Replay.objects.filter(job=OuterRef("pk"))))
        .order_by("-id")
    )
    found = []
    for job in ended[:JOBS]:
        told = told_of(job)
        # A pilot of all rows has told nothing that was not known.
        if told is not None and told.seen_rows < job.total:
            found.append(Outcome(job, told))
    return found


def calibration(found: Sequence[Outcome]) -> list[Kept]:
    """By what the estimates were told from, the usual one first."""
    by_basis: dict[str, list[Outcome]] = {}
    for one in found:
        by_basis.setdefault(one.told.basis, []).append(one)
    kept = [
        Kept(
            basis=basis,
            jobs=len(some),
            held=sum(one.held for one in some),
            off=fmean(one.off for one in some),
            width=fmean(one.told.cost.half_width for one in some),
        )
        for basis, some in by_basis.items()
    ]
    return sorted(kept, key=lambda one: -one.jobs)
