"""`python -m bench [NAME …] [--runs 3] [--scale 1.0]`"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime

from bench import budgets, bulk, costs, estimate, scale, throughput
from bench.figures import Figure, table
from bench.installation import ROOT

BENCHES: dict[str, Callable[[int, float], list[Figure]]] = {
    "throughput": throughput.without_latency,
    "latency": throughput.with_latency,
    "two-slices": throughput.two_slices,
    "memory": throughput.memory,
    "recovery": throughput.recovery,
    "ingest": bulk.ingest,
    "launch": bulk.launch,
    "export": bulk.export,
    "pages": bulk.pages,
    "costs": costs.pages,
    "compare": costs.compare,
    "scale": scale.life_of_a_record,
    "estimate": estimate.estimate,
    "budgets": budgets.budgets,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="NAME")
    parser.add_argument("--runs", type=int, default=3, help="of each, medians are shown")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of rows")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.names or BENCHES:
        print(f"{name} …", flush=True)
        figures += BENCHES[name](options.runs, options.scale)
    print(f"\n{table(figures)}")
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "runs": options.runs,
        "scale": options.scale,
        "load_before": os.getloadavg()[2],
        "figures": [figure.as_json() for figure in figures],
    }
    (ROOT / "bench" / "latest.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
