"""Process trees as an outsider sees them: started, looked at, signalled, and gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
# Far more than anything takes: a test that waits for so long has failed.
AT_MOST_S = 90.0


def wait_until[T](
    condition: Callable[[], T], what: str, *, within: float = AT_MOST_S, every: float = 0.05
) -> T:
    """Returns the first true answer of the condition."""
    until = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, f"waited {within:.0f} s in vain: {what}"
        time.sleep(every)


class Tree:
    """A command and whatever it starts, in sessions of their own too. Its words go to a file."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], words: Path
    ) -> None:
        self._words = words
        self._seen: dict[int, psutil.Process] = {}
        with words.open("ab") as out:
            self._from = out.tell()
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.pid)

    def words(self) -> str:
        """What this start has said."""
        return self._words.read_bytes()[self._from :].decode()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def processes(self) -> list[psutil.Process]:
        """All that are alive, orphans too, as far as they were seen once."""
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.pid)
            self._seen |= {p.pid: p for p in (top, *top.children(recursive=True))}
        return [p for p in self._seen.values() if alive(p)]

    def find(self, words: str) -> psutil.Process | None:
        """The topmost process whose command line contains the words."""
        for process in self.processes():
            with suppress(psutil.Error):
                if words in " ".join(process.cmdline()):
                    return process
        return None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it and all that it started are gone."""
        code = wait_until(lambda: (self._process.poll(),) if self.ended() else None, "its end")[0]
        wait_until(lambda: not self.processes(), "the end of all it started")
        assert code is not None
        return code

    def kill(self) -> None:
        """-9 to everything at once, parents before children: nobody can tidy up."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: not self.processes(), "the end of all killed")


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def skewed(seconds: float) -> dict[str, str]:
    """Of an environment: the process's clock is wrong by so much."""
    return {"PYTHONPATH": str(Path(__file__).parent / "skewed"), "SKEW_SECONDS": str(seconds)}


def clean_environment(**settings: str) -> dict[str, str]:
    """Of this process's environment what a system gives, and the settings."""
    system = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
    return {**{k: v for k, v in os.environ.items() if k in system}, **settings}
