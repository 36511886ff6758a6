"""Whose turn it is: teams share equally, whatever the sizes of their jobs; within a team the higher
priority goes first, then the older job."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from jobs.engine.records import JobHead


def next_job(candidates: Sequence[JobHead], held: Mapping[int, int]) -> JobHead | None:
    """The job to claim for. `held` are the records a slice holds already, by job id."""
    if not candidates:
        return None
    by_team: dict[int, int] = defaultdict(int)
    for job in candidates:
        by_team[job.team_id] += held.get(job.id, 0)
    return min(candidates, key=lambda job: (by_team[job.team_id], -job.priority, job.id))
