"""What must be there before a server starts: a free port, a database, its tables, the static files."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection

DATABASE_WITHIN_S = 60.0
# Any number, the same in all versions.
_ADVISORY_LOCK = 7_318_420_017


def listen(host: str, port: int, otherwise: str = "--port") -> socket.socket:
    """A listening socket, for a web server to take over. Raises CommandError, which says to choose
    another port by `otherwise`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}. Does something run "
            f"there already? Choose another port: {otherwise}"
        ) from error


def prepare(say: Callable[[str], None]) -> None:
    """Bring the database up to date and collect the static files, one process at a time."""
    _wait_for_database(say)
    with _alone():
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
    connection.close()


def _wait_for_database(say: Callable[[str], None]) -> None:
    """A database that starts at the same time may take a while."""
    until, told = time.monotonic() + DATABASE_WITHIN_S, False
    while True:
        try:
            connection.ensure_connection()
            return
        except OperationalError as error:
            words = str(error).strip()
            if time.monotonic() > until:
                raise CommandError(f"The database does not answer: {words}") from error
            if not told:
                say(f"waiting for the database: {words}")
                told = True
            time.sleep(1)


@contextmanager
def _alone() -> Iterator[None]:
    """Two that start at once, here or on several machines, must not migrate at once."""
    with (settings.DATA_DIR / "starting.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:  # let go when the connection closes
                cursor.execute("SET lock_timeout = 0")
                cursor.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
        yield
        connection.close()
