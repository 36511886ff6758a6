"""How the hot tables are stored."""

import importlib

import pytest
from django.db import connection


@pytest.mark.django_db
def test_the_server_tidies_hot_tables_in_time() -> None:
    """SQLite has no such thing, and no such need."""
    storage = importlib.import_module("jobs.migrations.0002_storage")
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL")
        told = {name: set(options) for name, options in cursor.fetchall()}
    for table in storage.LARGE:
        assert "autovacuum_vacuum_scale_factor=0.02" in told[table]
    for table in storage.BUSY:
        assert "autovacuum_vacuum_threshold=2000" in told[table]
    for table, percent in storage.ROOM.items():
        assert f"fillfactor={percent}" in told[table]
