"""Seeds, one after the other, on the database that is there; each leaves it as it was."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from django.db import connection, transaction

from tests.simulation.world import World

# So small that jobs of a few rows take several.
CHUNKS = {
    "jobs.engine.expanding.EXPAND_CHUNK": 6,
    "jobs.engine.replaying.REPLAY_CHUNK": 2,
    "jobs.engine.twins.WRITE_AT_ONCE": 3,
    "jobs.engine.borrowing.WAKE_AT_ONCE": 2,
}
# All that a history writes, those that point at others first.
TABLES = (
    "jobs_attempt", "jobs_record", "jobs_due", "jobs_borrowed", "jobs_lease", "jobs_costrollup",
    "jobs_throughput", "jobs_limitstate", "jobs_worker", "jobs_errand", "jobs_rowedit", "jobs_replay",
    "jobs_job", "jobs_datasetrow", "jobs_dataset", "jobs_price", "jobs_connection",
    "jobs_templateversion",
    "jobs_prompttemplate", "jobs_auditevent", "jobs_noticecopy", "jobs_delivery", "jobs_notice",
    "jobs_membership", "jobs_team", "auth_user",
    "django_q_ormq",
)  # fmt: skip


@contextmanager
def small_chunks() -> Iterator[None]:
    with ExitStack() as stack:
        for name, size in CHUNKS.items():
            stack.enter_context(patch(name, size))
        yield


def run_seed(seed: int) -> World:
    """Raises Violation, whose words begin with the seed. Every transaction is a real one."""
    with small_chunks(), quick_commits():
        try:
            world = World(seed)
            world.run()
        finally:
            _clear()
    return world


@contextmanager
def quick_commits() -> Iterator[None]:
    """Nothing here outlives the process; and the connection stays the same."""
    settings, kept = connection.settings_dict, connection.settings_dict["CONN_MAX_AGE"]
    settings["CONN_MAX_AGE"] = None
    connection.close()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET synchronous_commit = off")
        else:
            cursor.execute("PRAGMA synchronous = OFF")
    try:
        yield
    finally:
        settings["CONN_MAX_AGE"] = kept
        connection.close()


def _clear() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")


def run_seeds(seeds: Iterable[int]) -> Counter[str]:
    """How often each fault was reached, over all of them."""
    reached: Counter[str] = Counter()
    for seed in seeds:
        reached += run_seed(seed).reached
    return reached
