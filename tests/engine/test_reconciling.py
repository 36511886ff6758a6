"""Calls in doubt settled by the provider's own account of its calls."""

import io
from datetime import UTC, datetime, timedelta

import pytest

from jobs.control.reconciling import reconciliation_apply, reconciliation_read
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.failures import FailureClass
from jobs.models import Attempt, AuditEvent, Correction, Reconciliation, Role
from tests.engine.build import INPUT_PRICE, OUTPUT_PRICE, check_invariants
from tests.engine.test_job_state_machine import Bench
from tests.engine.test_ledger_lines import CALL, told

pytestmark = pytest.mark.django_db

HEAD = "Request_ID,model,input_tokens,cached_input_tokens,output_tokens,cost\n"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def bench() -> Bench:
    """Row 1 succeeded; of 2 to 5 nobody saw the outcome: one timed out, the worker of the rest died."""
    made = Bench(5)
    made.clock.at = NOON
    made.claim()
    made.settle(told(made), told(made, "", FailureClass.TIMEOUT, None, None))
    made.crash()
    return made


def read(bench: Bench, text: str, *, whole: bool = False) -> Reconciliation:
    return reconciliation_read(
        actor=bench.actor, connection=bench.job.connection, file=io.BytesIO(text.encode()),
        name="usage.csv", size=len(text),
        covers_from=NOON - timedelta(hours=1) if whole else None,
        covers_to=NOON + timedelta(hours=1) if whole else None,
    )  # fmt: skip


def asked(bench: Bench, n: int) -> str:
    return Attempt.objects.get(job_id=bench.id, n=n).provider_request_id


def test_what_the_provider_counted_takes_the_place_of_the_doubt(bench: Bench) -> None:
    before = bench.job
    lines = list(Attempt.objects.order_by("n").values())
    made = read(
        bench,
        f"{HEAD}{asked(bench, 2)},m,100,40,7,\n{asked(bench, 3)},m,,,,0.000001234567\nnobody,m,1,0,1,\n",
        whole=True,
    )
    assert (made.lines, len(made.found), len(made.absent), made.bad_lines) == (3, 2, 2, 0)
    assert bench.job.in_doubt_attempts == 4  # nothing is settled yet
    made = reconciliation_apply(actor=bench.actor, reconciliation=made)
    cost = 60 * INPUT_PRICE + 40 * 75_000 + 7 * OUTPUT_PRICE + 1_234_567
    assert (made.settled, made.cost, made.doubt) == (4, cost, before.in_doubt_cost)
    job = check_invariants(bench.id)
    assert (job.in_doubt_attempts, job.in_doubt_cost, job.unpriced_attempts) == (0, 0, 0)
    assert (job.cost, job.wasted_cost) == (CALL + cost, cost)
    assert (job.input_tokens, job.cached_input_tokens) == (110, 40)
    assert bench.record(3).cost == 1_234_567
    assert list(Attempt.objects.order_by("n").values()) == lines
    assert {one.kind for one in Correction.objects.all()} == {"reconciled"}
    assert "line 3" in Correction.objects.get(n=3).note
    assert AuditEvent.objects.get(action="ledger.reconcile").detail["settled"] == 4
    # The same file again, and the answer that turns up after all, change nothing.
    with pytest.raises(Conflict):
        reconciliation_apply(actor=bench.actor, reconciliation=made)
    again = read(bench, f"{HEAD}{lines[1]['provider_request_id']},m,100,40,7,\n", whole=True)
    assert (len(again.found), len(again.absent)) == (0, 0)
    assert check_invariants(bench.id).cost == CALL + cost


def test_an_answer_after_the_account_is_not_counted_twice(bench: Bench) -> None:
    bench.claim(1)
    (lost,) = bench.held
    late = told(bench)
    bench.held = [lost]
    bench.crash()
    last = Attempt.objects.get(n=lost.n, number=lost.number)
    made = read(bench, f"{HEAD}{last.provider_request_id},m,10,0,5,\n")
    reconciliation_apply(actor=bench.actor, reconciliation=made)
    cost = check_invariants(bench.id).cost
    bench.settle(late)
    assert check_invariants(bench.id).cost == cost == 2 * CALL


def test_without_its_time_or_with_unreadable_lines_nothing_is_taken_for_uncounted(
    bench: Bench,
) -> None:
    assert read(bench, f"{HEAD}x,m,1,0,1,\n").absent == []
    first = asked(bench, 2)
    made = read(
        bench,
        f"{HEAD}{first},m,1,0,1,\n{first},m,1,0,1,\n,m,1,0,1,\ny,m,-1,0,1,\nz,m,1,2,1,\nw,m,,,,\n"
        "v,m,1,0,1,NaN\n",
        whole=True,
    )
    assert made.bad == [
        [3, "The same request as in line 2"],
        [4, "No request_id"],
        [5, "Not a number of tokens: -1"],
        [6, "More tokens cached than came in"],
        [7, "Neither tokens nor a cost"],
        [8, "Not a cost in USD with at most 12 decimals: NaN"],
    ]
    assert (len(made.found), made.absent) == (1, [])
    with pytest.raises(Invalid, match="request_id"):
        read(bench, "id,tokens\n1,2\n")
    with pytest.raises(Invalid, match="UTF-8"):
        reconciliation_read(
            actor=bench.actor,
            connection=bench.job.connection,
            file=io.BytesIO(b"request_id,cost\n\xff,1"),
            name="x",
            size=1,
        )
    lead = bench.actor.__class__(bench.actor.user, bench.job.team, Role.LEAD, False, "session")
    with pytest.raises(NotAllowed):
        reconciliation_apply(actor=lead, reconciliation=made)


def test_a_call_at_an_unknown_price_stays_unpriced_until_it_is_known() -> None:
    bench = Bench(1, priced=False)
    bench.claim()
    bench.crash()
    made = read(bench, f"{HEAD}{asked(bench, 1)},m,100,0,7,\n")
    reconciliation_apply(actor=bench.actor, reconciliation=made)
    job = check_invariants(bench.id)
    assert (job.in_doubt_attempts, job.unpriced_attempts, job.input_tokens) == (0, 1, 100)
