"""Which rows of a dataset a job sends: all, the first n, or a random sample with a seed; and in which
order they come into being: those of its pilot first."""

import random
from bisect import bisect_left
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
    """The row numbers at positions `start` … `stop - 1` of the selection: ascending, but that those of
    the pilot have the first positions."""
    stop = min(stop, selection_size(selection, rows))
    first: Sequence[int] = selection.get("pilot", ())
    if not first:
        return _in_order(selection, rows, start, stop)
    places = sorted(place_of(selection, rows, n) for n in first)
    begin = _place_of_rest(places, max(0, start - len(first)))
    end = _place_of_rest(places, max(0, stop - len(first)))
    apart = frozenset(first)
    rest = [n for n in _in_order(selection, rows, begin, end) if n not in apart]
    return [*first[start:stop], *rest]


def place_of(selection: Mapping[str, Any], rows: int, n: int) -> int:
    """The position of a row of the selection in ascending order."""
    if "sample" not in selection:
        return n - 1
    size = selection_size(selection, rows)
    return bisect_left(_sample(int(selection.get("seed", 0)), size, rows), n)


def rows_at(selection: Mapping[str, Any], rows: int, places: Sequence[int]) -> list[int]:
    """The row numbers at these positions in ascending order."""
    if "sample" not in selection:
        return [place + 1 for place in places]
    size = selection_size(selection, rows)
    sample = _sample(int(selection.get("seed", 0)), size, rows)
    return [sample[place] for place in places]


def _in_order(selection: Mapping[str, Any], rows: int, start: int, stop: int) -> Sequence[int]:
    if "sample" in selection:
        size = selection_size(selection, rows)
        return _sample(int(selection.get("seed", 0)), size, rows)[start:stop]
    return range(start + 1, stop + 1)


def _place_of_rest(places: Sequence[int], count: int) -> int:
    """The position up to which so many rows lie that are not at `places` (ascending)."""
    for place in places:
        if place > count:
            break
        count += 1
    return count
