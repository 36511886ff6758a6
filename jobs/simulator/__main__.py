"""`python -m jobs.simulator`: the simulator without Django, for a quick start."""

import argparse

from jobs.simulator.options import add_arguments, read_settings
from jobs.simulator.process import run


def main() -> None:
    """Parses the command line and serves."""
    parser = argparse.ArgumentParser(prog="simulator", description="A provider, simulated.")
    add_arguments(parser)
    options = vars(parser.parse_args())
    try:
        settings = read_settings(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    run(
        settings,
        host=options["host"],
        port=options["port"],
        until_stdin_closes=options["until_stdin_closes"],
    )


if __name__ == "__main__":
    main()
