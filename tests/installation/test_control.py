"""Pause, resume, cancel and SIGTERM while calls are in flight."""

import signal
import time

import pytest

from jobs.models import Lease, Worker
from tests.installation.installation import Installation
from tests.installation.processes import wait_until
from tests.installation.reckoning import (
    check_against_provider,
    check_nothing_left,
    counted,
    ended,
    settled,
)
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.installation

# What pages promise.
HEEDED_WITHIN_S = 2.0


def last_call_after(simulator: SimulatorProcess, *, quiet: float = 1.5) -> float:
    """Seconds from now to the last call that arrived, once none has for a while."""
    began = last = time.monotonic()
    calls = counted(simulator)["calls"]
    while time.monotonic() - last < quiet:
        seen = counted(simulator)["calls"]
        if seen != calls:
            calls, last = seen, time.monotonic()
        time.sleep(0.02)
    return last - began


def test_it_heeds_pause_resume_and_cancel_at_once(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    simulator.set_faults({}, latency_ms=400.0)
    job = installation.launch(3_000, timeout=20)
    wait_until(lambda: settled(job) >= 100, "the first rows")

    paused = installation.api(f"/jobs/{job.public_id}/pause", {})
    assert paused["status"] == "paused"
    assert last_call_after(simulator) < HEEDED_WITHIN_S
    job = check_against_provider(job, simulator)
    # What was in flight has ended and counts, what waited is back.
    assert (job.status, job.running, job.failed) == ("paused", 0, 0)
    assert job.succeeded == counted(simulator)["calls"]
    assert not Lease.objects.filter(job_id=job.pk).exists()

    before = job.succeeded
    assert installation.api(f"/jobs/{job.public_id}/resume", {})["status"] == "running"
    wait_until(lambda: counted(simulator)["calls"] > before, "a call", within=10)
    wait_until(lambda: settled(job) >= before + 100, "more rows")
    in_flight = wait_until(lambda: simulator.stats()["in_flight"], "calls in flight")

    cancelled = installation.api(f"/jobs/{job.public_id}/cancel", {})
    assert cancelled["status"] in ("cancelling", "cancelled")
    assert last_call_after(simulator) < HEEDED_WITHIN_S
    wait_until(lambda: ended(job), "the job's end")
    job = check_against_provider(job, simulator)
    assert (job.status, job.failed) == ("cancelled", 0)
    assert job.succeeded >= before + in_flight
    assert job.succeeded == counted(simulator)["calls"]
    assert job.succeeded + job.cancelled == 3_000
    check_nothing_left(job)


def test_it_drains_on_sigterm_and_goes_on_when_started_again(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    simulator.set_faults({}, latency_ms=3000.0)
    job = installation.launch(150, timeout=30)
    wait_until(lambda: simulator.stats()["in_flight"] >= 20, "long calls in flight")
    installation.running.signal(signal.SIGTERM)
    assert installation.running.wait() == 0  # it and all that it started
    assert "killed" not in installation.running.words()

    job = check_against_provider(job, simulator)
    assert (job.status, job.running, job.failed) == ("running", 0, 0)
    # Each call was waited for; the rows that had not been sent were given back.
    assert job.succeeded == job.attempts == counted(simulator)["calls"] >= 20
    assert job.in_doubt_attempts == 0
    assert not Lease.objects.exists()
    assert not Worker.objects.filter(kind="cluster").exists()

    simulator.set_faults({}, latency_ms=50.0)
    installation.start()
    wait_until(lambda: ended(job), "the job's end")
    job = check_against_provider(job, simulator)
    assert (job.status, job.succeeded, job.attempts) == ("completed", 150, 150)
    check_nothing_left(job)


def test_it_says_when_no_worker_runs_and_when_one_does_again(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    cookie = installation.log_in("alice")

    def header() -> str:
        page = installation.get("/", Cookie=cookie)[1]
        return page.split('title="Workers whose heartbeat is fresh"')[0].rsplit("<a ", 1)[1]

    assert "tone-red" not in header()
    serve, cluster = installation.running.process, installation.running.find("qcluster")
    assert cluster is not None
    serve.suspend()  # or it would start another at once
    try:
        cluster.terminate()
        wait_until(lambda: installation.get("/readyz")[0] == 503, "503", within=60)
        status, text = installation.get("/readyz")
        assert (status, '"queue": false' in text) == (503, True)
        assert "tone-red" in header()
    finally:
        serve.resume()
    wait_until(installation.ready, "another cluster")
    assert "tone-red" not in header()
