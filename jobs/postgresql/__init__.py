"""Django's PostgreSQL backend with an end to every wait.

The server bounds what it knows of; an answer that gets lost on the way, with no end of the connection
to tell of it, it does not know of. So each wait for the server ends on this side too, and the
connection with it.
"""

import threading

from django.db import connection

# For what looks at whole tables.
LONG_S = 24 * 3600.0


class Patience(threading.local):
    """How long this thread waits for a statement, both here and on the server; set before its first."""

    seconds: float | None = None


patience = Patience()


def wait_at_most(seconds: float) -> None:
    patience.seconds = seconds


def wait_anew(seconds: float) -> None:
    """The same where a connection may be open by now."""
    connection.close()
    wait_at_most(seconds)
