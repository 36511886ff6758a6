"""The template editor: checked as one types, tried for real on some rows, saved as a version."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from jobs.control.try_out import MAX_ROWS, TryResult, template_try
from jobs.costs.pricing import value
from jobs.errors import Invalid
from jobs.models import (
    Connection,
    Dataset,
    Job,
    PromptTemplate,
    TemplateVersion,
)
from jobs.prompts.schema import FORM_TYPES
from jobs.prompts.services import draft_errors, template_save
from jobs.providers.types import Usage
from jobs.teams.access import connection_for, dataset_for, template_version_for
from jobs.teams.policy import Action
from jobs.web.models_known import known_models
from jobs.web.pages import PageRequest, go_to, page
from jobs.web.template_check import (
    advice_of,
    checked,
    connection_of,
    price_of,
    ready_datasets,
    usual_dataset,
)
from jobs.web.template_form import EditorForm


@page(Action.TEMPLATE_WRITE, methods=("GET", "POST"), keeps=True)
def template_new(request: PageRequest) -> HttpResponse:
    """An empty editor, or one filled in from `?from=` another template."""
    source = None
    if request.GET.get("from"):
        source = template_version_for(request.actor, request.GET["from"])
    return _editor(request, None, source)


@page(Action.TEMPLATE_WRITE, methods=("GET", "POST"), keeps=True)
def template_edit(request: PageRequest, template_id: str) -> HttpResponse:
    """The latest version in the editor, or `?version=`; saving makes the next one."""
    number = request.GET.get("version", "")[:9]
    version = template_version_for(
        request.actor, template_id, int(number) if number.isdecimal() else None
    )
    return _editor(request, version.template, version)


def _editor(
    request: PageRequest, template: PromptTemplate | None, version: TemplateVersion | None
) -> HttpResponse:
    if request.method != "POST":
        form = EditorForm.from_version(version)
        if template is None:
            form.name = ""
        return render(request, "templates/editor.html", _context(request, form, template, version))
    form = EditorForm.from_post(request.POST, version)
    if template is not None:
        form.name = template.name
    action = "check" if request.resumed else request.POST.get("action", "check")
    if action == "save":
        saved = _save(request, form)
        if saved is not None:
            return saved
    if action == "to_json":
        form.to_json()
    elif action == "to_fields":
        form.to_fields()
    context = _context(request, form, template, version)
    if action == "try":
        context["results"] = _try(request, form, template, context)
    if action in ("check", "try"):
        form.take(_draft_errors(form))
    context["error"] = form.error()
    part = {"section#check": "#check", "section#tried": "#tried"}.get(request.htmx.target or "", "")
    status = 422 if form.errors and not part else 200
    return render(request, f"templates/editor.html{part}", context, status=status)


def _draft_errors(form: EditorForm) -> list[Any]:
    return draft_errors(
        system=form.system, user=form.user, output_schema=form.schema(), rules=form.rules()
    )


def _save(request: PageRequest, form: EditorForm) -> HttpResponse | None:
    schema, rules, defaults = form.schema(), form.rules(), form.defaults()
    if form.errors:
        return None
    try:
        version, created = template_save(
            actor=request.actor,
            name=form.name,
            system=form.system,
            user=form.user,
            output_schema=schema,
            rules=rules,
            defaults=defaults,
        )
    except Invalid as fault:
        form.take(fault.errors)
        return None
    url = reverse("template", args=[version.template.public_id])
    words = (
        f"Saved version {version.version} of “{version.template.name}”."
        if created
        else f"Nothing changed: version {version.version} stays the latest."
    )
    messages.success(request, words, extra_tags=url)
    return go_to(request, url)


def _try(
    request: PageRequest,
    form: EditorForm,
    template: PromptTemplate | None,
    context: dict[str, Any],
) -> list[TryResult]:
    """Real calls with what stands in the editor. Faults go beside their fields."""
    dataset, connection = context["dataset"], _connection(request)
    if dataset is None:
        form.fault("try", "Choose a dataset to take rows from")
    if connection is None:
        form.fault("try", "Choose a connection")
    rows = _rows(request.POST.get("try_rows", "1"))
    if not rows:
        form.fault("try", f"Name 1 to {MAX_ROWS} rows, such as 1, 5, 9")
    schema, rules, defaults = form.schema(), form.rules(), form.defaults()
    if form.errors or dataset is None or connection is None:
        return []
    try:
        return template_try(
            actor=request.actor,
            template=template,
            system=form.system,
            user=form.user,
            output_schema=schema,
            rules=rules,
            dataset=dataset,
            rows=rows,
            connection=connection,
            model=request.POST.get("try_model", ""),
            parameters=defaults,
        )
    except Invalid as fault:
        for error in fault.errors:
            known = str(error.loc[0]) in ("system", "user", "output_schema", "rules")
            if known:
                form.take([error])
            else:
                form.fault("try", f"{error.loc[0]}: {error.msg}")
        return []


def _rows(text: str) -> list[int]:
    numbers = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    if not all(part.isdecimal() and len(part) < 10 for part in numbers):
        return []
    return list(dict.fromkeys(int(part) for part in numbers))[: MAX_ROWS + 1]


def _first_rows(dataset: Dataset | None) -> str:
    most = 3 if dataset is None else max(1, min(3, dataset.rows))
    return ", ".join(str(n) for n in range(1, most + 1))


def _connection(request: PageRequest) -> Connection | None:
    chosen = request.POST.get("try_connection", "")
    return connection_for(request.actor, chosen) if chosen else None


def _context(
    request: PageRequest,
    form: EditorForm,
    template: PromptTemplate | None,
    version: TemplateVersion | None,
) -> dict[str, Any]:
    actor = request.actor
    given = request.POST if request.method == "POST" else request.GET
    datasets = ready_datasets(actor)
    chosen = given.get("dataset", "")
    dataset = dataset_for(actor, chosen) if chosen else usual_dataset(datasets, template)
    number = given.get("row", "1")
    row = int(number) if number.isdecimal() and 0 < len(number) < 10 else 1
    shown, use, fault = checked(form, dataset, row)
    connections = Connection.objects.filter(team=actor.team, removed_at__isnull=True)
    # The usual choice is what the last job used.
    last = Job.objects.filter(team=actor.team, connection__in=connections).order_by("-pk").first()
    used = given.get("try_connection", last.connection.public_id if last else "")
    models = known_models(actor.team)
    model = given.get("try_model", "") or (last.model if last else next(iter(models), ""))
    connection = connection_of(connections, used)
    price = price_of(connection, model)
    return {
        "form": form,
        "error": form.error(),
        "template": template,
        "version": version,
        "types": FORM_TYPES,
        "datasets": datasets,
        "dataset": dataset,
        "row": row,
        "shown": shown,
        "use": use,
        "fault": fault,
        "advice": None if fault else advice_of(form, connection, model, price),
        "total_tokens": shown.tokens * dataset.rows if shown and dataset else None,
        "row_cost": value(Usage(shown.tokens), price) if shown and price else None,
        "total_cost": (
            value(Usage(shown.tokens), price) * dataset.rows
            if shown and price and dataset
            else None
        ),
        "connections": connections.order_by("name"),
        "try_connection": used,
        "try_model": model,
        "try_rows": given.get("try_rows", _first_rows(dataset)),
        "models": models,
        "max_rows": MAX_ROWS,
    }
