"""/templates"""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from jobs.api.actor import actor_for
from jobs.api.answers import Page, PreviewOut, TemplateOut
from jobs.api.idempotency import idempotent
from jobs.api.naming import named
from jobs.api.paging import PAGE, Cursor, Limit, key_of, page_of
from jobs.api.payloads import Number, PreviewIn, TemplateIn
from jobs.api.shapes import template_shape
from jobs.control.parameters import check_parameters
from jobs.errors import FieldError, Invalid
from jobs.models import PromptTemplate, TemplateVersion
from jobs.prompts.selectors import preview
from jobs.prompts.services import draft_errors, template_save
from jobs.prompts.template import PromptText
from jobs.teams.access import dataset_for, template_version_for
from jobs.teams.policy import Action

router = Router(tags=["templates"])


@router.post(
    "", operation_id="template_save", response=TemplateOut, summary="Save a template version"
)
@idempotent
def save(request: HttpRequest, payload: TemplateIn) -> Any:
    """The same name makes the next version; where nothing changed, the latest one is the answer."""
    actor = actor_for(request, Action.TEMPLATE_WRITE)
    given = payload.model_dump()
    errors: list[FieldError] = []
    given["defaults"] = check_parameters(payload.defaults, errors, ("defaults",))
    if errors:
        draft = {name: given[name] for name in ("system", "user", "output_schema", "rules")}
        raise Invalid([*draft_errors(**draft), *errors])
    version, _ = template_save(actor=actor, **given)
    return template_shape(version)


@router.get(
    "",
    operation_id="template_list",
    response=Page[TemplateOut],
    summary="The team's templates, each latest version",
)
def index(request: HttpRequest, cursor: Cursor = "", limit: Limit = PAGE) -> Any:
    actor = actor_for(request, Action.TEMPLATE_READ)
    before = key_of(cursor)
    found = PromptTemplate.objects.filter(team=actor.team, archived_at__isnull=True)
    if before is not None:
        found = found.filter(pk__lt=before)
    templates = list(found.order_by("-pk")[: limit + 1])
    more = templates[limit - 1].pk if len(templates) > limit else None
    latest = {
        version.template_id: version
        for version in TemplateVersion.objects.filter(
            template__in=templates[:limit]
        ).select_related("template")
        if version.version == version.template.latest_version
    }
    return page_of(
        [template_shape(latest[t.pk]) for t in templates[:limit] if t.pk in latest], more
    )


@router.get(
    "/{template_id}",
    operation_id="template_get",
    response=TemplateOut,
    summary="A template version",
)
def get(request: HttpRequest, template_id: str, version: Number | None = None) -> Any:
    actor = actor_for(request, Action.TEMPLATE_READ)
    return template_shape(template_version_for(actor, template_id, version))


@router.post(
    "/{template_id}/preview",
    operation_id="template_preview",
    response=PreviewOut,
    summary="Render rows",
)
@idempotent
def render(request: HttpRequest, template_id: str, payload: PreviewIn) -> Any:
    """The messages of some rows as the model would see them. No call is made."""
    actor = actor_for(request, Action.TEMPLATE_READ)
    version = template_version_for(actor, template_id, payload.version)
    dataset = named("dataset", lambda: dataset_for(actor, payload.dataset))
    prompt = PromptText.compile(version.system, version.user)
    return {
        "rows": [
            {
                "row": row.n,
                "system": row.system,
                "user": row.user,
                "input_tokens": row.tokens,
                "error": row.error or None,
            }
            for row in preview(prompt=prompt, dataset=dataset, rows=payload.rows)
        ]
    }
