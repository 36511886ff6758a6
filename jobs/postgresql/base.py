"""The backend itself; see the package."""

import time
from collections.abc import Generator
from typing import Any

import psycopg
from django.db.backends.postgresql import base

from jobs.postgresql import patience

# Where the thread has no patience of its own; more than the settings' `statement_timeout`.
AT_MOST_S = 75.0
# The server's end comes first where it can: it leaves the connection usable.
GRACE_S = 2.0


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super().get_connection_params()
        if patience.seconds is not None:
            ms = int(patience.seconds * 1000)
            parameters["options"] = (
                f"{parameters.get('options', '')} -c statement_timeout={ms} "
                f"-c idle_in_transaction_session_timeout={ms}"
            )
        return parameters

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection: psycopg.Connection = super().get_new_connection(conn_params)
        own = patience.seconds
        seconds = AT_MOST_S if own is None else own + GRACE_S
        wait = connection.wait

        def wait_in_time(
            gen: Generator[Any, Any, Any], interval: float = 0.1, timeout: float | None = None
        ) -> Any:
            if timeout is not None:
                return wait(gen, interval, timeout)
            until = time.monotonic() + seconds
            try:
                return wait(gen, interval, seconds)
            except psycopg.OperationalError as error:
                if time.monotonic() < until:
                    raise
                # Whatever comes after all, nobody can tell any more what it answers.
                connection.pgconn.finish()
                words = f"no answer from the database within {seconds:.0f} s"
                raise psycopg.OperationalError(words) from error

        connection.wait = wait_in_time  # type: ignore[method-assign]
        return connection
