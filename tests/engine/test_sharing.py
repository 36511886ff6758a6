"""Rows that need no call of their own take the result of another: the simulator is the witness."""

from typing import Any
from unittest.mock import patch

import pytest
from django.db.models import Sum

from jobs.control.actions import job_cancel
from jobs.control.filters import RecordFilter
from jobs.control.replays import Overrides, replay_create
from jobs.engine.expanding import cancel_chunk
from jobs.engine.reconcile import sweep
from jobs.engine.replaying import replay_chunk
from jobs.engine.store import Store
from jobs.engine.twins import SAYS_SO, look, scan_of
from jobs.failures import FailureClass
from jobs.models import (
    Attempt,
    Borrowed,
    Connection,
    CostRollup,
    Due,
    Job,
    PromptTemplate,
    Record,
    RecordStatus,
    Scan,
    TemplateVersion,
)
from tests.engine.build import MODEL, SCHEMA, check_invariants, make_job
from tests.engine.drive import run_job
from tests.engine.test_job_state_machine import Bench
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def looked(job: Job) -> Job:
    """As a launch and the look after it leave the job."""
    store = Store()
    job.scan, job.scan_until = scan_of(job), store.clock.now() + SAYS_SO
    job.save()
    look(store, job.pk)
    job.refresh_from_db()
    assert job.scan == Scan.NONE
    return job


def rows_of(*texts: str) -> list[dict[str, str]]:
    return [{"id": f"{n}", "text": text} for n, text in enumerate(texts, 1)]


def again(job: Job, rows: list[dict[str, str]], **fields: Any) -> Job:
    """A job of the same team, template, connection and model over other rows."""
    fields = {"parameters": job.parameters, "model": job.model, "priced": False} | fields
    other = make_job(rows, team=job.team, **fields)
    other.connection = job.connection
    if "user" not in fields:
        other.template_version = job.template_version
    return other


def sources(job: Job) -> dict[int, tuple[int, int]]:
    found = Record.objects.filter(job_id=job.pk, source_job__isnull=False)
    return {n: (source, m) for n, source, m in found.values_list("n", "source_job_id", "source_n")}


def test_it_calls_once_for_rows_that_ask_the_same() -> None:
    rows = rows_of(*(f"parcel {n % 10}" for n in range(200)))
    with SimulatorProcess({"server_error": 0.1}, latency_ms=50) as simulator:
        job = looked(make_job(rows, url=simulator.url, max_attempts=10))
        assert Borrowed.objects.filter(job_id=job.pk).count() == job.borrows == 190
        job = run_job(job, claim_at_most=16)
        stats = simulator.stats()["models"][MODEL]
    check_invariants(job.pk)
    assert (job.status, job.succeeded, job.shared, job.reused) == ("completed", 200, 190, 0)
    assert job.attempts == stats["calls"]
    assert Attempt.objects.filter(job_id=job.pk, outcome="accepted").count() == 10
    # What is billed is what the provider answered, and the rest is known as saved.
    assert job.input_tokens == stats["input_tokens"]
    ledger = Attempt.objects.filter(job_id=job.pk).aggregate(cost=Sum("cost"))
    assert job.cost == ledger["cost"] > 0
    saved = CostRollup.objects.filter(job_id=job.pk).aggregate(saved=Sum("reuse_savings"))
    assert saved["saved"] == 19 * sum(
        Attempt.objects.filter(job_id=job.pk, outcome="accepted").values_list("cost", flat=True)
    )
    outputs = dict(Record.objects.filter(job_id=job.pk).values_list("n", "output"))
    assert all(outputs[n] == outputs[(n - 1) % 10 + 1] for n in outputs)
    assert sources(job) == {n: (job.pk, (n - 1) % 10 + 1) for n in range(11, 201)}
    assert not Due.objects.exists()
    assert not Borrowed.objects.exists()


def test_it_tells_rows_apart_by_all_that_the_template_takes_from_them() -> None:
    rows: list[dict[str, Any]] = [
        {"text": "a", "lang": "de", "id": 1},
        {"text": "a", "lang": "de", "id": 2},
        {"text": "a", "lang": None, "id": 3},
        {"text": "a", "id": 4},
        {"text": "a", "lang": 1, "id": 5},
        {"text": "a", "lang": 1.0, "id": 6},
    ]
    hidden = "{{ text }}{% if lang is defined %} in {{ lang }}{% endif %}"
    all_but_one = [2, 3, 4, 5, 6]
    for user, twins in (
        *((hidden, [2]), ("{{ row | tojson }}", []), ("{{ row.text }}", [])),
        *(('{{ row["text"] }}', all_but_one), ("{{ text }}", all_but_one)),
    ):
        job = looked(make_job(rows, user=user))
        found = Borrowed.objects.filter(job_id=job.pk).order_by("n")
        assert list(found.values_list("n", "from_n")) == [(n, 1) for n in twins], user
        assert make_job(rows, share_duplicates=False).scan == Scan.NONE


