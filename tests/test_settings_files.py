"""A production's `.env` and a demo in the same checkout keep out of each other's way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from batchllm import settings

SHOW = (
    "from batchllm import settings as s; "
    "print(s.ENVIRONMENT, s.HTTPS, s.ALLOW_PRIVATE_ADDRESSES, s.DATABASES['default']['NAME'])"
)


def told(checkout: Path, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{checkout}:{settings.BASE_DIR}"}
        | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_demo_and_a_production_in_one_checkout_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "batchllm").mkdir()
    (tmp_path / "batchllm" / "__init__.py").touch()
    shutil.copy(settings.__file__, tmp_path / "batchllm" / "settings.py")
    data = tmp_path / "data"
    data.mkdir()
    secrets = "SECRET_KEY=s\nFIELD_ENCRYPTION_KEYS=k\n"
    (data / "demo.env").write_text(
        f"ENVIRONMENT=demo\nHTTPS=0\nALLOW_PRIVATE_ADDRESSES=1\n{secrets}"
    )
    demo = ["demo", "False", "True", str(data / "batchllm.sqlite3")]
    assert told(tmp_path) == demo
    (tmp_path / ".env").write_text(f"DATABASE_URL=postgres://u:p@db/books\n{secrets}")
    # `make demo` says where its data is; whoever says nothing means what `.env` says.
    assert told(tmp_path, DATA_DIR=str(data)) == demo
    assert told(tmp_path) == ["production", "True", "False", "books"]
    # What the environment itself says counts before either.
    assert told(tmp_path, HTTPS="0")[:2] == ["production", "False"]
    assert told(tmp_path, DATA_DIR=str(tmp_path / "else")) == told(tmp_path)
