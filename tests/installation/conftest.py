"""One installation and one simulator for all tests here: they start processes, which takes seconds."""

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.engine.build import MODEL, texts
from tests.environment import TEST_DB
from tests.installation.databases import database_of_its_own, looking_into
from tests.installation.installation import Installation
from tests.simulator_process import SimulatorProcess

ROWS = 3_000
# What only one of the databases can suffer.
collect_ignore = ["test_sqlite_file.py" if TEST_DB == "postgresql" else "test_outages.py"]


@pytest.fixture(scope="session")
def provider() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(seed=11) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def installed(
    provider: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    with database_of_its_own("installation", folder) as url:
        made = Installation(folder, url)
        try:
            made.start()
            made.set_up(provider.url, texts(ROWS), MODEL)
            yield made
        finally:
            made.stop()


@pytest.fixture
def installation(
    installed: Installation, django_db_blocker: DjangoDbBlocker
) -> Iterator[Installation]:
    """Running, and open to this process's models."""
    if installed.running.ended():
        installed.start()
    with django_db_blocker.unblock(), looking_into(installed.database_url):
        yield installed


@pytest.fixture
def simulator(provider: SimulatorProcess) -> SimulatorProcess:
    """As if just started: no faults, counters at zero."""
    provider.set_faults({}, latency_ms=0.0, jitter=0.0)
    provider.reset()
    return provider
