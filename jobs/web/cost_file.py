"""The table of the costs page as a CSV file: every row, exact."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from jobs.costs.sums import CAUSES, CostSums, CostTable
from jobs.money import usd_string

_RISKY = ("=", "+", "-", "@", "\t", "\r")
_PIECE = 500  # rows
COLUMNS = (
    "calls", "accepted", "results", "input_tokens", "cached_input_tokens", "output_tokens",
    "cost_usd", "cost_per_result_usd", "wasted_cost_usd",
    *(f"{cause}_cost_usd" for cause in CAUSES),
    "in_doubt_cost_usd", "in_doubt_calls", "unpriced_calls", "estimated_calls",
    "estimated_cost_usd", "cache_savings_usd", "batch_savings_usd", "shared", "reused",
    "reuse_savings_usd",
)  # fmt: skip


def costs_file(by: str, table: CostTable) -> Iterator[str]:
    """In pieces. An unknown cost is an empty cell, never 0."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([by, "id", *COLUMNS])
    for at, row in enumerate(table.rows, 1):
        writer.writerow([harmless(row.label), harmless(row.key), *_figures(row)])
        if at % _PIECE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    writer.writerow(["total", "", *_figures(table.total)])
    yield buffer.getvalue()


def _figures(sums: CostSums) -> list[Any]:
    def usd(pico: int | None) -> str:
        return usd_string(pico) or ""

    return [
        sums.calls, sums.accepted, sums.results, sums.input_tokens, sums.cached_input_tokens,
        sums.output_tokens, usd(sums.known_cost), usd(sums.cost_per_result),
        usd(sums.known_wasted_cost), *(usd(sums.waste[cause]) for cause in CAUSES),
        usd(sums.known_in_doubt_cost), sums.in_doubt_calls, sums.unpriced_calls,
        sums.estimated_calls, usd(sums.estimated_cost), usd(sums.cache_savings),
        usd(sums.batch_savings), sums.shared, sums.reused, usd(sums.reuse_savings),
    ]  # fmt: skip


def harmless(text: str) -> str:
    """A name that a spreadsheet would run as a formula gets a quote in front."""
    return f"'{text}" if text.startswith(_RISKY) else text
