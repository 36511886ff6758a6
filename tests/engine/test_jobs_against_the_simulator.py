"""Whole jobs, in-process, against the simulator over real HTTP."""

from typing import Any

import pytest
from django.db.models import Count, Sum

from jobs.control.actions import job_resume
from jobs.control.filters import RecordFilter
from jobs.control.replays import Overrides, replay_create
from jobs.engine.replaying import replay_chunk
from jobs.engine.store import Store
from jobs.failures import FailureClass
from jobs.models import Attempt, Due, Job, Lease, Record, RecordStatus
from tests.cast import Cast, cast  # noqa: F401
from tests.engine.build import MODEL, check_invariants, make_job, texts
from tests.engine.drive import run_job
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

# Every way a call can end, each befalling 1 to 6 of a hundred.
EVERY_FAULT: dict[str, Any] = {
    "rate_limited": {"share": 0.01, "retry_after": "zero"},
    "overloaded": 0.01,
    "server_error": 0.06,
    "connection": 0.01,
    "reset_mid_body": 0.01,
    "timeout": 0.01,
    "invalid_request": 0.01,
    "context_length": 0.01,
    "content_filter": 0.02,
    "refusal": 0.02,
    "truncated": 0.02,
    "empty_output": 0.02,
    "invalid_json": 0.04,
    "schema_violation": 0.04,
    "html_200": 0.01,
    "error_in_200": 0.01,
    "empty_body": 0.01,
    "half_body": 0.01,
    "usage_missing": 0.02,
    "usage_string": 0.01,
    "nul_output": 0.01,
}


def by_class(job: Job) -> dict[str, int]:
    found = Record.objects.filter(job_id=job.pk, failure_class__isnull=False)
    return dict(found.values_list("failure_class").annotate(n=Count("n")))


def test_it_accounts_for_every_row_and_token_whatever_fails() -> None:
    from jobs.simulator.faults import KINDS

    faults = {name: share for name, share in EVERY_FAULT.items() if name in KINDS}
    assert len(faults) == len(EVERY_FAULT)
    with SimulatorProcess(faults, seed=11) as simulator:
        job = make_job(3_000, url=simulator.url, parameters={"max_tokens": 200, "timeout": 3.0})
        job = run_job(job)
        stats = simulator.stats()["models"][MODEL]
    check_invariants(job.pk)
    assert job.status == "completed_with_failures"
    assert job.succeeded + job.failed == 3_000
    assert not Lease.objects.exists()
    assert not Due.objects.exists()
    # Each failed row has its class, and the classes that only wait are none of them.
    assert sum(by_class(job).values()) == job.failed
    assert not {"rate_limited", "overloaded"} & set(by_class(job))
    # The ledger against the provider's own count: confirmed to the token; what the provider
    # billed unseen is covered by what is in doubt.
    confirmed = Attempt.objects.filter(job_id=job.pk, cost__isnull=False).exclude(
        outcome="in_doubt"
    )
    reported = confirmed.filter(usage_estimated=False).aggregate(
        i=Sum("input_tokens"), o=Sum("output_tokens")
    )
    assert reported["i"] == stats["input_tokens"]
    assert reported["o"] == stats["output_tokens"]
    unseen = stats["unseen"]["calls"]
    assert unseen <= job.in_doubt_attempts
    assert job.attempts == stats["calls"]


def test_it_takes_whatever_bytes_come_back() -> None:
    odd = ("nan_json", "lone_surrogate", "nul_output", "deep_json", "bad_utf8")
    with SimulatorProcess(dict.fromkeys(odd, 0.15)) as simulator:
        job = run_job(make_job(200, url=simulator.url, tolerated_failure_rate=1.0))
    assert job.status in ("completed", "completed_with_failures")
    check_invariants(job.pk)


