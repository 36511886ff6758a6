"""A figure: what was measured, its ceiling in the same run, and the target."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`met` is None where the target is no number. `detail` goes to the JSON only."""

    name: str
    measured: str
    ceiling: str
    target: str
    met: bool | None
    detail: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def table(figures: Sequence[Figure]) -> str:
    heads = ("figure", "measured", "ceiling in the same run", "target", "")
    signs = {True: "ok", False: "MISSED", None: ""}
    rows = [heads, *((f.name, f.measured, f.ceiling, f.target, signs[f.met]) for f in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
