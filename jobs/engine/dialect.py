"""The hot statements in the two databases' own best form.

Measured on the design's machine: one JSON parameter unfolded by the server costs PostgreSQL 20–30 µs
a record where `executemany` costs 50–64; SQLite is the other way round (20 µs with `executemany`,
twice that with `json_each`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

# Of a statement's bound parameters; SQLite allows 32,766.
IN_CHUNK = 500

Rows = Sequence[Sequence[Any]]


class Writer(Protocol):
    """As much of a cursor as a write needs whose answer nobody reads."""

    def execute(self, sql: str, params: Any = None) -> Any: ...

    def executemany(self, sql: str, param_list: Any) -> Any: ...


class Dialect(ABC):
    """What both share; `types` are the PostgreSQL types of the columns, in order."""

    postgresql: bool

    def __init__(self, connection: BaseDatabaseWrapper):
        self.connection = connection

    def time(self, at: datetime | None) -> Any:
        return self.connection.ops.adapt_datetimefield_value(at)

    @contextmanager
    def together(self, cursor: CursorWrapper) -> Iterator[Writer]:
        """For the writes at the end of a transaction: they leave as one message where the server is
        a journey away, at the end of the block, in their order."""
        yield cursor

    def lock(self) -> str:
        """Appended to a SELECT that must hold its rows until the end of the transaction."""
        return " FOR UPDATE" if self.postgresql else ""

    def in_list(self, column: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """A condition for `column` in at most IN_CHUNK-ish `values`, and its parameters."""
        if self.postgresql:
            return f"{column} = ANY(%s)", [list(values)]
        return f"{column} IN ({','.join(['%s'] * len(values))})", list(values)

    @abstractmethod
    def update_rows(
        self,
        cursor: Writer,
        table: str,
        key: Sequence[tuple[str, str]],
        columns: Sequence[tuple[str, str]],
        rows: Rows,
        assignments: Sequence[str] = (),
    ) -> None:
        """Set `columns` of the rows with the `key` values; a row is (*columns, *key).

        `assignments` are further constant or relative ones ("calls = calls + 1").
        """

    @abstractmethod
    def insert_rows(
        self,
        cursor: Writer,
        table: str,
        columns: Sequence[tuple[str, str]],
        rows: Rows,
        conflict: str = "",
    ) -> None:
        """Rows of the columns' values; `conflict` is what stands after them ("ON CONFLICT …")."""


class _Collected:
    def __init__(self) -> None:
        self.statements: list[str] = []
        self.parameters: list[Any] = []

    def execute(self, sql: str, params: Any = None) -> None:
        self.statements.append(sql)
        self.parameters.extend(params or ())

    def executemany(self, sql: str, param_list: Any) -> None:
        for params in param_list:
            self.execute(sql, params)


class PostgresDialect(Dialect):
    postgresql = True

    @contextmanager
    def together(self, cursor: CursorWrapper) -> Iterator[Writer]:
        # Between the loop and this thread, each wait for an answer is a wait for the interpreter's
        # lock as well: up to 5 ms (sys.getswitchinterval) where the answer itself takes 0.2.
        collected = _Collected()
        yield collected
        if collected.statements:
            cursor.execute("; ".join(collected.statements), collected.parameters)

    @staticmethod
    def _recordset(columns: Iterable[tuple[str, str]]) -> str:
        return ", ".join(f"{name} {kind}" for name, kind in columns)

    @staticmethod
    def _json(names: Sequence[str], rows: Rows) -> str:
        return orjson.dumps(
            [dict(zip(names, row, strict=True)) for row in rows], default=str
        ).decode()

    def update_rows(
        self,
        cursor: Writer,
        table: str,
        key: Sequence[tuple[str, str]],
        columns: Sequence[tuple[str, str]],
        rows: Rows,
        assignments: Sequence[str] = (),
    ) -> None:
        names = [name for name, _ in (*columns, *key)]
        sets = ", ".join([*(f"{name} = v.{name}" for name, _ in columns), *assignments])
        where = " AND ".join(f"t.{name} = v.{name}" for name, _ in key)
        cursor.execute(
            f"UPDATE {table} t SET {sets} FROM json_to_recordset(%s::json) "
            f"AS v({self._recordset((*columns, *key))}) WHERE {where}",
            [self._json(names, rows)],
        )

    def insert_rows(
        self,
        cursor: Writer,
        table: str,
        columns: Sequence[tuple[str, str]],
        rows: Rows,
        conflict: str = "",
    ) -> None:
        names = [name for name, _ in columns]
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(names)} "
            f"FROM json_to_recordset(%s::json) AS v({self._recordset(columns)}) {conflict}",
            [self._json(names, rows)],
        )


class SqliteDialect(Dialect):
    postgresql = False

    def update_rows(
        self,
        cursor: Writer,
        table: str,
        key: Sequence[tuple[str, str]],
        columns: Sequence[tuple[str, str]],
        rows: Rows,
        assignments: Sequence[str] = (),
    ) -> None:
        sets = ", ".join([*(f"{name} = %s" for name, _ in columns), *assignments])
        where = " AND ".join(f"{name} = %s" for name, _ in key)
        cursor.executemany(f"UPDATE {table} SET {sets} WHERE {where}", rows)

    def insert_rows(
        self,
        cursor: Writer,
        table: str,
        columns: Sequence[tuple[str, str]],
        rows: Rows,
        conflict: str = "",
    ) -> None:
        names = ", ".join(name for name, _ in columns)
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks}) {conflict}", rows)


def dialect_of(connection: BaseDatabaseWrapper) -> Dialect:
    return (PostgresDialect if connection.vendor == "postgresql" else SqliteDialect)(connection)


def read_time(value: Any) -> datetime | None:
    """A time read by a plain cursor: SQLite keeps it in UTC without saying so."""
    if value is None:
        return None
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
