"""The public validator of FOCUS files, in an environment of its own that outlives the test run."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSION = "2.2.1"
# What it pins has no wheel for this Python and does not fit its own other requirements; and what it
# leaves open must not change under a test.
OVERRIDES = """
duckdb==1.5.6
numpy==2.5.5
pandas==2.3.3
pandera==0.26.1
polars==1.44.2
pyarrow==26.0.1
pydantic==2.14.4
sqlglot==27.29.0
"""
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED",
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)


# InvoiceId-C-003-C is kept if either of its branches holds: that all are null, or that none is. The
# validator reports that it is kept, and the branch that does not hold as failed besides.
BRANCHES = {"InvoiceId-C-005-C": "InvoiceId-C-003-C"}


def install(folder: Path) -> Path:
    """The environment's Python, made on first use. Raises RuntimeError where it cannot be made."""
    made = folder / f"focus-validator-{VERSION}-py{sys.version_info.minor}"
    if not made.exists():
        uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
        if not Path(uv).exists():
            raise RuntimeError("no uv: make setup")
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            fresh = Path(scratch) / "venv"
            overrides = Path(scratch) / "overrides.txt"
            overrides.write_text(OVERRIDES)
            _run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(fresh)])
            packages = ("--override", str(overrides), f"focus-validator=={VERSION}")
            python = str(fresh / "bin" / "python")
            _run([uv, "pip", "install", "--quiet", "--python", python, *packages])
            fresh.rename(made)
    return made / "bin" / "python"


def _run(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])


def validate(python: Path, content: bytes) -> tuple[int, list[str]]:
    """How many rules the file keeps, and those it breaks, with the validator's words."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(content)
        file.flush()
        done = subprocess.run(
            [
                python.with_name("focus-validator"),
                *("--data-file", file.name, "--validate-version", "1.2", "--block-download"),
                *("--applicability-criteria", ",".join(CRITERIA), "--show-violations"),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            # It finds its own tables from there alone.
            cwd=next(python.parents[1].glob("lib/*/site-packages")),
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        )
    assert done.returncode == 0, done.stderr[-2000:]
    kept = set(re.findall(r"^\W*([\w-]+): PASS", done.stdout, re.MULTILINE))
    broken = re.findall(r"^\W*([\w-]+): FAIL(.*)", done.stdout, re.MULTILINE)
    return len(kept), [rule + why for rule, why in broken if BRANCHES.get(rule) not in kept]
