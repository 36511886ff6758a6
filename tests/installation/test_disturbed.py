"""A database that is disturbed from outside, doorbells that are lost or doubled, people who cannot make
up their minds: latency changes, and nothing else."""

import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from jobs import queue
from jobs.models import Job
from tests.environment import TEST_DB
from tests.installation.installation import LEASE_S, Installation
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

ROWS = 400
HELD_S = LEASE_S + 2.0  # longer than a lease, and nobody loses one
# What pages promise, whoever holds a lock.
ANSWERED_WITHIN_S = 2.0


def after_each(job: Job, rows: int, times: int, act: Callable[[], None]) -> None:
    """Act whenever so many more rows are settled."""
    for done in range(rows, rows * times + 1, rows):
        wait_until(lambda least=done: settled(job) >= least, f"{done} rows")
        act()


def cut_connections(installation: Installation, job: Job) -> None:
    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "ORDER BY random() LIMIT 4) AS few"
            )

    after_each(job, 30, 10, cut)


def cut_all_connections(installation: Installation, job: Job) -> None:
    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    after_each(job, 60, 5, cut)


@contextmanager
def row_held(installation: Installation, job: Job) -> Iterator[None]:
    with psycopg.connect(installation.database_url) as outsider:
        outsider.execute("SELECT id FROM jobs_job WHERE id = %s FOR UPDATE", [job.pk])
        yield
        outsider.rollback()


@contextmanager
def tables_held(installation: Installation, job: Job) -> Iterator[None]:
    with psycopg.connect(installation.database_url) as outsider:
        outsider.execute("LOCK TABLE jobs_job, jobs_lease IN ACCESS EXCLUSIVE MODE")
        yield
        outsider.rollback()


@contextmanager
def file_held(installation: Installation, job: Job) -> Iterator[None]:
    path = installation.database_url.removeprefix("sqlite:///")
    outsider = sqlite3.connect(path, timeout=30, isolation_level=None)
    outsider.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        outsider.execute("ROLLBACK")
        outsider.close()


def hold_a_lock(installation: Installation, job: Job) -> None:
    """An outsider holds what every write of a job needs, or of all; what only reads goes on."""
    cookie = installation.log_in("alice")
    one_row = TEST_DB == "postgresql"
    held = row_held if one_row else file_held
    wait_until(lambda: settled(job) >= 50, "the first rows")
    with held(installation, job):
        began = time.monotonic()
        other = installation.launch(20) if one_row else None
        while time.monotonic() - began < HELD_S:
            asked = time.monotonic()
            status, _ = installation.get("/readyz")
            page, _ = installation.get(f"/jobs/{job.public_id}/", Cookie=cookie)
            assert (status, page) == (200, 200)
            assert time.monotonic() - asked < ANSWERED_WITHIN_S
        if other is not None:
            # No other job waits for it.
            wait_until(lambda: ended(other), "the other job's end")
            assert (other.succeeded, other.in_doubt_attempts) == (20, 0)
            assert settled(job) < ROWS


def hold_the_tables(installation: Installation, job: Job) -> None:
    """Nobody can renew a lease, or take one from somebody who cannot."""
    wait_until(lambda: settled(job) >= 50, "the first rows")
    with tables_held(installation, job):
        until = time.monotonic() + HELD_S
        while time.monotonic() < until:
            assert installation.get("/healthz")[0] == 200
            time.sleep(0.5)


DISTURB = {
    "postgresql": (cut_connections, cut_all_connections, hold_a_lock, hold_the_tables),
    "sqlite": (hold_a_lock,),
}[TEST_DB]


@pytest.mark.parametrize("disturb", DISTURB)
def test_it_loses_nothing_when_its_database_is_disturbed(
    installation: Installation,
    simulator: SimulatorProcess,
    disturb: Callable[[Installation, Job], None],
) -> None:
    simulator.set_faults({}, latency_ms=250.0)
    job = installation.launch(ROWS, timeout=20)
    disturb(installation, job)
    wait_until(lambda: ended(job), "the job's end")
    beside = list(Job.objects.filter(pk__gt=job.pk))
    job = check_against_provider(job, simulator, beside)
    assert (job.status, job.succeeded) == ("completed", ROWS)
    # Each answer that was paid for is a result: none was dropped with a connection.
    calls = ROWS + sum(other.attempts for other in beside)
    assert (counted(simulator)["calls"], job.in_doubt_attempts) == (calls, 0)
    check_nothing_left(job)


def test_lost_and_doubled_doorbells_change_nothing(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    def lose() -> None:
        OrmQ.objects.all().delete()

    def double() -> None:
        queue.ring()
        for message in list(OrmQ.objects.all()):
            OrmQ.objects.bulk_create(
                OrmQ(key=message.key, payload=message.payload, lock=timezone.now())
                for _ in range(10)
            )

    simulator.set_faults({}, latency_ms=250.0)
    job = installation.launch(ROWS, timeout=20)
    lose()  # also the first one: the reconciler rings again
    after_each(job, 50, 3, double)
    after_each(job, 70, 5, lose)
    wait_until(lambda: ended(job), "the job's end")
    job = check_against_provider(job, simulator)
    assert (job.succeeded, job.attempts, counted(simulator)["calls"]) == (ROWS, ROWS, ROWS)
    check_nothing_left(job)


def test_pausing_and_resuming_a_hundred_times_with_eight_hands_does_one_thing(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    simulator.set_faults({}, latency_ms=250.0)
    job = installation.launch(3_000, timeout=20)

    def press(turn: int) -> int:
        action = "resume" if turn % 2 else "pause"
        request = urllib.request.Request(
            f"{installation.url}/api/v1/jobs/{job.public_id}/{action}",
            b"{}",
            {"Authorization": f"Bearer {installation.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    wait_until(lambda: settled(job) >= 20, "the first rows")
    with ThreadPoolExecutor(8) as hands:
        answers = set(hands.map(press, range(200)))
    # Where another hand was quicker it is a conflict, said in words; never an error.
    assert answers <= {200, 409}
    assert not ended(job)
    installation.api(f"/jobs/{job.public_id}/resume", {})
    seen = settled(job)
    wait_until(lambda: settled(job) > seen, "more rows")
    installation.api(f"/jobs/{job.public_id}/cancel", {})
    wait_until(lambda: ended(job), "the job's end")
    job = check_against_provider(job, simulator)
    # No row was sent twice for all the pausing, and none that was sent is lost.
    assert job.status == "cancelled"
    assert job.succeeded == job.attempts == counted(simulator)["calls"]
    check_nothing_left(job)
