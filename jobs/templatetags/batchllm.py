"""The design system's filters and tags: a template builtin, catalogued in docs/ui-kit.md.

Figures and pictures stand here, small pieces in `pieces`, tags that hold content in `blocks`.
All of them escape what they are given; only markup written here and in `templates/components/`
reaches a page unescaped.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django import template
from django.conf import settings
from django.contrib.messages.storage.base import Message
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.templatetags import blocks, charts, figures, pieces

register = template.Library()
register.tags.update(blocks.library.tags)
register.tags.update(pieces.library.tags)

type Links = Mapping[str, str] | None


def _given[T](value: T) -> T | None:
    """Django hands a filter "" for a name that is not in the context: nothing is known then."""
    return None if value == "" else value


# --- Figures ----------------------------------------------------------------------------------
@register.filter
def money(pico: int | None) -> SafeString:
    """Pico-USD for reading, the exact amount in the title; None is an unknown cost, not zero."""
    pico = _given(pico)
    if pico is None:
        return format_html(
            '<span class="unknown" title="No price is known for this">{}</span>', figures.UNKNOWN
        )
    return format_html(
        '<span class="figure" title="{}">{}</span>',
        figures.money_exact(pico),
        figures.money_text(pico),
    )


@register.filter
def money_shown(pico: int | None) -> SafeString:
    """As `money`, with the installation's own currency beside it: for totals."""
    usd = money(pico)
    pico = _given(pico)
    if pico is None or settings.DISPLAY is None:
        return usd
    return format_html(
        '<span>{} <span class="beside">{}</span></span>', usd, settings.DISPLAY.text(pico)
    )


@register.filter
def money_text(pico: int | None) -> str:
    return figures.money_text(_given(pico))


@register.filter
def tokens(n: int | None) -> SafeString:
    """12.4k, with the full number in the title."""
    n = _given(n)
    if n is None:
        return format_html("{}", figures.NOTHING)
    return format_html(
        '<span class="figure" title="{} tokens">{}</span>',
        figures.count_text(n),
        figures.tokens_text(n),
    )


@register.filter
def count(n: int | None) -> str:
    return figures.count_text(_given(n))


@register.filter
def duration(length: float | timedelta | None) -> str:
    return figures.duration_text(_given(length))


@register.filter
def percent(share: float | Decimal | None) -> str:
    return figures.percent_text(_given(share))


@register.filter
def change(share: float | None) -> str:
    """+40%, −12%; None → —"""
    return figures.change_text(_given(share))


@register.filter
def signed_money(pico: int) -> SafeString:
    """A difference: +$1.20 or −$0.30, the exact amount in the title."""
    return format_html(
        '<span class="figure" title="{}">{}</span>',
        figures.money_exact(pico),
        figures.signed_money_text(pico),
    )


@register.filter
def when(moment: datetime | None) -> SafeString:
    """A `<time>` that says how long ago; `static/js/times.js` keeps it true while the page is open.

    Raises ValueError for a naive datetime: it would be guessed to be local time.
    """
    moment = _given(moment)
    if moment is None:
        return format_html("{}", figures.NOTHING)
    if timezone.is_naive(moment):
        raise ValueError("when needs an aware datetime")
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        figures.exact_utc(moment),
        figures.relative_text(moment, timezone.now()),
    )


@register.filter
def message_tone(message: Message) -> str:
    """The tone of a toast for a Django message."""
    return {"success": "green", "error": "red", "warning": "orange"}.get(message.level_tag, "blue")


# --- Pictures ---------------------------------------------------------------------------------
@register.inclusion_tag("components/stacked_bar.html")
def stacked_bar(
    counts: Mapping[str, int | None],
    links: Links = None,
    mini: bool = False,
    label: str = "Records",
) -> dict[str, object]:
    """Counts by status as one bar; the legend's numbers link to the rows behind them."""
    segments = charts.bar_segments(counts, links or {})
    words = ", ".join(f"{figures.count_text(one.count)} {one.words}" for one in segments)
    return {
        "segments": segments,
        "words": f"{label}: {words or 'none'}",
        "mini": mini,
        "width": charts.BAR_WIDTH,
    }


@register.inclusion_tag("components/sparkline.html")
def sparkline(values: Iterable[float], label: str = "", tone: str = "blue") -> dict[str, object]:
    numbers = list(values)
    last = f"{numbers[-1]:,}" if numbers else "no data"
    return {
        "points": charts.sparkline_points(numbers),
        "words": f"{label}, latest {last}" if label else f"latest {last}",
        "tone": tone,
    }


@register.inclusion_tag("components/stacked_chart.html")
def stacked_chart(chart: charts.Chart) -> dict[str, object]:
    """See `charts.Chart`; raises ValueError when buckets and values do not match in number."""
    return charts.chart_context(chart)
