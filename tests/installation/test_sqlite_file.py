"""SQLite's file: killed in the middle of a write, on a disk that is full, under a clock that jumps."""

import resource
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import Attempt, CostRollup, Job
from tests.engine.build import MODEL, texts
from tests.installation.databases import database_of_its_own, looking_into
from tests.installation.installation import LEASE_S, Installation
from tests.installation.processes import skewed, wait_until
from tests.installation.reckoning import (
    check_against_provider,
    check_nothing_left,
    counted,
    ended,
    paid,
    settled,
)
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.installation

ROWS = 600
IN_FLIGHT = 60  # as the connection has it
HOUR_S, DAY_S = 3_600.0, 86_400.0
CLOCKS = (0.0, DAY_S, -HOUR_S)


@pytest.fixture
def alone(
    provider: SimulatorProcess, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[Installation]:
    with database_of_its_own("alone", tmp_path) as url:
        made = Installation(tmp_path, url)
        try:
            made.start()
            made.set_up(provider.url, texts(ROWS), MODEL)
            with django_db_blocker.unblock(), looking_into(url):
                yield made
        finally:
            made.stop()


def integrity(installation: Installation) -> str:
    with sqlite3.connect(urlsplit(installation.database_url).path[1:]) as outsider:
        (found,) = outsider.execute("PRAGMA integrity_check").fetchone()
    outsider.close()
    return str(found)


def check_whole(installation: Installation) -> None:
    assert integrity(installation) == "ok"
    assert "All is right" in installation.manage("verify")


def test_a_file_whose_writers_are_killed_and_whose_clock_jumps_stays_whole(
    alone: Installation, simulator: SimulatorProcess
) -> None:
    simulator.set_faults({}, latency_ms=250.0)
    job = alone.launch(ROWS, timeout=20)
    environment = alone.environment
    for number, clock in enumerate(CLOCKS, start=1):
        wait_until(lambda least=number * 120: settled(job) >= least, f"{number * 120} rows")
        alone.running.kill()
        connection.close()
        check_whole(alone)
        before = paid(job)
        alone.environment = {**environment, **skewed(clock)}
        alone.start()
        # A clock put back by a day and an hour holds nobody up for so long.
        seen = settled(job)
        wait_until(lambda seen=seen: settled(job) > seen, "more rows", within=30)
        after = paid(job)
        assert {n: after[n] for n in before} == before
    wait_until(lambda: ended(job), "the job's end")
    job = check_against_provider(job, simulator)
    assert (job.status, job.succeeded) == ("completed", ROWS)
    # Nothing was called twice but what was in flight at a kill.
    assert counted(simulator)["calls"] <= ROWS + IN_FLIGHT * len(CLOCKS)
    check_nothing_left(job)
    check_whole(alone)
    # Each call's cost is booked on the day that the clock showed.
    booked = set(CostRollup.objects.filter(job_id=job.pk).values_list("day", flat=True))
    started = Attempt.objects.filter(job_id=job.pk).values_list("started_at", flat=True)
    assert booked == {at.date() for at in started}
    assert len(booked) >= 2


def limit_files(installation: Installation, size: int) -> None:
    for process in installation.running.processes():
        process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_it_sends_nothing_while_its_disk_is_full_and_goes_on_by_itself(
    alone: Installation, simulator: SimulatorProcess
) -> None:
    simulator.set_faults({}, latency_ms=250.0)
    job = alone.launch(ROWS, timeout=20)
    wait_until(lambda: settled(job) >= 100, "the first rows")
    words = alone.running.words
    # A write that crosses the limit is cut short, as on a disk that fills. What the processes say still
    # finds room.
    limit_files(alone, len(words()) + 200_000)
    wait_until(lambda: "trying until it is back" in words(), "no room")

    def quiet(job: Job) -> bool:
        before = counted(simulator)["calls"]
        time.sleep(1.0)
        return bool(before == counted(simulator)["calls"])

    wait_until(lambda: quiet(job), "no more calls")
    sent = counted(simulator)["calls"]
    assert settled(job) < sent < ROWS
    time.sleep(LEASE_S + 1.0)
    assert counted(simulator)["calls"] == sent
    limit_files(alone, resource.RLIM_INFINITY)
    wait_until(lambda: ended(job), "the job's end")
    job = check_against_provider(job, simulator)
    assert (job.status, job.succeeded) == ("completed", ROWS)
    assert (counted(simulator)["calls"], job.in_doubt_attempts) == (ROWS, 0)
    check_nothing_left(job)
    check_whole(alone)
