"""Templates: the list, one with its versions, and what changed between two."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from jobs.errors import Invalid
from jobs.prompts.selectors import (
    diff_versions,
    latest_figures,
    team_templates,
    version_figures,
)
from jobs.prompts.services import template_archive, template_rename
from jobs.teams.access import template_for, template_version_for
from jobs.teams.policy import Action
from jobs.web.pages import PageRequest, go_to, page

PAGE = 50


@page(Action.TEMPLATE_READ)
def templates(request: PageRequest) -> HttpResponse:
    """The team's templates, the latest used first; `?q=` searches, `?archived=1` shows put-away
    ones."""
    text = request.GET.get("q", "").strip()[:200]
    archived = request.GET.get("archived") == "1"
    found = team_templates(request.actor.team, archived=archived, text=text)
    start = request.GET.get("start", "0")
    at = int(start) if start.isdecimal() and len(start) < 7 else 0
    listed = list(found[at : at + PAGE + 1])
    figures = latest_figures(listed[:PAGE])
    return render(
        request,
        "templates/list.html",
        {
            "rows": [(template, figures.get(template.pk)) for template in listed[:PAGE]],
            "q": text,
            "archived": archived,
            "previous": max(0, at - PAGE) if at else None,
            "next": at + PAGE if len(listed) > PAGE else None,
            "may_write": request.actor.may(Action.TEMPLATE_WRITE),
        },
    )


@page(Action.TEMPLATE_READ)
def template(request: PageRequest, template_id: str) -> HttpResponse:
    """One version in full (`?version=`, else the latest), and all of them with their figures."""
    number = request.GET.get("version", "")[:9]
    version = template_version_for(
        request.actor, template_id, int(number) if number.isdecimal() else None
    )
    return render(request, "templates/template.html", _template_context(request, version))


def _template_context(request: PageRequest, version: Any) -> dict[str, Any]:
    return {
        "template": version.template,
        "version": version,
        "schema": _json(version.output_schema),
        "rules": _json(version.rules),
        "defaults": _json(version.defaults),
        "figures": version_figures(version.template),
        "may_write": request.actor.may(Action.TEMPLATE_WRITE),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


@page(Action.TEMPLATE_READ)
def template_diff(request: PageRequest, template_id: str, before: int, after: int) -> HttpResponse:
    """What changed from one version to another, line by line."""
    old = template_version_for(request.actor, template_id, before)
    new = template_version_for(request.actor, template_id, after)
    context = {
        "template": new.template,
        "before": old,
        "after": new,
        "parts": diff_versions(old, new),
        "versions": range(new.template.latest_version, 0, -1),
    }
    return render(request, "templates/diff.html", context)


@page(Action.TEMPLATE_WRITE, methods=("POST",), keeps=True)
def rename(request: PageRequest, template_id: str) -> HttpResponse:
    found = template_for(request.actor, template_id)
    url = reverse("template", args=[found.public_id])
    typed = request.POST.get("name", "")
    if request.resumed:
        return _with_name(request, template_id, typed)
    try:
        template_rename(actor=request.actor, template=found, name=typed)
    except Invalid as fault:
        return _with_name(request, template_id, typed, fault.errors[0].msg)
    messages.success(request, "Renamed.", extra_tags=url)
    return go_to(request, url)


def _with_name(request: PageRequest, template_id: str, typed: str, error: str = "") -> HttpResponse:
    version = template_version_for(request.actor, template_id)
    context = {
        **_template_context(request, version), "rename_error": error, "typed_name": typed
    }  # fmt: skip
    status = 422 if error else 200
    return render(request, "templates/template.html", context, status=status)


@page(Action.TEMPLATE_WRITE, methods=("POST",))
def archive(request: PageRequest, template_id: str) -> HttpResponse:
    found = template_for(request.actor, template_id)
    archived = request.POST.get("archived") == "1"
    template_archive(actor=request.actor, template=found, archived=archived)
    url = reverse("template", args=[found.public_id])
    words = "put away; its jobs and versions stay" if archived else "taken out again"
    messages.success(request, f"“{found.name}” is {words}.", extra_tags=url)
    return go_to(request, url)
