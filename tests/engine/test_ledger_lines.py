"""What stands on a line of the ledger: its tokens by meter, the prices it was valued with, why it
brought nothing; and that the roll-ups and the job say the same to the last digit.

In-process and by real claims and settlements; what the provider says is made up here.
"""

import random

import pytest
from django.db.models import Sum

from jobs.engine.reconcile import sweep
from jobs.engine.records import Settlement
from jobs.failures import FailureClass
from jobs.models import Attempt, CostRollup, Job, KeepAnswers, Price, Team
from jobs.providers.types import HttpRequest, HttpResponse, Outcome, Usage
from tests.engine.build import INPUT_PRICE, MODEL, OUTPUT_PRICE, check_invariants
from tests.engine.test_job_state_machine import Bench

pytestmark = pytest.mark.django_db

CALL = 10 * INPUT_PRICE + 5 * OUTPUT_PRICE
USED = Usage(input_tokens=10, output_tokens=5)
RIGHT, WRONG = '{"label": "a", "score": 1}', '{"label": 7}'


def told(
    bench: Bench,
    text: str = RIGHT,
    failure: FailureClass | None = None,
    usage: Usage | None = USED,
    charged: bool | None = True,
) -> Settlement:
    """What the provider says to the first call in flight."""
    record = bench.held.pop(0)
    outcome = Outcome(failure=failure, text=text, usage=usage, charged=charged, http_status=200)
    return bench.plan(record).settlement_of(
        record, HttpRequest("POST", "http://x", {}, b"{}"), HttpResponse(200, {}, b"{}"), outcome,
        started_at=bench.clock.at, waited_ms=0, took_ms=1, cooldown=0.0, now=bench.clock.at,
        rng=random.Random(1),
    )  # fmt: skip


def rolled_up(bench: Bench, *names: str) -> tuple[int, ...]:
    found = CostRollup.objects.filter(job_id=bench.id).aggregate(**{n: Sum(n) for n in names})
    return tuple(found[name] for name in names)


def set_price(bench: Bench, **prices: int) -> None:
    Price.objects.create(
        team=bench.job.team, connection=bench.job.connection, model=MODEL, source="test",
        effective_from="2021-01-01T00:00Z", **prices,
    )  # fmt: skip


def test_it_keeps_each_meter_and_the_prices_it_was_valued_with() -> None:
    bench = Bench(1)
    set_price(
        bench, input=3_000_000, cached_input=300_000, cache_write=3_750_000,
        cache_write_1h=6_000_000, output=15_000_000,
    )  # fmt: skip
    bench.claim()
    used = Usage(
        input_tokens=1000, cached_input_tokens=600, cache_write_tokens=200,
        cache_write_1h_tokens=100, output_tokens=50, reasoning_tokens=30,
    )  # fmt: skip
    bench.settle(told(bench, usage=used))
    line = Attempt.objects.get()
    assert line.rates == "3000000/300000/3750000/6000000/15000000"
    assert (line.cache_write_tokens, line.cache_write_1h_tokens) == (200, 100)
    # 100 plain, 600 read, 200 and 100 written, 50 answered: the reasoning is part of these.
    cost = 100 * 3_000_000 + 600 * 300_000 + 200 * 3_750_000 + 100 * 6_000_000 + 50 * 15_000_000
    assert line.cost == cost == check_invariants(bench.id).cost
    saved = 600 * 2_700_000 - 200 * 750_000 - 100 * 3_000_000
    assert rolled_up(bench, "cache_savings", "cache_write_tokens", "cache_write_1h_tokens") == (
        saved, 200, 100,
    )  # fmt: skip