def test_it_pays_exactly_what_the_provider_billed() -> None:
    with SimulatorProcess(seed=3) as simulator:
        job = run_job(make_job(300, url=simulator.url))
        stats = simulator.stats()["models"][MODEL]
    check_invariants(job.pk)
    assert job.status == "completed"
    assert job.cost == stats["input_tokens"] * 150_000 + stats["output_tokens"] * 600_000
    assert job.wasted_cost == job.in_doubt_cost == 0
    assert stats["calls"] == 300


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("authentication", "authentication"),
        ("permission", "permission"),
        ("quota_exhausted", "quota_exhausted"),
        ("model_not_found", "model_not_found"),
    ],
)
def test_it_pauses_at_once_when_going_on_is_pointless(fault: str, reason: str, cast: Cast) -> None:  # noqa: F811
    with SimulatorProcess({fault: 1.0}) as simulator:
        job = run_job(make_job(200, url=simulator.url, team=cast.team))
        assert (job.status, job.status_reason) == ("paused", reason)
        check_invariants(job.pk)
        assert job.failed == 0
        assert job.pending == 200
        # No row lost an attempt to it.
        assert not Record.objects.filter(job_id=job.pk, tries__gt=0).exists()
        # What was in flight when the first answer came, and no more.
        assert simulator.stats()["models"][MODEL]["calls"] <= 16
        simulator.set_faults({})
        job_resume(actor=cast.actor(cast.alice), job=job)
        job = run_job(job)
    assert job.status == "completed"
    check_invariants(job.pk)


def test_it_pauses_when_too_many_rows_fail_and_goes_on_where_it_stopped(cast: Cast) -> None:  # noqa: F811
    with SimulatorProcess({"refusal": {"share": 0.6, "sticky": True}}) as simulator:
        job = run_job(make_job(400, url=simulator.url, team=cast.team))
        assert (job.status, job.status_reason) == ("paused", "failure_rate")
        assert "30%" in job.status_detail
        assert 20 <= job.succeeded + job.failed < 400
        done = job.succeeded
        simulator.set_faults({})
        job_resume(actor=cast.actor(cast.alice), job=job)
        job = run_job(job)
    assert job.status == "completed_with_failures"
    assert job.succeeded > done
    check_invariants(job.pk)


def test_it_waits_out_rate_limits_without_using_up_attempts() -> None:
    faults = {"rate_limited": {"share": 1.0, "times": 3, "retry_after": "fraction"}}
    with SimulatorProcess(faults) as simulator:
        job = run_job(make_job(4, url=simulator.url, max_attempts=1))
    assert job.status == "completed"
    assert job.succeeded == 4
    assert job.attempts == 16
    check_invariants(job.pk)


def test_it_shows_the_model_its_answer_and_what_was_wrong_with_it() -> None:
    with SimulatorProcess({"schema_violation": {"share": 1.0, "times": 1}}) as simulator:
        job = run_job(make_job(5, url=simulator.url, max_repairs=1))
    assert job.succeeded == 5
    repairs = Attempt.objects.filter(job_id=job.pk, purpose="repair")
    assert repairs.count() == 5
    check_invariants(job.pk)
    assert job.wasted_cost > 0


def test_it_says_unknown_where_no_price_is_known_and_never_zero() -> None:
    with SimulatorProcess() as simulator:
        job = run_job(make_job(5, url=simulator.url, priced=False))
    assert job.status == "completed"
    assert job.unpriced_attempts == 5
    assert not Attempt.objects.filter(job_id=job.pk, cost__isnull=False).exists()


def test_it_marks_usage_that_the_provider_did_not_report_as_estimated() -> None:
    with SimulatorProcess({"usage_missing": 1.0}) as simulator:
        job = run_job(make_job(5, url=simulator.url))
    assert job.estimated_attempts == 5
    assert not Attempt.objects.filter(job_id=job.pk, input_tokens=0).exists()
    assert job.cost > 0
    check_invariants(job.pk)


def test_it_never_spends_more_than_the_budget() -> None:
    with SimulatorProcess() as simulator:
        # Enough for some calls, not for all.
        job = make_job(500, url=simulator.url, budget=2 * 10**9)
        job = run_job(job)
        assert (job.status, job.status_reason) == ("paused", "budget")
        check_invariants(job.pk)
        assert 0 < job.succeeded < 500
        assert job.cost <= 2 * 10**9
        Job.objects.filter(pk=job.pk).update(budget=10**12, status="running")
        job = run_job(job)
    assert job.status == "completed"
    check_invariants(job.pk)


def test_it_fails_rows_that_cannot_be_rendered_without_a_call() -> None:
    rows = [{"text": "fine"}, {"other": "no text here"}, {"text": "fine too"}]
    with SimulatorProcess() as simulator:
        job = run_job(make_job(rows, url=simulator.url))
        assert simulator.stats()["models"][MODEL]["calls"] == 2
    assert by_class(job) == {"render_error": 1}
    record = Record.objects.get(job_id=job.pk, n=2)
    assert "“text”" in (record.message or "")
    check_invariants(job.pk)


