"""`python -m tests.simulation --seeds 5000`, or `--seed 123 [--story]` to see one again."""

import argparse
import sys
import time
from collections import Counter

import tests.environment  # noqa: F401  first: the settings read the environment

import django  # isort: skip

django.setup()

from django.db import connection  # noqa: E402

from tests.simulation.checks import Violation  # noqa: E402
from tests.simulation.running import run_seed  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one alone, with its story")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    chosen = parser.parse_args()
    connection.creation.create_test_db(verbosity=0)
    if chosen.seed is not None:
        return _one(chosen.seed)
    return _many(range(chosen.first, chosen.first + chosen.seeds))


def _one(seed: int) -> int:
    try:
        world = run_seed(seed)
    except Violation as violation:
        print(violation)
        return 1
    print(world.story(last=10_000))
    return 0


def _many(seeds: range) -> int:
    reached: Counter[str] = Counter()
    failed = []
    started = time.monotonic()
    for seed in seeds:
        try:
            reached += run_seed(seed).reached
        except Violation as violation:
            failed.append(seed)
            print(str(violation).splitlines()[0], flush=True)
    for name, times in sorted(reached.items()):
        print(f"{times:7,} {name}")
    took = time.monotonic() - started
    print(f"{len(seeds):,} seeds in {took:.0f} s, {len(failed)} failed: {failed[:50]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
