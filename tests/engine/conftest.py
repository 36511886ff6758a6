"""What the engine's tests need of the database they run on."""

from tests.environment import TEST_DB

# SQLite has one writer at a time: no two can wait for each other.
collect_ignore = ["test_deadlocks.py"] if TEST_DB == "sqlite" else []
