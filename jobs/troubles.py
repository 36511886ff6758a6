"""What goes wrong with the database, told apart by what helps.

Time alone: it is away, or takes nothing (its disk is full, it has no connection left). Another try: two
transactions met. Somebody else's hand: a lock. Or nothing but a mend: then the statement is wrong, and
to repeat it in silence would hide that.
"""

from enum import Enum, auto

from django.db import DatabaseError, InterfaceError, OperationalError

# Seconds after which a client may ask again.
RETRY_AFTER_S = 5


class Trouble(Enum):
    AWAY = auto()
    LOCKED = auto()
    CONFLICT = auto()
    FAULT = auto()


# By SQLSTATE: a lock timeout; serialization failure, deadlock, statement timeout.
_LOCKED = "55P03"
_CONFLICTS = ("40001", "40P01", "57014")
# Its connection, its resources, its operator, its disk; ended while idle in a transaction; read-only, as
# a standby is before it takes over.
_AWAY = ("08", "53", "57", "58", "25P03", "25006")
# SQLite's code for a statement that is wrong; all others are of the file and its locks.
_SQLITE_ERROR = 1


def trouble_of(error: DatabaseError | InterfaceError) -> Trouble:
    """What helps against it."""
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    if state is not None:
        if state == _LOCKED:
            return Trouble.LOCKED
        if state in _CONFLICTS:
            return Trouble.CONFLICT
        return Trouble.AWAY if state.startswith(_AWAY) else Trouble.FAULT
    if not isinstance(error, OperationalError | InterfaceError):
        return Trouble.FAULT
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return Trouble.FAULT if code == _SQLITE_ERROR else Trouble.AWAY


def is_passing(error: BaseException | None) -> bool:
    """Whether it helps to ask again in a moment."""
    return isinstance(error, DatabaseError | InterfaceError) and (
        trouble_of(error) is not Trouble.FAULT
    )
