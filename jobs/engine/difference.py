"""What a check of the books finds: the first place where two of them say different things."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.engine.dialect import Dialect

Jobs = Mapping[int, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """`expected` is what the rows say, `found` what is written of them. Job 0 stands for the calls
    outside any job."""

    job_id: int
    what: str
    expected: int | str
    found: int | str

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.what}: expected {self.expected}, found {self.found}"


def compare(
    job_id: int, expected: Mapping[str, int], found: Mapping[str, Any], where: str = ""
) -> Iterator[Difference]:
    for name, value in expected.items():
        if value != found[name]:
            yield Difference(job_id, f"{where}{name}", value, found[name])


def jobs_in(
    dialect: Dialect, jobs: Collection[int], column: str = "job_id"
) -> tuple[str, list[Any]]:
    return dialect.in_list(column, list(jobs))
