"""What was told of a job's cost, and the forecast that narrows while it runs: from the job alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from jobs.costs.estimate import FEWEST, Range, Sum, sum_over
from jobs.costs.estimates import PILOT
from jobs.models import Job

# Before so many rows are done, what one costs on average says little.
_TELLING = 20
# By what share the rows to come may differ from those before, where no pilot has seen them.
_UNSEEN = 0.2


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a job: at its launch, or by its pilot."""

    basis: str
    cost: Range
    seen_rows: int
    seen_jobs: int


def told_of(job: Job) -> Told | None:
    """The better one: that after the pilot, if there was one."""
    found = job.estimate.get("pilot") or job.estimate
    if not found or not found.get("cost"):
        return None
    cost = Range(**found["cost"])
    basis = PILOT if job.estimate.get("pilot") else found["basis"]
    return Told(basis, cost, found["seen_rows"], found.get("seen_jobs", 0))


def told_without(told: Mapping[str, Any], saved_rows: int) -> dict[str, Any]:
    """What was told at a launch, told anew before the first call: so many rows will need none."""
    before, after = (told["rows"] - n for n in (told.get("saved_rows", 0), saved_rows))
    if not told.get("cost") or before <= 0 or after == before:
        return dict(told)
    cost = {end: round(amount * after / before) for end, amount in told["cost"].items()}
    return {**told, "cost": cost, "saved_rows": saved_rows}


def forecast_of(job: Job) -> Range | None:
    """What the job will have cost at its end: what it has cost, and the rest. None where that cannot
    be told, and of a job that has ended."""
    if job.state.is_terminal or job.unpriced_attempts:
        return None
    done = job.succeeded + job.failed
    left = max(0, job.total - job.cancelled - done)
    calls = max(0, left - job.borrows)  # the others take a result, as far as is known
    pilot = job.estimate.get("pilot")
    if pilot and pilot.get("cost"):
        return _from_pilot(job, pilot, done, calls)
    told = told_of(job)
    called = done - job.shared - job.reused
    if called < _TELLING or not job.cost:
        return told.cost if told is not None else None
    return _from_done(job, done, left, calls / called * done / left if left else 0.0)


def _from_pilot(job: Job, pilot: Mapping[str, Any], done: int, left: int) -> Range | None:
    """The rest is told from the pilot's rows that lie in the part of the file still to come, whatever
    the rows before were like; from all of them where few do. The pilot's own rows, which went first,
    are no part of the file that is over."""
    early = len(job.selection.get("pilot", ()))
    at = max(0, done - early) / max(1, job.total - early)
    seen = pilot["seen"]
    ahead = [one for one in seen if one[0] >= at]
    chosen = ahead if len(ahead) >= 2 * FEWEST else seen
    found = sum_over(
        [one[1] for one in chosen],
        [one[2] for one in chosen],
        rows=left,
        mean=_mean_from(pilot["profile"], at),
    )
    return found.plus(job.cost) if found is not None else None


def _from_done(job: Job, done: int, left: int, denser: float) -> Range | None:
    """Without a pilot: the rows to come cost as those done, by their length. How far they may differ is
    not known, since rows are sent in the file's order: as one job differs from another, and more the
    more of them there are to come. `denser`: how much more of the rows to come are called for than of
    those done."""
    profile = job.estimate.get("profile") or [1.0]
    at = done / job.total
    whole = fmean(profile) * (job.total - job.cancelled)
    ahead = _mean_from(profile, at) * left
    before = max(whole - ahead, 1e-9)
    expected = job.cost * ahead / before * denser
    error = expected * ((_UNSEEN * left / job.total) ** 2 + 1 / done) ** 0.5
    return Sum(expected, error, done).plus(job.cost)


def _mean_from(profile: Sequence[float], at: float) -> float:
    """The mean length of the rows from a place in the file on (0 to 1)."""
    parts = len(profile)
    first = min(parts - 1, int(at * parts))
    share = 1 - (at * parts - first)
    weights = [share, *([1.0] * (parts - first - 1))]
    total = sum(weights)
    if total <= 0:
        return profile[-1]
    return sum(w * p for w, p in zip(weights, profile[first:], strict=True)) / total
