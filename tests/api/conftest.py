"""Callers in each role, and one simulator for all tests of this folder."""

from collections.abc import Iterator

import pytest

from jobs.models import Role
from tests.api.caller import Caller
from tests.cast import Cast, cast  # noqa: F401
from tests.simulator_process import SimulatorProcess


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(seed=5) as simulator:
        yield simulator


@pytest.fixture
def simulator(simulator_process: SimulatorProcess) -> SimulatorProcess:
    """Without faults, its counters at zero."""
    simulator_process.set_faults({})
    simulator_process.reset()
    return simulator_process


@pytest.fixture
def api(cast: Cast) -> Caller:  # noqa: F811
    """alice's: an admin of Support."""
    return Caller(cast.token(cast.alice))


@pytest.fixture
def stranger(cast: Cast) -> Caller:  # noqa: F811
    """charlie's: an admin of another team."""
    return Caller(cast.token(cast.charlie))


@pytest.fixture
def operator(cast: Cast) -> Caller:  # noqa: F811
    return Caller(cast.token(cast.olivia, Role.OPERATOR))
