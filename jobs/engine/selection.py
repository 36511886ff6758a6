"""Which rows of a dataset a job sends: all, the first n, or a random sample with a seed."""

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any


def selection_size(selection: Mapping[str, Any], rows: int) -> int:
    """How many records a job over a dataset of `rows` rows has."""
    if "sample" in selection:
        return min(int(selection["sample"]), rows)
    if "limit" in selection:
        return min(int(selection["limit"]), rows)
    return rows


@lru_cache(maxsize=4)
def _sample(seed: int, size: int, rows: int) -> tuple[int, ...]:
    # random.sample over a range keeps its algorithm across Python's versions of 3.x in practice; a
    # job is expanded within minutes by one version, so nothing more is relied on.
    return tuple(sorted(random.Random(seed).sample(range(1, rows + 1), size)))  # noqa: S311


def selected_rows(selection: Mapping[str, Any], rows: int, start: int, stop: int) -> Sequence[int]:
    """The row numbers at positions `start` … `stop - 1` of the selection, ascending."""
    size = selection_size(selection, rows)
    stop = min(stop, size)
    if "sample" in selection:
        return _sample(int(selection.get("seed", 0)), size, rows)[start:stop]
    return range(start + 1, stop + 1)
