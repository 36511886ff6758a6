"""A process that must not outlive the one that started it.

A killed parent cannot tell its children; they notice that they have another one. A server that goes on
without its guard holds the port and runs old code beside the new.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping

_PARENT = "TIED_TO_PARENT"
_LOOK_EVERY_S = 0.5


def tied(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a child that calls `end_with_parent`."""
    return {**environment, _PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Send this process SIGTERM once its parent is gone, if it was started as `tied`."""
    parent = os.environ.pop(_PARENT, None)  # not for the children of this one
    if parent is not None:
        when_orphaned(lambda: os.kill(os.getpid(), signal.SIGTERM), int(parent))


def when_orphaned(act: Callable[[], None], parent: int | None = None) -> None:
    """Call `act` in a thread of its own once the parent is gone. Returns at once."""
    expected = os.getppid() if parent is None else parent

    def watch() -> None:
        while os.getppid() == expected:
            time.sleep(_LOOK_EVERY_S)
        act()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
