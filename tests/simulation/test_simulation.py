"""Histories by their seeds: whatever is broken, in whatever order, the books are right and jobs end.

`python -m tests.simulation --seeds 5000` runs more of them, `--seed 7` one again with its story.
"""

import pytest

from jobs.models import Record
from tests.environment import TEST_DB
from tests.simulation.checks import Violation
from tests.simulation.faults import STEPS, Fault
from tests.simulation.provider import FAULTS
from tests.simulation.running import run_seed, run_seeds
from tests.simulation.world import World

pytestmark = pytest.mark.django_db(transaction=True)

SEEDS = range(1, 72 if TEST_DB == "sqlite" else 7)
# A check that never fires is worth nothing: all of this happens in the histories above.
REACHED = {
    *(f"{fault} {step}" for fault in Fault for step in STEPS),
    *(f"provider {fault}" for fault in FAULTS),
    *(f"person: {act}" for act in ("pause", "resume", "cancel", "replay", "twice")),
    *("person: replay succeeded", "result replaced", "result kept", "result stands meanwhile"),
    *(f"attempt {outcome}" for outcome in ("accepted", "failed", "late", "in_doubt", "superseded")),
    *(f"job {status}" for status in ("completed", "completed_with_failures", "cancelled")),
    *(f"paused: {why}" for why in ("person", "budget", "authentication", "failure_rate")),
    *(f"killed within {step}" for step in STEPS),
    *("call given up early", "call timed out"),
    *("doorbell lost", "doorbell doubled", "doorbell delayed", "budget lowered", "told to stop"),
}


def test_it_keeps_its_books_and_ends_its_jobs_whatever_is_broken() -> None:
    reached = run_seeds(SEEDS)
    if TEST_DB == "sqlite":
        assert sorted(REACHED - reached.keys()) == []


def test_a_seed_is_one_history() -> None:
    first, second = ([run_seed(seed).history for seed in SEEDS[:2]] for _ in range(2))
    assert first == second
    assert max(map(len, first)) > 20


def test_it_sees_what_does_not_hold_and_says_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = World._pulse

    def meddling(world: World) -> None:
        pulse(world)
        Record.objects.filter(output__isnull=False).update(output="another")

    monkeypatch.setattr(World, "_pulse", meddling)
    with pytest.raises(Violation, match=r"^seed 1: record .* changed its result"):
        run_seed(1)
