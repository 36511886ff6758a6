"""A PostgreSQL that stops, whose connections lie, that has no room or no connection left: what was paid
for is kept, and work goes on by itself."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import Attempt, Job, Record, Worker
from tests.engine.build import MODEL, texts
from tests.installation.databases import Server, looking_into
from tests.installation.installation import LEASE_S, Installation
from tests.installation.processes import Tree, skewed, wait_until
from tests.installation.proxy import Proxy
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
BACK_WITHIN_S = 30.0
CONNECTIONS = 60


class Behind:
    """An installation that reaches a server of its own through a proxy."""

    def __init__(self, installation: Installation, server: Server, proxy: Proxy) -> None:
        self.installation = installation
        self.server = server
        self.proxy = proxy

    def launch(self, simulator: SimulatorProcess, latency_ms: float = 250.0) -> Job:
        simulator.set_faults({}, latency_ms=latency_ms)
        simulator.reset()
        job = self.installation.launch(ROWS, timeout=20)
        wait_until(lambda: settled(job) >= 50, "the first rows")
        return job

    def stop(self, mode: str) -> None:
        connection.close()
        self.server.stop(mode)

    def goes_on(self, job: Job) -> None:
        seen = settled(job)
        wait_until(lambda: ended(job) or settled(job) > seen, "more rows", within=BACK_WITHIN_S)

    def ends(self, job: Job, simulator: SimulatorProcess) -> Job:
        """With each row's one call, and none of them doubted."""
        wait_until(lambda: ended(job), "the job's end")
        job = check_against_provider(job, simulator)
        assert (job.status, job.succeeded) == ("completed", ROWS)
        assert (counted(simulator)["calls"], job.in_doubt_attempts) == (ROWS, 0)
        assert not Record.objects.filter(job_id=job.pk, deaths__gt=0).exists()
        check_nothing_left(job)
        return job


@pytest.fixture(scope="module")
def started(
    provider: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Behind]:
    server = Server()
    proxy = Proxy(str(server.socket))
    folder = tmp_path_factory.mktemp("outages")
    made = Installation(folder, f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres")
    try:
        with psycopg.connect(server.url, autocommit=True) as outsider:
            outsider.execute(f"ALTER SYSTEM SET max_connections = {CONNECTIONS}")
        made.start()
        made.set_up(provider.url, texts(ROWS), MODEL)
        yield Behind(made, server, proxy)
    finally:
        made.stop()
        proxy.close()
        server.remove()


@pytest.fixture
def behind(started: Behind, django_db_blocker: DjangoDbBlocker) -> Iterator[Behind]:
    with (
        django_db_blocker.unblock(),
        looking_into(started.server.url, host=str(started.server.folder)),
    ):
        yield started


def test_it_is_back_soon_after_its_database_is(behind: Behind, simulator: SimulatorProcess) -> None:
    job = behind.launch(simulator)
    for mode, seconds in (("fast", 0.0), ("immediate", 0.0), ("fast", LEASE_S + 1.0)):
        behind.stop(mode)
        time.sleep(seconds)  # long enough for each lease to run out
        behind.server.start()
        behind.goes_on(job)
    behind.ends(job, simulator)


def test_a_commit_whose_answer_was_lost_is_done_once(
    behind: Behind, simulator: SimulatorProcess
) -> None:
    job = behind.launch(simulator)
    for done in range(100, ROWS - 50, 50):
        wait_until(lambda least=done: settled(job) >= least, f"{done} rows")
        behind.proxy.cut_commits(3)
    wait_until(lambda: behind.proxy.commits_cut == 15, "all cuts")
    behind.ends(job, simulator)


def test_it_sends_nothing_while_what_comes_back_finds_no_room(
    behind: Behind, simulator: SimulatorProcess
) -> None:
    job = behind.launch(simulator)
    with psycopg.connect(behind.server.url, autocommit=True) as outsider:
        # In the words and the class of a server whose disk is full.
        outsider.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file: No space left on device' "
            "USING ERRCODE = '53100'; END $$; CREATE TRIGGER full_disk BEFORE INSERT "
            "ON jobs_attempt EXECUTE FUNCTION full_disk()"
        )
        try:
            slices = Worker.objects.filter(kind="slice")
            wait_until(lambda: slices.exclude(detail__trouble=""), "why no more calls leave")

            def still() -> bool:
                """A slice notices with its first answer that it cannot write."""
                before = (settled(job), counted(simulator)["calls"])
                time.sleep(LEASE_S / 3)
                return before == (settled(job), counted(simulator)["calls"])

            wait_until(still, "no more calls")
            done, sent = settled(job), counted(simulator)["calls"]
            assert done < sent < ROWS
            time.sleep(LEASE_S + 1.0)
            assert (settled(job), counted(simulator)["calls"]) == (done, sent)
        finally:
            outsider.execute("DROP FUNCTION full_disk CASCADE")
    behind.ends(job, simulator)


def test_a_machine_whose_clock_is_wrong_works_by_the_databases(
    behind: Behind, simulator: SimulatorProcess
) -> None:
    installation = behind.installation
    environment = {**installation.environment, **skewed(600), "WORKERS": "2"}
    early = Tree(["manage.py", "qcluster"], environment, installation.folder / "early.log")
    try:
        cluster = Worker.objects.filter(kind="cluster", pid=early.pid)
        wait_until(cluster.exists, "a cluster ten minutes ahead")
        job = behind.launch(simulator, latency_ms=1500.0)

        def works() -> bool:
            pids = {process.pid for process in early.processes()}
            return Worker.objects.filter(kind="slice", in_flight__gt=0, pid__in=pids).exists()

        wait_until(works, "calls of it")
        job = behind.ends(job, simulator)
    finally:
        early.kill()
    latest = Attempt.objects.filter(job_id=job.pk).latest("started_at")
    assert latest.started_at <= job.finished_at
    assert (job.finished_at - job.created_at).total_seconds() < 120


def test_it_backs_off_while_no_connection_is_left(
    behind: Behind, simulator: SimulatorProcess
) -> None:
    job = behind.launch(simulator)
    tree = behind.installation.running
    before = len(tree.words())
    connection.close()
    with ExitStack() as kept:
        first = kept.enter_context(psycopg.connect(behind.server.url, autocommit=True))
        mine = {first.info.backend_pid}

        def all_taken() -> bool:
            with_room = True
            while with_room:
                try:
                    made = kept.enter_context(psycopg.connect(behind.server.url))
                    mine.add(made.info.backend_pid)
                except psycopg.OperationalError:
                    with_room = False
            others = first.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND NOT pid = ANY(%s)",
                [list(mine)],
            ).fetchall()
            return not others

        wait_until(all_taken, "every connection taken")
        taken = time.monotonic()
        wait_until(lambda: time.monotonic() - taken > LEASE_S + 1.0, "longer than a lease")
        said = tree.words()[before:].splitlines()
        assert any("too many clients" in line for line in said)
        # Each connection of two slices says so once, however often it tries.
        assert sum("trying until it is back" in line for line in said) <= 4 * 2
    behind.goes_on(job)
    behind.ends(job, simulator)


def test_it_notices_connections_that_fell_silent(
    behind: Behind, simulator: SimulatorProcess
) -> None:
    job = behind.launch(simulator)
    assert behind.proxy.fall_silent() >= 5
    behind.goes_on(job)
    wait_until(lambda: ended(job), "the job's end")
    job = check_against_provider(job, simulator)
    assert (job.status, job.succeeded) == ("completed", ROWS)
    check_nothing_left(job)
