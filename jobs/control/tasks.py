"""The thin functions that queue messages name."""

from jobs import queue
from jobs.control import repeats


@queue.task
def count_twins(dataset_id: int, version_id: int, selection: str, key: str) -> None:
    """Count the rows of a dataset that repeat others, for a page that asks."""
    repeats.count_twins(dataset_id, version_id, selection, key)
