"""A job valued anew from a day on: lines that correct are added, and the lines themselves stay."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.control.revaluing import job_revalue, revalue_preview
from jobs.engine.reconcile import sweep
from jobs.engine.revaluing import revalue_chunk
from jobs.errors import Conflict, NotAllowed
from jobs.failures import FailureClass
from jobs.models import Attempt, AuditEvent, Correction, CostRollup, Job, Price, Revaluation, Role
from jobs.providers.types import Usage
from tests.engine.build import MODEL, check_invariants
from tests.engine.test_job_state_machine import Bench
from tests.engine.test_ledger_lines import CALL, rolled_up, told

pytestmark = pytest.mark.django_db

FIRST = date(2026, 11, 20)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """On the 20th two rows succeeded and one was refused; on the 21st one more succeeded, and one is in
    doubt."""
    made = Bench(5)
    made.clock.at = datetime(2026, 11, 20, 9, tzinfo=UTC)
    made.claim(3)
    made.settle(told(made), told(made), told(made, "", FailureClass.REFUSAL))
    made.clock.at = datetime(2026, 11, 21, 9, tzinfo=UTC)
    made.claim()
    estimated = Usage(input_tokens=10, output_tokens=5, estimated=True)
    made.settle(told(made, usage=estimated), told(made, "", FailureClass.TIMEOUT, None, None))
    made.clock.at = datetime(2026, 11, 24, 9, tzinfo=UTC)
    monkeypatch.setattr("jobs.control.revaluing.timezone.now", lambda: made.clock.at)
    return made


def set_price(bench: Bench, amount: int, since: str = "2026-11-01T00:00Z", **more: Any) -> Price:
    return Price.objects.create(
        team=bench.job.team, connection=bench.job.connection, model=MODEL, source="test",
        effective_from=since, input=amount, cached_input=amount, cache_write=amount,
        cache_write_1h=amount, output=amount, **more,
    )  # fmt: skip


def revalue(bench: Bench, day_from: date = FIRST) -> Revaluation:
    made = job_revalue(actor=bench.actor, job=bench.job, day_from=day_from)
    while revalue_chunk(bench.store.dialect, made.pk, bench.clock.at):
        pass
    made.refresh_from_db()
    return made


def test_it_adds_lines_that_correct_and_leaves_the_lines(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.engine.revaluing.CHUNK_LINES", 2)
    lines = list(Attempt.objects.order_by("n").values())
    before = {one.day: one.cost for one in CostRollup.objects.filter(job_id=bench.id)}
    set_price(bench, 1_000_000)
    assert check_invariants(bench.id).cost == 4 * CALL  # of itself it revalues nothing
    each = 15 * 1_000_000 - CALL
    seen = revalue_preview(actor=bench.actor, job=bench.job, day_from=FIRST)
    assert (seen.lines, seen.difference, seen.without_price, seen.whole) == (4, 4 * each, 0, True)
    assert not Correction.objects.exists()
    made = revalue(bench)
    assert (made.lines, made.difference) == (4, 4 * each)
    job = check_invariants(bench.id)
    assert (job.cost, job.wasted_cost, job.estimated_cost) == (
        4 * CALL + 4 * each,
        CALL + each,
        CALL + each,
    )
    assert list(Attempt.objects.order_by("n").values()) == lines
    after = {one.day: one.cost for one in CostRollup.objects.filter(job_id=bench.id)}
    assert after == {**before, date(2026, 11, 24): 4 * each}
    assert rolled_up(bench, "failed_cost") == (CALL + each,)
    assert bench.record(1).cost == CALL + each
    event = AuditEvent.objects.get(action="job.revalue")
    assert event.detail == {"day_from": "2026-11-20", "act": made.public_id}
    # Once more changes nothing; a later price, from a later day, only what was booked since.
    assert revalue(bench).lines == 0
    set_price(bench, 2_000_000, since="2026-11-21T00:00Z")
    again = revalue(bench, date(2026, 11, 21))
    assert (again.lines, again.difference) == (1, 15 * 1_000_000)
    assert check_invariants(bench.id).cost == 5 * 15_000_000


def test_calls_at_an_unknown_price_get_one() -> None:
    bench = Bench(2, priced=False)
    bench.claim()
    bench.settle(told(bench), told(bench, "", FailureClass.REFUSAL))
    assert (bench.job.unpriced_attempts, bench.job.cost) == (2, 0)
    today = bench.clock.at.date()
    assert revalue_preview(actor=bench.actor, job=bench.job, day_from=today).without_price == 2
    assert revalue(bench, today).without_price == 2
    set_price(bench, 1_000_000, since="2020-01-01T00:00Z")
    assert revalue(bench, today).lines == 2
    job = check_invariants(bench.id)
    assert (job.unpriced_attempts, job.cost, job.wasted_cost) == (0, 30_000_000, 15_000_000)
    assert revalue(bench, today).lines == 0


def test_what_a_replay_supersedes_is_wasted_with_its_corrections(bench: Bench) -> None:
    set_price(bench, 1_000_000)
    revalue(bench)
    bench.replay(1, replayed="succeeded")
    bench.apply_replays()
    bench.claim()  # and the row whose answer nobody saw
    bench.settle(told(bench), told(bench))
    job = check_invariants(bench.id)
    assert rolled_up(bench, "superseded_cost") == (15_000_000,)
    assert job.wasted_cost == 2 * 15_000_000
    assert revalue(bench).lines == 0
    set_price(bench, 2_000_000)
    revalue(bench)
    assert check_invariants(bench.id).wasted_cost == 4 * 15_000_000


def test_one_at_a_time_by_admins_alone_and_to_its_end_if_its_message_is_lost(bench: Bench) -> None:
    set_price(bench, 1_000_000)
    made = job_revalue(actor=bench.actor, job=bench.job, day_from=FIRST)
    with pytest.raises(Conflict):
        job_revalue(actor=bench.actor, job=bench.job, day_from=FIRST)
    lead = bench.actor.__class__(bench.actor.user, bench.job.team, Role.LEAD, False, "session")
    with pytest.raises(NotAllowed):
        job_revalue(actor=lead, job=bench.job, day_from=FIRST)
    for _ in range(3):
        sweep(bench.store)
    made.refresh_from_db()
    assert made.finished_at is not None
    assert made.lines == 4
    assert Job.objects.get(pk=bench.id).cost == 60_000_000


@pytest.mark.parametrize("column", ["cost", "wasted_cost", "estimated_cost", "cache_savings"])
def test_a_correction_that_was_tampered_with_is_found(bench: Bench, column: str) -> None:
    set_price(bench, 1_000_000)
    revalue(bench)
    line = Correction.objects.filter(waste="failed").get()
    Correction.objects.filter(pk=line.pk).update(**{column: getattr(line, column) + 1})
    with pytest.raises(AssertionError, match=f"{column}: expected"):
        check_invariants(bench.id)
