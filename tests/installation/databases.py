"""A database of its own for an installation, and the test's own look into it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.db import connection

from tests.environment import TEST_DB


@contextmanager
def database_of_its_own(name: str, folder: Path) -> Iterator[str]:
    """Yields its URL."""
    if TEST_DB == "sqlite":
        yield f"sqlite:///{folder / name}.sqlite3"
        return
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as server_connection:
        server_connection.execute(f'CREATE DATABASE "{name}"')
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        server_connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def looking_into(url: str) -> Iterator[None]:
    """The models of this process read and write the installation's database."""
    settings, kept = connection.settings_dict, connection.settings_dict["NAME"]
    path = urlsplit(url).path
    connection.close()
    settings["NAME"] = path.removeprefix("/") if TEST_DB == "postgresql" else path[1:]
    try:
        yield
    finally:
        connection.close()
        settings["NAME"] = kept
