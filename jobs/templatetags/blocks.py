"""Block tags: components that hold content of the page. Part of the builtin `batchllm` library."""

# ruff: noqa: A002 (whoever writes a template says `id=` and `open=`)

from collections.abc import Mapping
from typing import Any

from django import template
from django.template.context import Context
from django.utils.safestring import SafeString

library = template.Library()


def _component(context: Context, name: str, **values: object) -> SafeString:
    """Render a component with these values alone; the content was rendered by its page."""
    engine = context.template.engine  # type: ignore[union-attr]
    # A fresh context: a component sees its parameters and nothing of the page around it.
    return engine.get_template(f"components/{name}.html").render(Context(values))


@library.simple_block_tag(takes_context=True)
def page_header(context: Context, content: str, title: str, **options: Any) -> SafeString:
    """Options: subtitle, status, parent and parent_url, crumbs (list of (label, url))."""
    parent = options.get("parent")
    crumbs = options.get("crumbs") or ([(parent, options.get("parent_url"))] if parent else [])
    return _component(
        context,
        "page_header",
        content=content,
        title=title,
        subtitle=options.get("subtitle", ""),
        status=options.get("status", ""),
        crumbs=crumbs,
    )


@library.simple_block_tag(takes_context=True)
def card(
    context: Context,
    content: str,
    title: str = "",
    subtitle: object = "",
    href: str = "",
    id: str = "",
    flush: bool = False,
) -> SafeString:
    return _component(
        context,
        "card",
        content=content,
        title=title,
        subtitle=subtitle,
        href=href,
        id=id,
        flush=flush,
    )


@library.simple_block_tag(takes_context=True)
def table(
    context: Context, content: str, label: str, cards: bool | str = False, id: str = ""
) -> SafeString:
    return _component(context, "table", content=content, label=label, cards=cards, id=id)


@library.simple_block_tag(takes_context=True)
def empty_state(context: Context, content: str, title: str, icon: str = "inbox") -> SafeString:
    return _component(context, "empty", content=content, title=title, icon=icon)


@library.simple_block_tag(takes_context=True)
def filter_bar(
    context: Context,
    content: str,
    label: str = "Filter",
    clear_url: str = "",
    active: bool = False,
    keep: Mapping[str, object] | None = None,
    action: str = "",
) -> SafeString:
    return _component(
        context,
        "filter_bar",
        content=content,
        label=label,
        clear_url=clear_url,
        active=active,
        keep=dict(keep or {}),
        action=action,
    )


@library.simple_block_tag(takes_context=True)
def dialog(context: Context, content: str, id: str, title: str, wide: bool = False) -> SafeString:
    return _component(context, "dialog", content=content, id=id, title=title, wide=wide)


@library.simple_block_tag(takes_context=True)
def fold(
    context: Context, content: str, summary: object, id: str = "", open: bool = False
) -> SafeString:
    return _component(context, "fold", content=content, summary=summary, id=id, open=open)


@library.simple_block_tag(takes_context=True)
def control(context: Context, content: str, label: str, **options: Any) -> SafeString:
    """Options: for (the control's id), help, error, required."""
    return _component(
        context,
        "control",
        content=content,
        label=label,
        target=options.get("for", ""),
        help=options.get("help", ""),
        error=options.get("error", ""),
        required=options.get("required", False),
    )


@library.simple_block_tag(takes_context=True)
def notice(
    context: Context,
    content: str,
    tone: str = "blue",
    icon: str = "info-circle",
    title: str = "",
) -> SafeString:
    return _component(context, "notice", content=content, tone=tone, icon=icon, title=title)


@library.simple_block_tag(takes_context=True)
def bulk_bar(context: Context, content: str, matching: int, noun: str = "row") -> SafeString:
    """The actions of a bulk form, and "all N that match"."""
    return _component(context, "bulk_bar", content=content, matching=matching, noun=noun)
