"""Templates: saved as numbered, immutable versions; renamed; put away."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from jobs.errors import FieldError, Invalid
from jobs.models import PromptTemplate, TemplateKind, TemplateVersion
from jobs.prompts.rules import check_rules
from jobs.prompts.schema import check_schema
from jobs.prompts.template import PromptText, TemplateFault
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action

NAMES = "1 to 200 characters that can be seen"


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= 200 and name.isprintable()


def draft_errors(
    *, system: str, user: str, output_schema: Any, rules: Any, defaults: Any = None
) -> list[FieldError]:
    """Everything that is wrong with a draft of a version."""
    errors: list[FieldError] = []
    if not user.strip():
        errors.append(FieldError(("user",), "The user message must not be empty"))
    try:
        PromptText.compile(system, user)
    except TemplateFault as fault:
        line = f" (line {fault.line})" if fault.line else ""
        errors.append(FieldError((fault.part,), f"{fault.message}{line}"))
    for part, text in (("system", system), ("user", user)):
        if "\0" in text:
            errors.append(FieldError((part,), "The text holds a NUL character: remove it"))
    if output_schema is not None:
        errors += check_schema(output_schema)
    errors += check_rules(rules)
    if defaults is not None and not isinstance(defaults, Mapping):
        errors.append(FieldError(("defaults",), "An object of parameters"))
    return errors


def template_save(
    *,
    actor: Actor,
    name: str,
    system: str,
    user: str,
    output_schema: Mapping[str, Any] | None = None,
    rules: Sequence[Any] = (),
    defaults: Mapping[str, Any] | None = None,
    kind: str = TemplateKind.GENERATE,
) -> tuple[TemplateVersion, bool]:
    """Save under a name: the next version of it, or version 1 of a new template.

    Returns the version and whether it is new: when nothing changed it is the latest one. Raises
    Invalid with every fault at once.
    """
    actor.require(Action.TEMPLATE_WRITE)
    name = name.strip()
    # Browsers send line ends as CR LF; the same text must be the same version from everywhere.
    system, user = system.replace("\r\n", "\n"), user.replace("\r\n", "\n")
    errors = draft_errors(
        system=system, user=user, output_schema=output_schema, rules=rules, defaults=defaults
    )
    if not _is_name(name):
        errors.insert(0, FieldError(("name",), NAMES))
    if kind not in TemplateKind.values:
        errors.append(FieldError(("kind",), f"One of {', '.join(TemplateKind.values)}"))
    if errors:
        raise Invalid(errors)
    with transaction.atomic():
        PromptTemplate.objects.get_or_create(team=actor.team, name=name, defaults={"kind": kind})
        # Locked: two people saving at once get two numbers.
        template = PromptTemplate.objects.select_for_update().get(team=actor.team, name=name)
        text = {
            "system": system,
            "user": user,
            "output_schema": dict(output_schema) if output_schema is not None else None,
            "rules": list(rules),
            "defaults": dict(defaults or {}),
        }
        latest = template.versions.filter(version=template.latest_version).first()
        if latest is not None and _same(latest, text):
            return latest, False
        version = TemplateVersion.objects.create(
            template=template,
            version=template.latest_version + 1,
            created_by=actor.user,
            **text,
        )
        template.latest_version = version.version
        template.archived_at = None
        template.save(update_fields=["latest_version", "archived_at", "updated_at"])
        record(actor, "template.save", template, name=name, version=version.version)
    return version, True


def _same(latest: TemplateVersion, text: Mapping[str, Any]) -> bool:
    """Whether it says the same as the latest version: 1 is not true, and of a schema the order counts,
    since models answer in it."""
    return all(
        orjson.dumps(getattr(latest, name), option=_sorted(name))
        == orjson.dumps(value, option=_sorted(name))
        for name, value in text.items()
    )


def _sorted(name: str) -> int | None:
    return None if name == "output_schema" else orjson.OPT_SORT_KEYS


def template_rename(*, actor: Actor, template: PromptTemplate, name: str) -> None:
    """Raises Invalid where the name is taken or empty."""
    actor.require(Action.TEMPLATE_WRITE)
    name = name.strip()
    if not _is_name(name):
        raise Invalid.field("name", NAMES)
    taken = PromptTemplate.objects.filter(team=actor.team, name=name).exclude(pk=template.pk)
    if taken.exists():
        raise Invalid.field("name", "Another template of this team has this name")
    before, template.name = template.name, name
    with transaction.atomic():
        template.save(update_fields=["name", "updated_at"])
        record(actor, "template.rename", template, before=before, after=name)


def template_archive(*, actor: Actor, template: PromptTemplate, archived: bool) -> None:
    """Put a template away (jobs keep referring to its versions), or take it out again."""
    actor.require(Action.TEMPLATE_WRITE)
    if archived == (template.archived_at is not None):
        return
    template.archived_at = timezone.now() if archived else None
    with transaction.atomic():
        template.save(update_fields=["archived_at"])
        record(actor, "template.archive" if archived else "template.unarchive", template)
