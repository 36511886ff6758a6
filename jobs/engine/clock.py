"""Time as the database sees it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class DatabaseClock:
    """The database's time, carried forward by this process's monotonic clock between readings.

    Leases of two machines whose clocks disagree are thereby judged by one clock. Between readings it
    drifts as the monotonic clock does; `sync` it every few seconds.
    """

    def __init__(self) -> None:
        self.sync(datetime.now(UTC))

    def sync(self, database_now: datetime) -> None:
        self._read = (database_now, time.monotonic())  # one value: threads share it

    def now(self) -> datetime:
        base, at = self._read
        return base + timedelta(seconds=time.monotonic() - at)

    def monotonic(self) -> float:
        return time.monotonic()
