"""Objects that a body names by their id."""

from collections.abc import Callable

from jobs.errors import NotFound


class NotFoundAt(NotFound):
    """No such object, or one of another team, where the request's field `loc` names it (404)."""

    def __init__(self, loc: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.loc = loc


def named[T](loc: str, find: Callable[[], T]) -> T:
    """What `find` gives; what it does not find is missing at `loc` (dots separate its steps)."""
    try:
        return find()
    except NotFound as error:
        raise NotFoundAt(tuple(loc.split(".")), str(error)) from error
