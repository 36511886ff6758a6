"""The provider simulator as a process of its own, for tests and benchmarks."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
READY = "simulator listening on "


class SimulatorProcess:
    """Starts a simulator on a free port and ends it with the block.

        with SimulatorProcess({"timeout": 0.01}, latency_ms=20) as simulator:
            simulator.url  # "http://127.0.0.1:40123", without "/v1"

    `faults` is a mix as in `jobs.simulator.faults`, settings allowed in it; `options` are the
    command line's, with underscores; True stands for a bare flag. The process also ends when this
    one dies. `start` and `stop` may be used instead of the block.
    """

    def __init__(self, faults: dict[str, Any] | None = None, **options: Any) -> None:
        self._arguments = ["--until-stdin-closes", "--faults", json.dumps(faults or {})]
        for name, value in options.items():
            if value is not False and value is not None:
                self._arguments.append("--" + name.replace("_", "-"))
                if value is not True:
                    self._arguments.append(str(value))
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> "SimulatorProcess":
        """Returns once the simulator listens; raises `RuntimeError` when it ends instead."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jobs.simulator", *self._arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(READY):
            self.stop()
            raise RuntimeError(f"the simulator did not start: {line!r}")
        self.url = line.removeprefix(READY).strip()
        return self

    def stop(self) -> int:
        """Ends the process; returns its exit code. Harmless when it has ended already."""
        process = self._process
        assert process is not None, "never started"
        process.terminate()
        try:
            code = process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        return code

    @property
    def pid(self) -> int:
        assert self._process is not None, "never started"
        return self._process.pid

    def stats(self, *, prompts: bool = False) -> dict[str, Any]:
        """`GET /stats`, with the calls for each prompt if asked for."""
        return self._ask("GET", "/stats?prompts=1" if prompts else "/stats")

    def set_faults(self, faults: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
        """`POST /faults`: a whole new mix, or None to keep it; and settings as `latency_ms`.

        Returns the settings now in force.
        """
        given = dict(settings)
        if faults is not None:
            given["faults"] = faults
        return self._ask("POST", "/faults", given) if given else self._ask("GET", "/faults")

    def reset(self) -> None:
        """`POST /reset`: all counters to zero."""
        self._ask("POST", "/reset", {})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answered: dict[str, Any] = json.load(answer)
        return answered

    def __enter__(self) -> "SimulatorProcess":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
