"""Two transactions that wait for each other: PostgreSQL ends one of them, and it may be ours."""

import threading

import psycopg
import pytest
from django.db import connection

from tests.engine.build import MODEL, check_invariants, make_job
from tests.engine.drive import run_slice
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_deadlock_costs_no_answer() -> None:
    """Somebody holds a record whose answer is being written, and then wants the job as well."""
    with SimulatorProcess(latency_ms=200) as simulator:
        job = make_job(300, url=simulator.url)
        crossed = threading.Thread(target=_cross, args=(job.pk,))
        crossed.start()
        run_slice()
        crossed.join()
        calls = simulator.stats()["models"][MODEL]["calls"]
    job = check_invariants(job.pk)
    assert (job.status, job.succeeded, job.attempts, calls) == ("completed", 300, 300, 300)
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert cursor.fetchone()[0] > 0


def _cross(job_id: int) -> None:
    """The engine is the one that the server ends: it finds the circle first."""
    settings = connection.get_connection_params()
    settings.pop("cursor_factory", None)
    settings.pop("context", None)
    with psycopg.connect(**settings, autocommit=True) as outsider, outsider.transaction():
        outsider.execute("SET LOCAL deadlock_timeout = '30s'; SET LOCAL lock_timeout = '30s'")
        running = "SELECT n FROM jobs_record WHERE job_id = %s AND status = 1 LIMIT 1 FOR UPDATE"
        while not outsider.execute(running, [job_id]).fetchone():
            outsider.execute("SELECT pg_sleep(0.01)")
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        while not outsider.execute(waiting).fetchone():
            outsider.execute("SELECT pg_sleep(0.01)")
        outsider.execute("SELECT 1 FROM jobs_job WHERE id = %s FOR UPDATE", [job_id])
