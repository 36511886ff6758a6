"""Whose turn it is: teams share equally, whatever the sizes of their jobs; within a team the higher
priority goes first, then the older job."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from jobs.engine.records import Claimed, JobHead


def next_job(candidates: Sequence[JobHead], held: Mapping[int, int]) -> JobHead | None:
    """The job to claim for. `held` are the records a slice holds already, by job id."""
    if not candidates:
        return None
    by_team: dict[int, int] = defaultdict(int)
    for job in candidates:
        by_team[job.team_id] += held.get(job.id, 0)
    return min(candidates, key=lambda job: (by_team[job.team_id], -job.priority, job.id))


class Ready:
    """Records waiting to be sent: teams take turns, so that nobody waits behind another's crowd."""

    def __init__(self) -> None:
        self._teams: dict[int, deque[Claimed]] = {}  # the first is next; no queue is empty
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Claimed]:
        return (record for queue in self._teams.values() for record in queue)

    def append(self, record: Claimed) -> None:
        self._teams.setdefault(record.team_id, deque()).append(record)
        self._count += 1

    def first(self) -> Claimed:
        """The next to be sent."""
        return next(iter(self._teams.values()))[0]

    def pop(self) -> Claimed:
        """Take the next, and let the next team have its turn."""
        team = next(iter(self._teams))
        queue = self._teams.pop(team)
        record = queue.popleft()
        self._count -= 1
        if queue:
            self._teams[team] = queue
        return record

    @property
    def teams(self) -> int:
        return len(self._teams)

    def of(self, team: int) -> int:
        return len(self._teams.get(team, ()))

    def withdraw(self, which: Callable[[Claimed], bool]) -> list[Claimed]:
        """Take matching records out."""
        taken = [record for record in self if which(record)]
        if taken:
            kept = {
                team: deque(record for record in queue if not which(record))
                for team, queue in self._teams.items()
            }
            self._teams = {team: queue for team, queue in kept.items() if queue}
            self._count -= len(taken)
        return taken
