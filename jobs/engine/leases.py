"""The leases a slice holds: which records are still on each. What is on none is not renewed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class _Lease:
    job_id: int
    numbers: set[int]  # of records not settled or given back


class Leases:
    def __init__(self) -> None:
        self._held: dict[str, _Lease] = {}

    def hold(self, token: str, job_id: int, numbers: Iterable[int]) -> None:
        self._held[token] = _Lease(job_id, set(numbers))

    def tokens(self) -> list[str]:
        return list(self._held)

    def job_of(self, token: str) -> int:
        return self._held[token].job_id

    def end_with(self, token: str, numbers: Collection[int]) -> bool:
        """Whether nothing is left on the lease once these are settled."""
        return self._held[token].numbers <= set(numbers)

    def strike_off(self, token: str, numbers: Collection[int]) -> list[str]:
        """Take records off a lease; the token in a list when none is left on it."""
        lease = self._held.get(token)
        if lease is None:
            return []
        lease.numbers.difference_update(numbers)
        if lease.numbers:
            return []
        del self._held[token]
        return [token]
