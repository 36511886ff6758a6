"""Django's PostgreSQL backend with an end to every wait.

The server bounds what it knows of; an answer that gets lost on the way, with no end of the connection
to tell of it, it does not know of. So each wait for the server ends on this side too, and the
connection with it.
"""

import threading


class Patience(threading.local):
    """How long this thread waits for a statement, both here and on the server; set before its first."""

    seconds: float | None = None


patience = Patience()


def wait_at_most(seconds: float) -> None:
    patience.seconds = seconds
