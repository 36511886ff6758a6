"""One simulator for all tests of this folder; each starts with its counters at zero."""

from collections.abc import Iterator

import pytest

from tests.simulator_process import SimulatorProcess


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess() as simulator:
        yield simulator


@pytest.fixture
def simulator(shared_simulator: SimulatorProcess) -> SimulatorProcess:
    """Without limits, latency and faults, but prompts may ask for one."""
    shared_simulator.set_faults(
        {},
        markers=True,
        prompt_cache=False,
        latency_ms=0,
        jitter=0,
        rpm=0,
        tpm=0,
        output_tpm=0,
        burst_seconds=60,
        limit_minutes=False,
        limit_headers=True,
        max_in_flight=0,
        context_tokens=200_000,
    )
    shared_simulator.reset()
    return shared_simulator
