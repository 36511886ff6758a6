"""The geometry of the server-rendered SVG charts: numbers in, coordinates out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import compress
from typing import NotRequired, TypedDict

from jobs.templatetags.figures import count_text, money_text, tokens_text
from jobs.templatetags.statuses import BAR_ORDER, look_of, status_words

BAR_WIDTH = 1000
# A segment of one record among a million must still be seen.
LEAST_SEGMENT = 10
CHART_HEIGHT = 100
COLUMN = 10
GAP = 2


class Series(TypedDict):
    name: str
    values: Sequence[int]
    tone: str
    href: NotRequired[str]
    apart: NotRequired[bool]  # drawn on top of the others and no part of the totals


class Chart(TypedDict):
    """`values` are whole: rows, tokens or pico-USD, as `unit` says; one for each bucket. So are `hrefs`
    (where its row of the table leads) and `marked` (a column that is out of line)."""

    title: str
    buckets: Sequence[str]
    series: Sequence[Series]
    unit: NotRequired[str]
    hrefs: NotRequired[Sequence[str]]
    marked: NotRequired[Sequence[bool]]


@dataclass(frozen=True, slots=True)
class Segment:
    key: str
    words: str
    tone: str
    count: int
    href: str
    x: float
    width: float


def bar_segments(counts: Mapping[str, int | None], links: Mapping[str, str]) -> list[Segment]:
    """The segments of a stacked bar of `BAR_WIDTH`, in the fixed order of statuses.

    Widths are proportional, save that no non-empty segment is thinner than `LEAST_SEGMENT`.
    """
    order = [*BAR_ORDER, *(key for key in counts if key not in BAR_ORDER)]
    present = [(key, counts.get(key) or 0) for key in order]
    present = [(key, n) for key, n in present if n > 0]
    total = sum(n for _, n in present)
    raw = [max(n * BAR_WIDTH / total, LEAST_SEGMENT) for _, n in present]
    scale = BAR_WIDTH / sum(raw) if raw else 1
    segments, x = [], 0.0
    for (key, n), width in zip(present, raw, strict=True):
        width *= scale
        tone = look_of(key).tone
        segments.append(
            Segment(
                key, status_words(key), tone, n, links.get(key, ""), round(x, 2), round(width, 2)
            )
        )
        x += width
    return segments


def sparkline_points(values: Sequence[float], width: int = 100, height: int = 24) -> str:
    """The `points` of a polyline; one value becomes a flat line, no value an empty string."""
    numbers = [float(value) for value in values]
    if not numbers:
        return ""
    if len(numbers) == 1:
        numbers *= 2
    top = max(numbers) or 1.0
    step = width / (len(numbers) - 1)
    return " ".join(
        f"{round(i * step, 1)},{round(height - 1 - (height - 2) * value / top, 1)}"
        for i, value in enumerate(numbers)
    )


def nice_top(largest: int) -> int:
    """The smallest of 1, 2, 5 x 10^k that is not below `largest`; 1 for nothing."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= largest:
                return step * power
        power *= 10


def unit_text(value: int, unit: str) -> str:
    """A value of a chart in words; raises KeyError for a unit that does not exist."""
    return {"count": count_text, "tokens": tokens_text, "money": money_text}[unit](value)


def chart_context(chart: Chart) -> dict[str, object]:
    """What `components/stacked_chart.html` draws and tells.

    Raises ValueError if a series has another number of values than there are buckets: a chart
    whose columns are shifted would lie silently.
    """
    unit = chart.get("unit", "count")
    buckets = list(chart["buckets"])
    series = list(chart["series"])
    columns = list(zip(*(one["values"] for one in series), strict=True)) if series else []
    if series and len(columns) != len(buckets):
        raise ValueError(f"{len(buckets)} buckets, but {len(columns)} values in a series")
    counted = [not one.get("apart", False) for one in series]
    sums = [sum(compress(column, counted)) for column in columns]
    top = nice_top(max(map(sum, columns), default=0))
    hrefs = chart.get("hrefs") or [""] * len(buckets)
    marked = chart.get("marked") or [False] * len(buckets)
    bars = []
    for i, (bucket, column, total) in enumerate(zip(buckets, columns, sums, strict=False)):
        rects, y = [], Decimal(CHART_HEIGHT)
        for one, value in zip(series, column, strict=True):
            height = Decimal(value * CHART_HEIGHT) / top
            y -= height
            if value > 0:
                rects.append({"y": f"{y:.2f}", "height": f"{height:.2f}", "tone": one["tone"]})
        parts = [
            f"{one['name']} {unit_text(value, unit)}"
            for one, value in zip(series, column, strict=True)
            if value
        ]
        words = f"{bucket}: {unit_text(total, unit)}"
        if len(parts) > 1:
            words += f" ({', '.join(parts)})"
        bars.append(
            {"x": i * COLUMN + GAP / 2, "rects": rects, "words": words, "marked": marked[i]}
        )
    return {
        "title": chart["title"],
        "bars": bars,
        "any_marked": any(marked),
        "width": max(len(buckets), 1) * COLUMN,
        "height": CHART_HEIGHT,
        "bar_width": COLUMN - GAP,
        "column": COLUMN,
        "top": unit_text(top, unit),
        "middle": unit_text(top // 2, unit) if top > 1 else "",
        "ticks": [buckets[0], buckets[len(buckets) // 2], buckets[-1]]
        if len(buckets) > 2
        else buckets,
        "legend": [
            {
                "name": one["name"],
                "tone": one["tone"],
                "href": one.get("href", ""),
                "total": unit_text(sum(one["values"]), unit),
            }
            for one in series
        ],
        "total": unit_text(sum(sums), unit),
        "names": [one["name"] for one in series],
        "table": [
            (bucket, [unit_text(value, unit) for value in column], unit_text(total, unit), href)
            for bucket, column, total, href in zip(buckets, columns, sums, hrefs, strict=False)
        ],
    }
