"""`manage.py verify` finds what is wrong with the books, and names the first of it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.utils import DatabaseError
from django_q.models import OrmQ

from jobs.costs.services import direct_call_open
from jobs.engine.checking import check_finished
from jobs.engine.reconcile import sweep
from jobs.engine.records import Settlement
from jobs.engine.verify import snapshot, verify
from jobs.failures import FailureClass
from jobs.models import CostRollup, Due, Job, JobStatus
from tests.engine.test_job_state_machine import Bench

pytestmark = pytest.mark.django_db

# What is planted, and what is then said. Records: 1 succeeded, 2 failed, 3 to be retried, 4 and 5 in
# flight, 6 to 8 not claimed.
PLANTED = {
    "UPDATE jobs_job SET succeeded = 2": "succeeded: expected 1, found 2",
    "UPDATE jobs_job SET pending = pending + 1": "pending: expected 4, found 5",
    "UPDATE jobs_job SET expanded = 7": "expanded: expected 8, found 7",
    "UPDATE jobs_job SET reserved = 7": "reserved: expected",
    "UPDATE jobs_job SET finished_at = '2026-01-01 00:00:00+00:00'": "finished_at: expected no end",
    "UPDATE jobs_job SET status = 'completed'": "at its end, pending: expected 0, found 4",
    "UPDATE jobs_job SET attempts = 4": "attempts: expected 3, found 4",
    "UPDATE jobs_job SET cost = cost + 1": "of all records, cost: expected",
    "UPDATE jobs_job SET wasted_cost = wasted_cost + 1": "wasted_cost: expected",
    "UPDATE jobs_job SET in_doubt_attempts = 1": "in_doubt_attempts: expected 0, found 1",
    "UPDATE jobs_job SET input_tokens = 0": "input_tokens: expected 20, found 0",
    "UPDATE jobs_job SET shared = 1": "shared: expected 0, found 1",
    "UPDATE jobs_job SET borrows = 2": "borrows: expected 0, found 2",
    "UPDATE jobs_record SET source_job_id = job_id, source_n = 2 WHERE n = 1": "accepted attempts of "
    "record 1: expected 0, found 1",
    "UPDATE jobs_costrollup SET reused = 3 WHERE job_id > 0": "of all days, reused: expected 3, found 0",
    "UPDATE jobs_record SET output = NULL WHERE n = 1": "succeeded records without a result",
    "UPDATE jobs_record SET output = 'x' WHERE n = 2": "results of records that have none",
    "UPDATE jobs_record SET output = 'x' WHERE n = 4": "results of open records that no replay keeps",
    "UPDATE jobs_record SET output = 'x', kept_from = 0 WHERE n = 4": "accepted attempts of record 4",
    "UPDATE jobs_record SET kept_from = 0 WHERE n = 4": "former results that are gone",
    "UPDATE jobs_record SET kept_from = 7 WHERE n = 1": "replay behind the result of record 1: "
    "expected 0, found 7",
    "UPDATE jobs_record SET failure_class = NULL WHERE n = 2": "failed records without",
    "UPDATE jobs_record SET lease = NULL WHERE n = 4": "running records without a lease",
    "UPDATE jobs_record SET lease = 'x' WHERE n = 4": "lease of record 4: expected a lease that",
    "UPDATE jobs_record SET lease = 'x' WHERE n = 6": "leases on records that do not run",
    "UPDATE jobs_record SET reserved = 1 WHERE n = 6": "reservations of records that do not run",
    "UPDATE jobs_record SET cost = cost + 1 WHERE n = 1; "
    "UPDATE jobs_record SET cost = cost - 1 WHERE n = 2": "cost of record 1: expected",
    "UPDATE jobs_record SET calls = 0 WHERE n = 3": "calls of record 3: expected 1, found 0",
    "DELETE FROM jobs_lease": "lease of record 4: expected a lease that names it",
    "DELETE FROM jobs_due": "due time of pending record 3: expected one, found none",
    "UPDATE jobs_due SET n = 5": "due time of pending record 3",
    "INSERT INTO jobs_due (job_id, n, not_before, reason) SELECT id, 1, created_at, 'retry' "
    "FROM jobs_job": "due time of record 1, which is not pending: expected none, found one",
    "UPDATE jobs_attempt SET outcome = 'accepted' WHERE n = 3; UPDATE jobs_attempt SET "
    "outcome = 'failed', waste = 'failed' WHERE n = 1; UPDATE jobs_job SET wasted_cost = cost; "
    "UPDATE jobs_costrollup SET wasted_cost = cost, failed_cost = cost": "accepted attempts of "
    "record 1: expected 1, found 0",
    "UPDATE jobs_attempt SET cost = cost + 1 WHERE n = 1": "valued at 150000/75000/150000/150000/"
    "600000: expected 9000000, found 9000001",
    "UPDATE jobs_attempt SET rates = '1/1/1/1/1' WHERE n = 1": "valued at 1/1/1/1/1: expected 15, found",
    "UPDATE jobs_attempt SET waste = '' WHERE n = 2": "waste by its causes: expected 4500000, found 0",
    "UPDATE jobs_attempt SET waste = 'late' WHERE n = 2": "failed_cost: expected 0, found 4500000",
    "UPDATE jobs_attempt SET cache_write_1h_tokens = 1 WHERE n = 1": "cache_write_1h_tokens: expected 1",
    "UPDATE jobs_job SET estimated_cost = 1": "estimated_cost: expected 0, found 1",
    "UPDATE jobs_costrollup SET retried_cost = 1 WHERE job_id > 0": "retried_cost: expected 0, found 1",
    "UPDATE jobs_costrollup SET cache_savings = 1 WHERE job_id > 0": "cache_savings: expected 0",
    "DELETE FROM jobs_attempt WHERE n = 3": "attempts: expected 2, found 3",
    "DELETE FROM jobs_costrollup WHERE job_id > 0": "calls: expected 3, found 0",
    "UPDATE jobs_costrollup SET accepted = 2 WHERE job_id > 0": "accepted: expected 1, found 2",
    "UPDATE jobs_costrollup SET team_id = 0 WHERE job_id > 0": "roll-up of sim-small on",
    "UPDATE jobs_costrollup SET calls = 9 WHERE job_id = 0": "job 0: roll-up of m on",
}


@pytest.fixture
def bench() -> Bench:
    made = Bench(8)
    made.claim(5)
    for failure in (None, FailureClass.REFUSAL, FailureClass.SERVER_ERROR):
        made.answer(failure)
    direct_call_open(
        actor=made.actor, purpose="test", connection=made.job.connection, model="m", highest=None
    )
    return made


@pytest.mark.parametrize("planted", PLANTED)
def test_it_names_what_is_wrong(bench: Bench, planted: str) -> None:
    seen = verify()
    assert (seen.difference, seen.jobs, seen.records, seen.attempts) == (None, 1, 8, 3)
    with connection.cursor() as cursor:
        for statement in planted.split("; "):
            cursor.execute(statement)
    assert PLANTED[planted] in str(verify().difference)


@pytest.mark.django_db(transaction=True)
def test_its_command_reads_only_and_says_the_first_difference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = Bench(2), Bench(3)
    call_command("verify")
    assert capsys.readouterr().out == "All is right: 2 jobs, 0 records, 0 attempts.\n"
    with pytest.raises(DatabaseError), snapshot():
        Job.objects.update(name="x")
    # Both are wrong; the first of them is said, and what is not asked for is not looked at.
    Job.objects.update(total=9)
    with pytest.raises(CommandError, match=f"^job {first.id}: pending: expected 9, found 2$"):
        call_command("verify")
    assert str(verify([second.id]).difference).startswith(f"job {second.id}: pending")
    Job.objects.filter(pk=first.id).update(total=2)
    assert verify([first.id]).difference is None


def test_it_sees_one_moment_of_jobs_of_any_number(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.engine.verify.CHUNK_JOBS", 2)
    last = [Bench(2) for _ in range(4)][-1]
    assert (verify().difference, verify().jobs) == (None, 5)
    Job.objects.filter(pk=last.id).update(status=JobStatus.COMPLETED)
    assert str(verify().difference) == f"job {last.id}: at its end, pending: expected 0, found 2"


def test_an_answer_that_comes_after_midnight_clears_the_doubt_of_the_day_it_was_booked_on() -> None:
    bench = Bench(1)
    bench.clock.at = datetime(2026, 11, 24, 23, 59, 50, tzinfo=UTC)
    (record,) = bench.claim()
    late: Settlement = bench.settlement(record, None)
    bench.wait(seconds=60)
    # Heard of once more, on the next day; the doubt is booked on that.
    bench.store.heartbeat("w", in_flight=1, detail={}, tokens=[record.lease])
    bench.crash()
    assert verify().difference is None
    bench.settle(late)
    assert verify().difference is None
    calls = CostRollup.objects.filter(calls__gt=0).values_list("day", "calls")
    assert list(calls) == [((bench.clock.at - timedelta(minutes=3)).date(), 1)]


def test_the_reconciler_puts_back_due_times_that_are_gone() -> None:
    bench = Bench(3)
    bench.claim(2)
    bench.answer(FailureClass.SERVER_ERROR, count=2)
    Due.objects.all().delete()
    sweep(bench.store)  # not yet: there is something else to claim
    assert not Due.objects.exists()
    bench.claim()
    bench.answer()
    assert "due time of pending record 1" in str(verify().difference)
    sweep(bench.store)
    assert verify().difference is None
    assert {record.n for record in bench.claim()} == {1, 2}


@pytest.mark.django_db(transaction=True)
def test_each_job_is_checked_once_after_its_end_and_says_what_differs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    right, wrong, open_still = (Bench(1) for _ in range(3))
    for bench in (right, wrong):
        bench.claim()
        bench.answer()
    Job.objects.filter(pk=wrong.id).update(wasted_cost=7)
    sweep(right.store)
    sweep(right.store)
    asked = [message.task["func"] for message in OrmQ.objects.all()]
    assert asked.count("jobs.engine.tasks.check_books") == 1
    assert check_finished(lambda: False) == 2
    said = "wasted_cost: expected 0, found 7"
    assert [bench.job.difference for bench in (right, wrong, open_still)] == ["", said, ""]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "the books of a job differ"
    ]
    assert check_finished(lambda: False) == 0
    # A replay ends it anew.
    Job.objects.filter(pk=wrong.id).update(wasted_cost=0)
    wrong.wait(minutes=1)
    wrong.replay(1, replayed="succeeded")
    wrong.apply_replays()
    wrong.claim()
    wrong.answer()
    assert check_finished(lambda: False) == 1
    assert wrong.job.difference == ""
