"""Which files of other people are shipped is written down, and each has its licence beside it."""

import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "static" / "vendor"
LISTED = re.findall(
    r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| `([0-9a-f]{64})` \|$",
    (VENDOR / "README.md").read_text(),
    re.MULTILINE,
)


def test_each_vendored_file_is_the_one_that_is_listed() -> None:
    assert LISTED
    for name, _, _, told in LISTED:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == told, name


def test_no_vendored_file_is_unlisted_or_without_its_licence() -> None:
    there = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()}
    licences = {name for name in there if name.endswith("/LICENSE")}
    assert there - licences - {"README.md"} == {name for name, *_ in LISTED}
    assert licences == {f"{name.split('/')[0]}/LICENSE" for name, *_ in LISTED}
    for name, what, licence, _ in LISTED:
        assert re.search(r" \d+\.\d+\.\d+", what), f"{name} has no version"
        assert licence in ("MIT", "0BSD")
        text = (VENDOR / name.split("/")[0] / "LICENSE").read_text()
        # 0BSD's one condition less: it asks for no notice to be kept.
        assert ("above copyright notice and this permission notice" in text) is (licence == "MIT")