def test_it_replays_what_failed_and_each_row_stays_one(cast: Cast) -> None:  # noqa: F811
    with SimulatorProcess({"refusal": {"share": 0.1, "sticky": True}}) as simulator:
        job = run_job(make_job(100, url=simulator.url, team=cast.team))
        failed = job.failed
        assert failed > 0
        simulator.set_faults({})
        actor = cast.actor(cast.alice)
        replay, created = replay_create(
            actor=actor, job=job, key="k", chosen=RecordFilter(), overrides=Overrides()
        )
        again, twice = replay_create(
            actor=actor, job=job, key="k", chosen=RecordFilter(), overrides=Overrides()
        )
        assert created
        assert not twice
        assert again == replay
        store = Store()
        # Doubled messages: the second finds nothing to do.
        for _ in range(2):
            replay_chunk(store.dialect, replay.pk, store.clock.now())
        job = run_job(job)
    assert job.status == "completed"
    assert job.succeeded == 100
    replay.refresh_from_db()
    assert replay.sent == failed
    assert Record.objects.filter(job_id=job.pk, replay_id=replay.pk).count() == failed
    assert Attempt.objects.filter(job_id=job.pk, purpose="replay").count() == failed
    check_invariants(job.pk)


def test_it_sends_an_edited_row_instead_of_the_datasets(cast: Cast) -> None:  # noqa: F811
    rows = [{"text": "good"}, {"wrong": "x", "text": "[[fault:refusal]] bad"}]
    with SimulatorProcess(markers=True) as simulator:
        job = run_job(make_job(rows, url=simulator.url, team=cast.team))
        assert job.failed == 1
        replay, _ = replay_create(
            actor=cast.actor(cast.alice),
            job=job,
            key="",
            chosen=RecordFilter(rows=(2,)),
            overrides=Overrides(),
            edits={2: {"text": "mended"}},
        )
        store = Store()
        replay_chunk(store.dialect, replay.pk, store.clock.now())
        job = run_job(job)
        prompts = simulator.stats(prompts=True)["prompts"]
    assert job.succeeded == 2
    assert len(prompts) == 3


def test_it_takes_a_sample_with_a_seed_the_same_way_each_time() -> None:
    with SimulatorProcess() as simulator:
        chosen = []
        for _ in range(2):
            job = make_job(
                texts(200), url=simulator.url, total=25, selection={"sample": 25, "seed": 4}
            )
            job = run_job(job)
            assert job.status == "completed"
            check_invariants(job.pk)
            chosen.append(list(Record.objects.filter(job_id=job.pk).values_list("n", flat=True)))
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) == 25


def test_it_speaks_every_wire_format_with_the_same_results() -> None:
    outputs = []
    with SimulatorProcess(seed=5) as simulator:
        for api in ("openai_chat", "openai_responses", "anthropic_messages"):
            job = make_job(30, url=simulator.url)
            job.connection.api = api
            job.connection.save(update_fields=["api"])
            job = run_job(job)
            assert job.status == "completed"
            check_invariants(job.pk)
            outputs.append(
                list(
                    Record.objects.filter(job_id=job.pk, status=RecordStatus.SUCCEEDED)
                    .order_by("n")
                    .values_list("output", flat=True)
                )
            )
    assert outputs[0] == outputs[1] == outputs[2]


def test_it_keeps_the_raw_answers_that_the_team_asked_for() -> None:
    with SimulatorProcess({"refusal": {"share": 0.3, "sticky": True}}) as simulator:
        job = make_job(20, url=simulator.url, tolerated_failure_rate=1.0)
        job = run_job(job)
    attempts = Attempt.objects.filter(job_id=job.pk)
    failed = attempts.exclude(failure_class="")
    assert failed.filter(failure_class=FailureClass.REFUSAL.value).exists()
    assert not failed.filter(answer__isnull=True).exists()
    assert not attempts.filter(failure_class="", answer__isnull=False).exists()


def test_it_says_unknown_of_a_doubt_where_no_price_is_known() -> None:
    with SimulatorProcess({"reset_mid_body": 1.0}) as simulator:
        job = run_job(make_job(3, url=simulator.url, priced=False, max_attempts=1))
    assert job.in_doubt_attempts == job.unpriced_attempts == 3
    assert job.in_doubt_cost == 0
    check_invariants(job.pk)
