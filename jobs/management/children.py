"""A process that `serve` keeps running."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from jobs.lifeline import tied

# One that ends sooner than this is not helped by being started again at once.
SHORT_LIFE_S = 30.0
LONGEST_PAUSE_S = 30.0


class Child:
    """Runs in a session of its own: Ctrl-C reaches the parent alone, which ends the others in order."""

    def __init__(
        self, name: str, command: Sequence[str], environment: dict[str, str], *, fds: Sequence[int]
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._fds = fds
        self._pause = 0.0
        self._start_at: float | None = None
        self.start()

    def start(self) -> None:
        self.started = time.monotonic()
        self._start_at = None
        self._process = subprocess.Popen(
            self._command,
            env=tied(self._environment),
            start_new_session=True,
            pass_fds=self._fds,
        )

    def age(self) -> float:
        return time.monotonic() - self.started

    def tend(self) -> str | None:
        """Start it again if it has ended: soon, but later each time that it ends young.

        Returns what to say about it, once for each end.
        """
        if self._start_at is not None:
            if time.monotonic() >= self._start_at:
                self.start()
            return None
        code = self._process.poll()
        if code is None:
            return None
        self.kill()
        if self.age() > SHORT_LIFE_S:
            self._pause = 0.0
        self._pause = min(LONGEST_PAUSE_S, max(1.0, self._pause * 2))
        self._start_at = time.monotonic() + self._pause
        return f"{self.name} ended with {code}; starting it again in {self._pause:.0f} s"

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self, seconds: float) -> bool:
        """Whether it ended in time."""
        try:
            self._process.wait(max(0.1, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Whatever is left of its group: orphaned workers must not linger."""
        with suppress(ProcessLookupError):  # nothing is left
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
