"""What a stretch of this process's work takes."""

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Seconds, CPU seconds and peak memory (kB) of this process, filled in at the end.

    The peak is sampled, from where the block begins: what importing took before is in it, what was
    freed before is not.
    """
    used: dict[str, Any] = {"rss_before_kb": _rss_kb()}
    peak, done = [used["rss_before_kb"]], threading.Event()

    def sample() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], _rss_kb())

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    yield used
    used["seconds"] = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    used["cpu"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    done.set()
    watcher.join()
    used["peak_kb"] = max(peak[0], _rss_kb())


def _rss_kb() -> int:
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS:")).split()[1])