def test_each_waste_has_its_cause_and_the_causes_add_up() -> None:
    bench = Bench(5, max_attempts=3, max_repairs=1)
    bench.claim()
    late = told(bench)
    bench.crash()
    bench.settle(late)
    assert rolled_up(bench, "wasted_cost", "late_cost") == (CALL, CALL)
    bench.claim()
    bench.settle(
        told(bench, "", FailureClass.REFUSAL),
        told(bench, ""),  # nothing to show to the model: simply tried again
        told(bench, WRONG),
        told(bench),
        told(bench),
    )
    bench.wait(minutes=1)
    bench.claim()
    bench.settle(told(bench, WRONG), told(bench, WRONG))  # the second attempts of two of them
    bench.wait(minutes=1)
    bench.claim()
    bench.settle(told(bench, WRONG), told(bench, WRONG))  # and the last
    lines = Attempt.objects.filter(job_id=bench.id).exclude(waste="").order_by("n", "number")
    assert sorted(lines.values_list("waste", flat=True)) == sorted(
        ["late", "failed", "retried", "repaired", "retried", "retried", "failed", "failed"]
    )
    sums = rolled_up(
        bench, "wasted_cost", "failed_cost", "retried_cost", "repaired_cost", "late_cost"
    )
    assert sums == (8 * CALL, 3 * CALL, 3 * CALL, CALL, CALL)
    bench.replay(4, replayed="succeeded")
    bench.apply_replays()
    bench.claim()
    bench.settle(told(bench))
    assert rolled_up(bench, "superseded_cost", "wasted_cost") == (CALL, 9 * CALL)
    assert check_invariants(bench.id).wasted_cost == 9 * CALL


def test_an_answer_that_was_not_charged_is_no_waste() -> None:
    bench = Bench(1)
    bench.claim()
    bench.settle(told(bench, "", FailureClass.SERVER_ERROR, None, charged=False))
    line = Attempt.objects.get()
    assert (line.cost, line.waste, line.rates) == (0, "", "")
    assert check_invariants(bench.id).wasted_cost == 0


def test_what_the_provider_did_not_count_is_marked_up_to_the_totals() -> None:
    bench = Bench(2)
    bench.claim()
    bench.settle(told(bench), told(bench, usage=Usage(output_tokens=7, estimated=True)))
    line = Attempt.objects.get(usage_estimated=True)
    assert line.input_tokens > 0
    assert line.cost == line.input_tokens * INPUT_PRICE + 7 * OUTPUT_PRICE
    job = check_invariants(bench.id)
    assert (job.estimated_attempts, job.estimated_cost) == (1, line.cost)
    assert rolled_up(bench, "estimated_calls", "estimated_cost") == (1, line.cost)
    assert job.cost == line.cost + CALL


@pytest.mark.parametrize("price", ["known", "free", "unknown"])
def test_a_doubt_costs_the_most_it_can_and_nothing_only_where_calls_are_free(price: str) -> None:
    bench = Bench(2)
    if price == "free":
        set_price(bench, input=0, cached_input=0, cache_write=0, cache_write_1h=0, output=0)
    if price == "unknown":
        Price.objects.filter(model=MODEL).delete()
    bench.claim()
    asked = [f"{record.lease}-{record.n}-{record.number}" for record in bench.held]
    bench.settle(told(bench, "", FailureClass.TIMEOUT, None, charged=None))
    bench.crash()
    lines = list(Attempt.objects.filter(job_id=bench.id).order_by("n"))
    assert [line.outcome for line in lines] == ["in_doubt"] * 2
    assert [line.provider_request_id for line in lines] == asked  # by which they are found again
    costs = {line.cost for line in lines}
    job = check_invariants(bench.id)
    if price == "known":
        assert min(cost or 0 for cost in costs) > 200 * OUTPUT_PRICE
    else:
        assert costs == {0 if price == "free" else None}
    assert job.unpriced_attempts == (2 if price == "unknown" else 0)
    assert job.cost == 0


def test_the_call_that_asks_whether_a_provider_is_back_says_so() -> None:
    bench = Bench(3)
    bench.claim(1)
    bench.give_back()
    Job.objects.filter(pk=bench.id).update(status="paused", status_reason="provider_down")
    bench.wait(minutes=2)
    sweep(bench.store)
    assert len(bench.claim()) == 1
    bench.settle(told(bench))
    bench.claim()
    bench.settle(told(bench), told(bench))
    assert sorted(Attempt.objects.values_list("purpose", flat=True)) == ["first", "first", "probe"]


def test_nothing_is_shown_to_the_model_that_was_not_kept() -> None:
    bench = Bench(1, max_repairs=1)
    Team.objects.update(keep_answers=KeepAnswers.NONE)
    bench.claim()
    bench.settle(told(bench, WRONG))
    assert Attempt.objects.get().waste == "retried"
