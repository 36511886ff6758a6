"""Polled fragments: which one is asked for, and 304 while nothing of it changed."""

from hashlib import sha256

from django.http import HttpResponse
from django.shortcuts import render

from jobs.web.pages import PageRequest


def is_poll(request: PageRequest, part: str = "live") -> bool:
    """Whether a polled part of the page alone is asked for: its `<section>` with that id."""
    return bool(request.htmx) and request.htmx.target == f"section#{part}"


def tag_of(*shown: object) -> str:
    """A tag that changes exactly when one of the shown values does."""
    return sha256(repr(shown).encode()).hexdigest()[:20]


def answer(
    request: PageRequest,
    template: str,
    context: dict[str, object],
    tag: str,
    live_in: str = "",
) -> HttpResponse:
    """The page, its live part, or 304 when the poller has this very state already.

    `live_in` names the template that defines the part `live`, where the page inherits it. `context`
    need not hold what only the page's rest shows when `is_poll(request)`.
    """
    if not is_poll(request):
        return render(request, template, {**context, "tag": tag})
    return part(request, f"{live_in or template}#live", {**context, "tag": tag}, tag)


def part(request: PageRequest, template: str, context: dict[str, object], tag: str) -> HttpResponse:
    """A polled part with its tag, or 304 when the poller has it already."""
    if request.headers.get("HX-PTag") == tag:
        return HttpResponse(status=304)
    response = render(request, template, context)
    response["HX-PTag"] = tag
    return response
