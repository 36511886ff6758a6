"""What services raise when they cannot do what was asked. Faces turn these into pages and problems.

Nothing here carries a secret or another team's data; messages are sentences for a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """`loc` is the path to the fault as in the request: ("parameters", "max_tokens")."""

    loc: tuple[str | int, ...]
    msg: str


class ServiceError(Exception):
    """Base of all below; `str()` is a sentence for a person."""


class Invalid(ServiceError):
    """The request is wrong in the named places (422)."""

    def __init__(self, errors: Sequence[FieldError]):
        self.errors = list(errors)
        super().__init__("; ".join(f"{'.'.join(map(str, e.loc))}: {e.msg}" for e in self.errors))

    @classmethod
    def field(cls, loc: str, msg: str) -> "Invalid":
        """One fault in one place; dots in `loc` separate the steps of the path."""
        return cls([FieldError(tuple(loc.split(".")), msg)])


class NotFound(ServiceError):
    """No such object, or one of another team: the two are told as one (404)."""


class NotAllowed(ServiceError):
    """The role does not reach to this action (403)."""


class Conflict(ServiceError):
    """The object's present state does not permit this (409)."""


class BudgetRefused(Invalid):
    """A budget does not allow it now (402). The words say which, how far it is used up, until when."""

    def __init__(self, words: str):
        super().__init__([FieldError(("budget",), words)])
