"""The estimate on virtual populations: `python -m bench estimate` in small, with seeds of its own."""

import random
from statistics import NormalDist

import pytest

from bench.estimate import POPULATIONS, measure
from jobs.costs.estimate import Sum, sum_over
from jobs.costs.lengths import Population


@pytest.mark.parametrize("name", POPULATIONS)
def test_it_holds_what_comes_after_a_pilot_of_fifty(name: str) -> None:
    kept = measure(name, seeds=60)
    assert kept.coverage >= 0.9  # of 60 seeds; the benchmark asks for 95% of 400
    assert kept.width <= 0.27
    assert abs(sum(kept.bias or [])) / kept.runs < 0.05


def test_it_knows_a_sum_that_has_no_spread_to_the_last_digit() -> None:
    found = sum_over([10, 20, 30, 40, 50], [1, 2, 3, 4, 5], rows=100, mean=35)
    assert found is not None
    assert found.plus(15).expected == 365
    assert found.plus(15).half_width < 1e-6
    assert sum_over([1, 2, 3, 4], [1, 2, 3, 4], rows=10, mean=2) is None
    alike = sum_over([7] * 5, [3] * 5, rows=10, mean=7)
    assert alike is not None
    assert alike.plus(0).expected == 30


def test_one_earlier_job_tells_less_than_rows_of_the_job_itself() -> None:
    rng = random.Random(5)
    lengths = [rng.uniform(50, 500) for _ in range(80)]
    values = [2 * x + rng.uniform(0, 100) for x in lengths]
    own = sum_over(lengths, values, rows=1_000, mean=200)
    earlier = sum_over(lengths, values, rows=1_000, mean=200, jobs=[1] * 80)
    several = sum_over(lengths, values, rows=1_000, mean=200, jobs=[n % 4 for n in range(80)])
    assert own is not None
    assert earlier is not None
    assert several is not None
    widths = [one.plus(0).half_width for one in (own, several, earlier)]
    assert widths == sorted(widths)
    assert widths[0] < widths[1] < widths[2]


def test_a_range_never_promises_less_than_was_spent() -> None:
    told = Sum(1_000.0, 5_000.0, 4.0).plus(700)
    assert 700 < told.low < told.expected == 1_700 < told.high
    assert Sum(0.0, 0.0, 9.0).plus(700).high == 700


def test_a_mean_that_was_sampled_has_an_error_and_one_that_was_counted_has_none() -> None:
    counted = Population(4, range(4), [1, 2, 3, 10])
    assert (counted.exact, counted.total, counted.mean_error) == (True, 16, 0.0)
    rng = random.Random(1)
    off = []
    for _ in range(200):
        tokens = [rng.randint(10, 90) for _ in range(400)]
        places = sorted(rng.sample(range(400), 100))
        part = Population(400, places, [tokens[place] for place in places])
        off.append(abs(part.mean - sum(tokens) / 400) / part.mean_error)
    within = sum(1 for one in off if one < NormalDist().inv_cdf(0.975)) / len(off)
    assert within > 0.9


def test_the_profile_tells_where_the_long_rows_are() -> None:
    rising = Population(100, range(100), list(range(100)))
    assert rising.profile(4) == [12.0, 37.0, 62.0, 87.0]
