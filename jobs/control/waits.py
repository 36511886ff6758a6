"""What a job waits for when it has nothing more to send: its calls in flight, since when, and for how
long at the latest. Slices tell of their calls with each heartbeat."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.engine.breakers import Watch
from jobs.models import Job, JobStatus

# Before that, a call is nothing to speak of.
LONG = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Waits:
    calls: int
    since: datetime  # the first of them left
    until: datetime  # none is waited for longer, as far as is known now

    def long(self, now: datetime) -> bool:
        return now - self.since > LONG


def waits_of(job: Job, details: Iterable[Mapping[str, Any]]) -> Waits | None:
    """Over what all slices told; None where none has calls of this job."""
    told = [found for detail in details if (found := detail.get("calls", {}).get(str(job.pk)))]
    if not told:
        return None
    return Waits(
        calls=sum(found["calls"] for found in told),
        since=datetime.fromtimestamp(min(found["since"] for found in told), UTC),
        until=datetime.fromtimestamp(max(found["until"] for found in told), UTC),
    )


def sends_no_more(job: Job) -> bool:
    """Only its calls in flight are left to wait for."""
    return job.state is JobStatus.CANCELLING or (job.state.is_runnable and job.pending == 0)


def end_of_waiting(
    job: Job, waits: Waits | None, by_rate: tuple[float, float] | None, now: datetime
) -> tuple[float, float] | None:
    """Seconds to the end as a range, where `by_rate` is what the rate alone would say: of a job that
    sends no more, its calls have an end, and those that are silent keep to no rate. Nor does a call that
    is silent again, when its row is tried once more: nothing was settled for longer than the rate says.
    """
    if waits is None:
        return by_rate
    latest = max(0.0, (waits.until - now).total_seconds())
    silent = waits.long(now) or (by_rate is not None and _silent_for(job, now) > by_rate[1])
    if not sends_no_more(job):
        # Also with rows that are still to be tried again, it ends no sooner than what it waits for.
        return by_rate if by_rate is None or not silent else (by_rate[0], max(by_rate[1], latest))
    if by_rate is None or silent:
        return 0.0, latest
    return min(by_rate[0], latest), min(by_rate[1], latest)


def _silent_for(job: Job, now: datetime) -> float:
    """Seconds since anything of it was settled."""
    return now.timestamp() - Watch.load(job.watch).settled_at
