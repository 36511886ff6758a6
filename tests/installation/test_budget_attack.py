"""Eight slices, two teams, four jobs, and budgets of each kind that end in the middle, with kill -9."""

import pytest

from bench.budgets import attack
from tests.environment import TEST_DB

pytestmark = pytest.mark.installation


def test_it_overshoots_no_budget_and_uses_each_up_whoever_is_killed() -> None:
    found = attack(TEST_DB, rows=1_500, kills=5)
    assert found["killed"] >= 3
    assert found["beyond"] == {}
    assert found["difference"] == ""
    assert found["stopped"]
    assert found["reserved"] == 0
    assert found["status"]["cheap"] in ("completed ", "paused budget")
    assert set(found["used"]) == {"job", "team and month", "team, month and connection"}
    for share in found["used"].values():
        assert 0.99 <= share <= 1
