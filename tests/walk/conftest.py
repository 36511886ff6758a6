"""A running installation with a team, its connection and price, and somebody at its browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.installation.databases import database_of_its_own
from tests.installation.installation import Installation
from tests.simulator_process import SimulatorProcess

MODEL = "sim-small"
PASSWORD = "a walk of nine steps"
OLIVIA = f"""
from django.contrib.auth.models import User
from jobs.models import Membership, Role, Team
olivia = User.objects.create_user("olivia", password="{PASSWORD}")
Membership.objects.create(team=Team.objects.get(), user=olivia, role=Role.OPERATOR)
"""
# Rows that speak of trouble are refused once: a replay mends them.
FAULTS = {"refusal": {"match": "trouble", "times": 1}}


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(FAULTS, latency_ms=300, seed=5) as running:
        yield running


@pytest.fixture
def installation(
    simulator: SimulatorProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """An admin has connected the provider and set a price; olivia is the team's operator."""
    folder = tmp_path_factory.mktemp("walk")
    with database_of_its_own("walk", folder) as url:
        made = Installation(folder, url)
        made.start()
        try:
            made.token = made.manage(
                *("create_api_token", "--create"),
                *("--user", "alice", "--team", "Support", "--role", "admin"),
            )
            made.api(
                "/connections",
                {
                    "name": "Simulator",
                    "kind": "simulator",
                    "base_url": simulator.url,
                    "api_key": "sk-walk",
                    "limits": {"max_in_flight": 8},
                },
            )
            price = {"model": MODEL, "input": "0.15", "output": "0.60"}
            made.api("/prices", {**price, "effective_from": "2020-01-01T00:00:00Z"})
            made.manage("shell", "-c", OLIVIA)
            yield made
        finally:
            made.stop()


@pytest.fixture
def visitor(browser: Browser, installation: Installation) -> Iterator[Page]:
    """Not logged in yet."""
    context = browser.new_context(base_url=installation.url, accept_downloads=True)
    yield context.new_page()
    context.close()
