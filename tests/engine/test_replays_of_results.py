"""Records that succeeded, chosen and sent again: their result stays until a replay's is accepted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from jobs.control.export import results_stream
from jobs.control.replays import replay_progress
from jobs.engine.replaying import replay_chunk
from jobs.failures import FailureClass
from jobs.models import Attempt, CostRollup, Job, JobStatus, RecordStatus, Replay, RowEdit
from tests.engine.build import INPUT_PRICE, OUTPUT_PRICE, check_invariants
from tests.engine.test_job_state_machine import Bench

pytestmark = pytest.mark.django_db

CALL = 10 * INPUT_PRICE + 5 * OUTPUT_PRICE


@pytest.fixture
def bench() -> Bench:
    """Both rows succeeded, shortly before midnight."""
    made = Bench(2)
    made.clock.at = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
    made.claim()
    made.answer(count=2)
    assert made.job.state is JobStatus.COMPLETED
    made.wait(minutes=2)
    return made


def send(bench: Bench, *rows: int, replayed: str = "all") -> Replay:
    replay = bench.replay(*rows, replayed=replayed)
    bench.apply_replays()
    replay.refresh_from_db()
    return replay


def line(bench: Bench, n: int = 1) -> dict[str, object]:
    """The row in a download."""
    lines = b"".join(results_stream(bench.job, "jsonl", "succeeded")).splitlines()
    found: dict[str, object] = orjson.loads(lines[n - 1])
    return {name: value for name, value in found.items() if name not in ("_cost", "_attempts")}


def parked(bench: Bench) -> None:
    for _ in range(3):
        bench.claim()
        bench.crash()


def cancelled(bench: Bench) -> None:
    bench.cancel()
    bench.cancel_rest()


def cancelled_in_flight(bench: Bench) -> None:
    bench.claim()
    bench.cancel()
    bench.answer(FailureClass.REFUSAL)


def refused(bench: Bench) -> None:
    bench.claim()
    bench.answer(FailureClass.REFUSAL)


def unrendered(bench: Bench) -> None:
    """Fails without a call."""
    bench.job.template_version.__class__.objects.update(user="{{ absent }}")
    bench.claim()
    records, bench.held = bench.held, []
    for record in records:
        assert record.fault
        bench.settle(bench.plan(record).unrendered(record))


ENDS: dict[str, Callable[[Bench], None]] = {
    end.__name__: end for end in (refused, unrendered, parked, cancelled, cancelled_in_flight)
}


@pytest.mark.parametrize("end", ENDS)
def test_the_former_result_stays_when_the_replay_brings_none(bench: Bench, end: str) -> None:
    before, job = line(bench), bench.job
    replay = send(bench, 1)
    record = bench.record()
    assert (record.status, record.tries, record.generation) == (RecordStatus.PENDING, 0, 1)
    assert (bench.job.pending, bench.job.succeeded) == (1, 1)
    assert line(bench) == before  # also while it runs
    ENDS[end](bench)
    after = check_invariants(bench.id)
    assert (after.state, after.succeeded, after.failed, after.cancelled) == (
        JobStatus.COMPLETED, 2, 0, 0,
    )  # fmt: skip
    assert line(bench) == before
    assert bench.record().message  # why it brought none
    progress = replay_progress(replay)
    assert (progress.sent, progress.succeeded, progress.kept, progress.failed) == (1, 0, 1, 0)
    outcomes = Attempt.objects.filter(job_id=bench.id, n=1).order_by("number")
    assert outcomes.values_list("outcome", flat=True)[0] == "accepted"
    assert after.attempts - job.attempts == len(outcomes) - 1 == {
        "refused": 1, "unrendered": 0, "parked": 3, "cancelled": 0, "cancelled_in_flight": 1,
    }[end]  # fmt: skip


@pytest.mark.parametrize(
    "failure", [FailureClass.SERVER_ERROR, FailureClass.RATE_LIMITED, FailureClass.TIMEOUT], ids=str
)
def test_it_is_tried_again_as_any_other_and_stays_meanwhile(
    bench: Bench, failure: FailureClass
) -> None:
    before = line(bench)
    send(bench, 1)
    bench.claim()
    bench.answer(failure)
    assert bench.record().status == RecordStatus.PENDING
    assert line(bench) == before
    bench.wait(minutes=2)
    bench.claim()
    bench.give_back()
    assert line(bench) == before
    assert check_invariants(bench.id).pending == 1


def test_an_accepted_answer_takes_its_place_and_the_former_call_is_waste(bench: Bench) -> None:
    replay = send(bench, 1)
    first_day, today = (bench.clock.at - timedelta(days=1)).date(), bench.clock.at.date()
    bench.claim()
    bench.answer()
    job = check_invariants(bench.id)
    assert job.state is JobStatus.COMPLETED
    assert (job.cost, job.wasted_cost) == (3 * CALL, CALL)
    assert list(Attempt.objects.filter(job_id=bench.id, n=1).order_by("number").values_list(
        "purpose", "outcome", "cost"
    )) == [("first", "superseded", CALL), ("replay", "accepted", CALL)]  # fmt: skip
    # On the day on which it was made.
    rollups = CostRollup.objects.filter(job_id=bench.id).order_by("day")
    assert list(rollups.values_list("day", "calls", "accepted", "cost", "wasted_cost")) == [
        (first_day, 2, 1, 2 * CALL, CALL),
        (today, 1, 1, CALL, 0),
    ]
    found = line(bench)
    assert (found["_replay"], found["_finished_at"]) == (
        replay.public_id, bench.clock.at.isoformat().replace("+00:00", "Z"),
    )  # fmt: skip
    assert replay_progress(replay).succeeded == 1


def test_a_second_replay_keeps_the_first_result_and_takes_the_record_over(bench: Bench) -> None:
    before = line(bench)
    first = send(bench, 1)
    refused(bench)
    second = send(bench, 1)
    refused(bench)
    assert line(bench) == before
    assert (replay_progress(first).kept, replay_progress(second).kept) == (0, 1)
    third = send(bench, 1)
    bench.claim()
    bench.answer()
    assert line(bench)["_replay"] == third.public_id
    # What a replay brought is kept by the next as well.
    before = line(bench)
    send(bench, 1)
    refused(bench)
    assert line(bench) == before
    assert check_invariants(bench.id).wasted_cost == 4 * CALL  # three refusals, one superseded


def test_an_edited_row_stands_beside_its_own_result_only(bench: Bench) -> None:
    before = line(bench)
    replay = bench.replay(1, replayed="all")
    RowEdit.objects.create(job=bench.job, n=1, replay=replay, data='{"text": "edited"}')
    bench.apply_replays()
    (record,) = bench.claim()
    assert record.values == {"text": "edited"}
    bench.answer(FailureClass.REFUSAL)
    assert line(bench) == before
    send(bench, 1)
    bench.claim()
    bench.answer()
    assert line(bench)["text"] == "edited"


def test_a_late_answer_takes_no_place(bench: Bench) -> None:
    before = line(bench)
    send(bench, 1)
    bench.claim()
    (lost,) = bench.crash()
    late = bench.settlement(lost, None)
    bench.settle(late)
    assert line(bench) == before
    bench.claim()
    bench.answer()
    bench.settle(late)
    bench.settle(late)
    outcomes = Attempt.objects.filter(job_id=bench.id, n=1).order_by("number")
    assert list(outcomes.values_list("outcome", flat=True)) == ["superseded", "late", "accepted"]
    assert check_invariants(bench.id).wasted_cost == 2 * CALL


def test_nothing_that_succeeded_is_sent_unless_that_was_said(bench: Bench) -> None:
    bench = Bench(3)
    bench.claim()
    bench.answer()
    bench.answer(FailureClass.REFUSAL, count=2)
    assert send(bench, 1, 2, replayed="failed").sent == 1
    assert bench.record(1).status == RecordStatus.SUCCEEDED
    assert send(bench, replayed="all").sent == 2  # row 2 is on its way already
    assert check_invariants(bench.id).pending == 3


def test_what_succeeds_after_it_was_asked_for_is_none_of_it(bench: Bench) -> None:
    bench = Bench(4)
    bench.claim()
    bench.answer(count=2)
    replay = bench.replay(replayed="succeeded")
    bench.answer(count=2)
    bench.apply_replays()
    replay.refresh_from_db()
    assert (replay.asked, replay.sent) == (2, 2)
    assert replay_chunk(bench.store.dialect, replay.pk, bench.clock.at) is False
    assert check_invariants(bench.id).succeeded == 2


def test_a_replay_that_brings_nothing_pauses_before_all_is_spent() -> None:
    """They have not failed, but to send the rest would be as pointless."""
    bench = Bench(60, tolerated_failure_rate=0.3)
    bench.claim()
    bench.answer(count=60)
    send(bench, replayed="succeeded")
    bench.claim()
    bench.answer(FailureClass.REFUSAL, count=20)
    job = check_invariants(bench.id)
    assert (job.state, job.status_reason, job.failed) == (JobStatus.PAUSED, "failure_rate", 0)
    assert "Of the 20 rows settled since the job was replayed" in job.status_detail
    assert "20 failed (20 of them keep a former result)" in job.status_detail
    bench.resume()
    bench.answer(count=40)
    job = check_invariants(bench.id)
    assert (job.state, job.succeeded) == (JobStatus.COMPLETED, 60)
    assert Job.objects.get(pk=job.pk).wasted_cost == 60 * CALL  # 20 refusals, 40 superseded