def test_a_row_is_called_for_where_its_twin_brought_nothing() -> None:
    bench = Bench(rows_of("a", "a", "b", "a"))
    looked(bench.job)
    assert [record.n for record in bench.claim()] == [1, 3]
    assert bench.claim() == []
    # They wait by rights: there is nothing to mend.
    sweep(bench.store)
    assert [due.reason for due in Due.objects.all()] == ["twin", "twin"]
    bench.answer(FailureClass.REFUSAL)
    assert [record.n for record in bench.claim()] == [2, 4]
    bench.answer(None, count=3)
    check_invariants(bench.id)
    assert (bench.job.status, bench.job.shared) == ("completed_with_failures", 0)


def test_a_row_takes_what_a_replay_that_came_to_nothing_left_and_nothing_newer() -> None:
    bench = Bench(rows_of("a", "b", "a", "b"))
    looked(bench.job)
    bench.claim(2)
    bench.answer()
    bench.answer()
    chosen = RecordFilter(replayed="succeeded")
    replay_create(actor=bench.actor, job=bench.job, key="", chosen=chosen, overrides=Overrides())
    while replay_chunk(bench.store.dialect, bench.job.replays.get().pk, bench.clock.at):
        pass
    assert [record.n for record in bench.claim(2)] == [1, 2]
    bench.answer(FailureClass.REFUSAL)  # row 1 keeps its first result
    bench.answer()  # row 2 has another one
    assert [record.n for record in bench.claim()] == [4]
    bench.answer()
    check_invariants(bench.id)
    assert sources(bench.job) == {3: (bench.id, 1)}


def test_rows_that_wait_outlive_their_worker_and_a_crowd_is_woken_by_and_by() -> None:
    bench = Bench(rows_of(*["a"] * 40))
    looked(bench.job)
    assert [record.n for record in bench.claim(10)] == [1]
    assert bench.claim(10) == []
    bench.crash()
    check_invariants(bench.id)
    with patch("jobs.engine.borrowing.WAKE_AT_ONCE", 7):
        assert [record.n for record in bench.claim(10)] == [1]
        bench.answer()
        check_invariants(bench.id)
        assert bench.claim(10) == []
    check_invariants(bench.id)
    assert (bench.job.status, bench.job.shared) == ("completed", 39)
    assert bench.job.started_at is not None


def test_a_cancelled_job_shares_nothing_and_leaves_nothing() -> None:
    bench = Bench(rows_of("a", "a", "b", "b"))
    looked(bench.job)
    bench.claim(2)
    job_cancel(actor=bench.actor, job=bench.job)
    while cancel_chunk(bench.store.dialect, bench.id, bench.clock.at):
        pass
    bench.answer()
    sweep(bench.store)
    check_invariants(bench.id)
    assert (bench.job.status, bench.job.shared, bench.job.borrows) == ("cancelled", 0, 0)
    assert not Borrowed.objects.exists()


def test_claims_wait_for_a_look_only_while_somebody_looks() -> None:
    bench = Bench(rows_of("a", "a"))
    Job.objects.filter(pk=bench.id).update(scan=Scan.FIRST, scan_until=bench.clock.at + SAYS_SO)
    assert bench.claim() == []
    bench.wait(seconds=16)
    sweep(bench.store)  # the look has died: another one, beside the claims
    assert bench.job.scan == Scan.BESIDE
    assert [record.n for record in bench.claim(1)] == [1]
    look(bench.store, bench.id)
    assert bench.claim() == []
    bench.answer()
    assert bench.claim() == []
    assert (bench.job.status, bench.job.shared) == ("completed", 1)


