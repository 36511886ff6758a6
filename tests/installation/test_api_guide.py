"""docs/api.md: its curl lines, run in order against a real installation and the simulator."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.models import Job
from tests.environment import REQUIRE_ALL
from tests.installation.installation import Installation
from tests.installation.processes import ROOT
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.installation
GUIDE = (ROOT / "docs" / "api.md").read_text()
MARK = "@@ block"


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


def script(url: str, simulator_url: str) -> str:
    """One shell runs all blocks, as a person's would; the first line that fails ends it."""
    lines = ["set -euo pipefail"]
    for number, block in enumerate(blocks(), 1):
        lines += [f"printf '\\n{MARK} {number}\\n'", block]
    found = "\n".join([*lines, f"printf '\\n{MARK} {len(blocks()) + 1}\\n'"])
    for written, real in (
        ("http://127.0.0.1:8000", url),
        ("http://127.0.0.1:8090", simulator_url),
        (".venv/bin/python manage.py", f"{sys.executable} {ROOT}/manage.py"),
        ("sleep 1", "sleep 0.1"),
    ):
        assert written in found
        found = found.replace(written, real)
    return found


def test_its_curl_lines_work(
    installation: Installation, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        message = "no curl: apt-get install curl"
        if REQUIRE_ALL:
            pytest.fail(message)
        pytest.skip(message)
    told = re.search(r"--faults '(.*)'", GUIDE)
    assert told
    simulator.set_faults(json.loads(told[1]))
    done = subprocess.run(
        ["bash", "-c", script(installation.url, simulator.url)],
        cwd=tmp_path,
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stderr == ""
    said = re.split(rf"^{MARK} \d+\n", done.stdout, flags=re.MULTILINE)
    assert len(said) == len(blocks()) + 2
    assert done.stdout.count("curl: ") == 0

    # What the lines left is what the guide says.
    job = json.loads((tmp_path / "job.json").read_text())
    assert (job["status"], job["counts"]["succeeded"], job["attempts"]) == ("completed", 3, 5)
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == [
        "My parcel is late", "Your splendid offer", "Two invoices, one order",
    ]  # fmt: skip
    assert {line["_status"] for line in lines} == {"succeeded"}
    with (tmp_path / "results.csv").open(newline="") as file:
        topics = [row["topic"] for row in csv.DictReader(file)]
    assert topics == [line["topic"] for line in lines]
    assert pq.read_table(tmp_path / "results.parquet").num_rows == 3

    # And so are its answers.
    assert '"failure_class":"refusal"' in done.stdout.replace(" ", "")
    shown = re.search(r'^```json\n(\{"type".*?)^```', GUIDE, re.DOTALL | re.MULTILINE)
    assert shown
    assert json.loads(shown[1]) in [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"type"')
    ]
    assert Job.objects.filter(public_id=job["id"], team__name="Robots").exists()
