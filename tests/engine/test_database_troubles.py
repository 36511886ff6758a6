"""What goes wrong at the database, told apart by what helps: time, another try, nothing but a mend."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Sequence

import pytest
from django.db import DatabaseError, connection

from jobs.engine.database import TRIES_MORE, Database
from jobs.engine.records import Settlement
from jobs.engine.store import Store
from jobs.logs import words_of
from jobs.models import JobStatus, Lease
from jobs.troubles import Trouble, trouble_of
from tests.engine.build import MODEL, check_invariants, make_job
from tests.engine.drive import run_slice
from tests.environment import TEST_DB
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def _said_by_postgresql(state: str) -> Callable[[], None]:
    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '" + state + "'; END $$"
            )

    return ask


def _statement(sql: str) -> Callable[[], None]:
    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return ask


def _locked_file() -> None:
    outsider = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    outsider.execute("BEGIN EXCLUSIVE")
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")
            cursor.execute("UPDATE jobs_job SET name = ''")
    finally:
        outsider.close()


def _full_file() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        cursor.execute("PRAGMA page_size")
        (size,) = cursor.fetchone()
        try:
            # More than the whole file, much of which may be free.
            cursor.execute("CREATE TABLE big AS SELECT zeroblob(%s) AS bytes", [(pages + 1) * size])
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")


TROUBLES = {
    "postgresql": [
        (_said_by_postgresql("08006"), Trouble.AWAY),
        (_said_by_postgresql("53100"), Trouble.AWAY),
        (_said_by_postgresql("53300"), Trouble.AWAY),
        (_said_by_postgresql("57P01"), Trouble.AWAY),
        (_said_by_postgresql("25006"), Trouble.AWAY),
        (_said_by_postgresql("55P03"), Trouble.LOCKED),
        (_said_by_postgresql("40001"), Trouble.CONFLICT),
        (_said_by_postgresql("40P01"), Trouble.CONFLICT),
        (_statement("SET LOCAL statement_timeout = 20; SELECT pg_sleep(1)"), Trouble.CONFLICT),
        (_statement("SELEKT"), Trouble.FAULT),
        (_statement("SELECT nothing FROM jobs_job"), Trouble.FAULT),
        (_statement("SELECT 1 / 0"), Trouble.FAULT),
    ],
    "sqlite": [
        (_locked_file, Trouble.AWAY),
        (_full_file, Trouble.AWAY),
        (_statement("SELEKT"), Trouble.FAULT),
        (_statement("SELECT nothing FROM jobs_job"), Trouble.FAULT),
    ],
}[TEST_DB]


@pytest.mark.parametrize(("ask", "trouble"), TROUBLES)
def test_it_tries_again_where_that_helps(
    ask: Callable[[], None], trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    """Time helps as often as it takes, and is said once; another try three times; and what is wrong is
    not repeated."""
    with pytest.raises(DatabaseError) as found:
        ask()
    assert trouble_of(found.value) is trouble
    tries = 0

    def call() -> str:
        nonlocal tries
        tries += 1
        if tries <= 5:
            ask()
        return "done"

    async def go() -> str:
        database = Database(Store().disconnect, random.Random(1), at_most=10)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("jobs.engine.database.FIRST_WAIT_S", 0.001)
                return await database.patiently(call)
        finally:
            await database.close()

    helps = {Trouble.AWAY: 6, Trouble.LOCKED: 6, Trouble.CONFLICT: 1 + TRIES_MORE, Trouble.FAULT: 1}
    if trouble in (Trouble.AWAY, Trouble.LOCKED):
        assert asyncio.run(go()) == "done"
        said = [record.getMessage() for record in caplog.records]
        assert [words for words in said if "trying until" in words] == said[:1]
    else:
        with pytest.raises(DatabaseError):
            asyncio.run(go())
    assert tries == helps[trouble]


class WrongStore(Store):
    """Its settling is wrong for a while, as old code is on newer tables."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def settle(
        self,
        job_id: int,
        worker: str,
        settlements: Sequence[Settlement],
        leases_done: Sequence[str],
    ) -> JobStatus | None:
        if self.times:
            self.times -= 1
            _statement("SELECT nothing FROM jobs_job")()
        return super().settle(job_id, worker, settlements, leases_done)


def test_it_says_that_its_writing_is_wrong_and_keeps_what_was_paid_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.engine.outbox.REFUSED_REST_S", 0.05)
    with SimulatorProcess(latency_ms=20) as simulator:
        job = make_job(300, url=simulator.url)
        run_slice(WrongStore(times=4))
        calls = simulator.stats()["models"][MODEL]["calls"]
    job = check_invariants(job.pk)
    assert (job.status, job.succeeded, job.attempts, calls) == ("completed", 300, 300, 300)
    (said,) = (r for r in caplog.records if "cannot be written" in r.getMessage())
    assert "nothing" in words_of(said.__dict__["error"])  # the column, in the database's words


def test_it_leaves_in_doubt_what_it_cannot_write_to_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with SimulatorProcess(latency_ms=20) as simulator:
        job = make_job(300, url=simulator.url)
        run_slice(WrongStore(times=1_000_000), life=1.0)
        calls = simulator.stats()["models"][MODEL]["calls"]
    job = check_invariants(job.pk)
    # It stopped sending when the first answers found no way in; whoever takes the lease books the rest.
    assert 0 < calls <= job.running < 300
    assert sum(len(lease.records) for lease in Lease.objects.all()) >= job.running
    assert "answers are not written" in caplog.text