def test_an_answer_of_an_earlier_job_is_taken_and_not_billed() -> None:
    with SimulatorProcess() as simulator:
        first = run_job(make_job(rows_of("a", "b", "c"), url=simulator.url))
        before = simulator.stats()["models"][MODEL]
        assert before["calls"] == 3
        job = run_job(looked(again(first, rows_of("c", "d", "a", "c", "d"), reuse=True)))
        stats = simulator.stats()["models"][MODEL]
    check_invariants(job.pk)
    assert stats["calls"] == 4
    assert (job.status, job.attempts, job.reused, job.shared) == ("completed", 1, 2, 2)
    assert sources(job) == {
        1: (first.pk, 3), 3: (first.pk, 1), 4: (job.pk, 1), 5: (job.pk, 2),
    }  # fmt: skip
    attempt = Attempt.objects.get(job_id=job.pk)
    assert job.cost == attempt.cost == Record.objects.get(job_id=job.pk, n=2).cost
    assert job.input_tokens == stats["input_tokens"] - before["input_tokens"]
    rollup = CostRollup.objects.get(job_id=job.pk)
    costs = dict(Attempt.objects.filter(job_id=first.pk).values_list("n", "cost"))
    assert (rollup.calls, rollup.cost, rollup.shared, rollup.reused) == (1, job.cost, 2, 2)
    assert rollup.reuse_savings == 2 * costs[3] + costs[1] + attempt.cost
    # What took a result has none to give, and the newest that asked has.
    third = looked(again(first, rows_of("a", "d"), reuse=True))
    found = Borrowed.objects.filter(job_id=third.pk).order_by("n")
    assert list(found.values_list("from_job_id", "from_n")) == [(first.pk, 1), (job.pk, 2)]


@pytest.mark.parametrize(
    "change",
    ["another team", "parameters", "model", "schema", "system", "address", "replayed", "rule"],
)
def test_an_answer_to_another_request_is_not_taken(change: str) -> None:
    bench = Bench(rows_of("a"))
    bench.claim()
    bench.answer()
    first = bench.job
    fields: dict[str, Any] = {"reuse": True}
    if change == "parameters":
        fields["parameters"] = {"max_tokens": 201}
    if change == "model":
        fields["model"] = "sim-large"
    job = again(first, rows_of("a"), **fields)
    version = first.template_version
    told = {"system": version.system, "user": version.user, "output_schema": SCHEMA}
    if change == "schema":
        told["output_schema"] = SCHEMA | {"required": ["score", "label"]}
    if change == "system":
        told["system"] = "Sort them."
    if change == "rule":
        told["rules"] = [{"field": "label", "min_length": 2}]
    if change in ("schema", "system", "rule"):
        template = PromptTemplate.objects.create(team=job.team, name="other", latest_version=1)
        job.template_version = TemplateVersion.objects.create(template=template, version=1, **told)
    if change == "another team":
        job = make_job(rows_of("a"), reuse=True)
        Connection.objects.filter(pk=job.connection_id).update(base_url=first.connection.base_url)
    if change == "address":
        job.connection = Connection.objects.create(
            team=job.team, name="c", kind="simulator", base_url="http://127.0.0.1:8"
        )
    job = looked(job)
    if change == "replayed":
        chosen = RecordFilter(replayed="succeeded")
        replay_create(actor=bench.actor, job=first, key="", chosen=chosen, overrides=Overrides())
        replay_chunk(bench.store.dialect, first.replays.get().pk, bench.clock.at)
        bench.claim()
        bench.answer()
    assert job.borrows == (change in ("replayed", "rule"))
    bench.id = job.pk
    assert [record.n for record in bench.claim()] == [1]
    bench.answer(FailureClass.REFUSAL)
    check_invariants(job.pk)
    assert (bench.job.reused, bench.job.borrows) == (0, 0)


def test_the_replay_of_a_row_that_took_a_result_makes_a_call_of_its_own() -> None:
    bench = Bench(rows_of("a", "a"))
    looked(bench.job)
    bench.claim(1)
    bench.answer()
    assert bench.claim() == []
    chosen = RecordFilter(replayed="succeeded", rows=(2,))
    replay_create(actor=bench.actor, job=bench.job, key="", chosen=chosen, overrides=Overrides())
    replay_chunk(bench.store.dialect, bench.job.replays.get().pk, bench.clock.at)
    check_invariants(bench.id)
    assert [record.n for record in bench.claim()] == [2]
    check_invariants(bench.id)
    bench.answer()
    check_invariants(bench.id)
    assert (bench.job.shared, sources(bench.job)) == (1, {})
    assert Record.objects.get(job_id=bench.id, n=2).status == RecordStatus.SUCCEEDED
