"""`python -m bench.limits [--rpm 60,300,1000,6000] [--slices 1,2,4]`: what is used of a provider's
limit, and what share of the calls is refused, in virtual time (`bench.virtual_limits`)."""

import argparse
import os

import django


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.limits", description=__doc__)
    parser.add_argument("--rpm", default="60,300,1000,6000")
    parser.add_argument("--slices", default="1,2,4")
    parser.add_argument("--kinds", default="bucket,tight,minutes")
    parser.add_argument("--headers", default="all,retry-after,none")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ.setdefault("SECRET_KEY", "bench")
    django.setup()
    from bench.virtual_limits import levels  # needs the models to be there

    print("  rpm kind     headers     slices phase       used     429  seconds to level")
    for rpm in map(int, options.rpm.split(",")):
        for kind in options.kinds.split(","):
            for headers in options.headers.split(","):
                for slices in map(int, options.slices.split(",")):
                    for row in levels(rpm, kind, headers, slices, seed=options.seed):
                        level = "never" if row["seconds"] is None else f"{row['seconds']:.0f}"
                        print(
                            f"{row['rpm']:5} {kind:8} {headers:11} {slices:6} {row['phase']:8} "
                            f"{row['used']:7.1%} {row['refused']:7.2%} {level:>6}",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
