"""Fixtures and rules for the whole suite.

Tests that touch the database run twice: with TEST_DB=sqlite and with TEST_DB=postgresql. In the
second run everything else is left out.
"""

import os
from pathlib import Path

import pytest

from tests.environment import REQUIRE_ALL, TEST_DB

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Playwright keeps its event loop running in this thread from the first browser test on; whatever
    # starts a loop of its own must have run before.
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))
    if TEST_DB == "postgresql":
        touching = {"django_db", "installation"}
        kept = [item for item in items if touching & {mark.name for mark in item.iter_markers()}]
        dropped = [item for item in items if item not in set(kept)]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = kept


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object]) -> dict[str, object]:
    """Debian's Chromium, which also runs as root and in a closed network."""
    if not CHROMIUM.exists():
        message = f"no browser at {CHROMIUM}: apt-get install chromium, or set CHROMIUM"
        if REQUIRE_ALL:
            pytest.fail(message)
        pytest.skip(message)
    return {
        **browser_type_launch_args,
        "executable_path": str(CHROMIUM),
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }
