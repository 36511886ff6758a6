"""Put first on a process's path, it lets the process's clock be wrong by SKEW_SECONDS; not the monotonic
one, which no setting of a clock moves."""

import copyreg
import datetime
import os
import time
from typing import Any

_by = float(os.environ["SKEW_SECONDS"])
_true, _datetime = time.time, datetime.datetime


class _Kind(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _datetime)


class Skewed(_datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _datetime.now(tz) + datetime.timedelta(seconds=_by)


def _pickled(at: datetime.datetime) -> tuple[Any, tuple[str]]:
    # Readable where this module is not.
    return eval, (f"__import__('datetime').datetime.fromisoformat({at.isoformat()!r})",)


datetime.datetime = Skewed  # type: ignore[misc]
time.time = lambda: _true() + _by
copyreg.pickle(_datetime, _pickled)
