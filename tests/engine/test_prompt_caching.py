"""The constant part of a prompt is kept by the provider where that pays: by the simulator's count."""

from typing import Any

import pytest

from jobs.engine.prompt_cache import PromptCache
from jobs.models import CostRollup, Job, Price
from jobs.providers.types import Usage
from tests.engine.build import INPUT_PRICE, MODEL, check_invariants, make_job
from tests.engine.drive import run_job
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

READ, WRITE = INPUT_PRICE // 10, INPUT_PRICE * 5 // 4
LONG = "Sort what follows by its cause, and say how urgent it is. " * 100  # 1,450 tokens


def messages_job(simulator: SimulatorProcess, rows: int, **text: str) -> Job:
    job = make_job(rows, url=simulator.url, user=text.get("user", "{{ text }}"))
    job.connection.api = "anthropic_messages"
    job.connection.save()
    job.template_version.system = text.get("system", "Sort.")
    job.template_version.save()
    Price.objects.update(cached_input=READ, cache_write=WRITE, cache_write_1h=2 * INPUT_PRICE)
    return job


@pytest.mark.parametrize(
    "text",
    [
        {"system": LONG},
        {"user": LONG + "{{ text }}"},
        {"system": LONG + "{% if text %}x{% endif %}"},
    ],
)
def test_it_writes_once_and_reads_from_then_on(text: dict[str, str]) -> None:
    with SimulatorProcess(prompt_cache=True, latency_ms=10) as simulator:
        job = run_job(messages_job(simulator, 300, **text))
        stats = simulator.stats()["models"][MODEL]
    check_invariants(job.pk)
    assert job.status == "completed"
    rollup = CostRollup.objects.get(job_id=job.pk)
    assert rollup.cached_input_tokens == stats["cached_input_tokens"] > 200 * 1_400
    assert rollup.cache_write_tokens == stats["cache_write_tokens"] < 2 * 1_500
    # What is said to be saved is the difference to the same tokens without a cache.
    plain = stats["input_tokens"] * INPUT_PRICE
    paid = plain - rollup.cache_savings
    assert paid == (
        (stats["input_tokens"] - stats["cached_input_tokens"] - stats["cache_write_tokens"])
        * INPUT_PRICE
        + stats["cached_input_tokens"] * READ
        + stats["cache_write_tokens"] * WRITE
    )
    assert rollup.cache_savings > plain // 2


@pytest.mark.parametrize(
    ("rows", "text"),
    [(12, {"system": LONG}), (40, {"system": "Sort."}), (40, {"user": "{{ text }}" + LONG})],
)
def test_it_does_not_pay_for_what_will_not_pay(rows: int, text: dict[str, str]) -> None:
    with SimulatorProcess(prompt_cache=True) as simulator:
        job = run_job(messages_job(simulator, rows, **text))
        stats = simulator.stats()["models"][MODEL]
    assert job.status == "completed"
    assert stats["cached_input_tokens"] == stats["cache_write_tokens"] == 0


def used(**tokens: int) -> Usage:
    return Usage(input_tokens=2_000, output_tokens=5, **tokens)


def test_it_writes_only_what_will_be_read() -> None:
    cache, far = PromptCache(), {"rows_ahead": 1_000}
    assert not cache.marks(0.0, **far)  # nobody knows how close the next will be
    assert not cache.marks(200.0, **far)  # not close enough
    assert not cache.marks(201.0, rows_ahead=19)
    assert cache.marks(202.0, **far)  # writes
    assert not cache.marks(203.0, **far)  # while it is being written
    cache.answered(used(cache_write_tokens=1_500), 204.0)
    assert cache.marks(205.0, **far)
    assert cache.marks(443.0, rows_ahead=1)
    assert not cache.marks(700.0, **far)  # it is gone


def test_it_gives_up_what_is_written_and_never_read_or_too_short() -> None:
    for usage, times in ((used(cache_write_tokens=1_500), 3), (used(), 1)):
        cache: Any = PromptCache()
        cache.marks(0.0, 1_000)
        for n in range(times):
            assert cache.marks(1.0 + n, 1_000)
            cache.answered(usage, 1.0 + n)
        assert not cache.marks(10.0, 1_000)
