"""Reading templates: lists, versions with what they achieved, previews, differences."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Count, F, QuerySet, Sum

from jobs.models import Dataset, DatasetRow, PromptTemplate, Team, TemplateVersion
from jobs.prompts.template import PromptText, RenderFault
from jobs.prompts.tokens import estimate_tokens
from jobs.written import read_row


def team_templates(
    team: Team, *, archived: bool = False, text: str = ""
) -> QuerySet[PromptTemplate]:
    found = PromptTemplate.objects.filter(team=team, archived_at__isnull=not archived)
    if text:
        found = found.filter(name__icontains=text)
    return found.order_by("-updated_at", "-id")


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """What a version achieved over all its jobs; `cost` in pico-USD."""

    version: TemplateVersion
    runs: int
    succeeded: int
    failed: int
    cost: int
    unpriced: int

    @property
    def success_rate(self) -> float | None:
        done = self.succeeded + self.failed
        return self.succeeded / done if done else None

    @property
    def known_cost(self) -> int | None:
        """None where nothing but calls of unknown price stand behind it."""
        return None if self.unpriced and not self.cost else self.cost

    @property
    def cost_per_success(self) -> int | None:
        return self.cost // self.succeeded if self.succeeded and not self.unpriced else None


def version_figures(template: PromptTemplate) -> list[VersionFigures]:
    """Every version, newest first."""
    return [_figures(version) for version in _counted(template.versions).order_by("-version")]


def latest_figures(templates: Sequence[PromptTemplate]) -> dict[int, VersionFigures]:
    """The latest version of each template by the template's key, in one query."""
    latest = TemplateVersion.objects.filter(
        template__in=templates, version=F("template__latest_version")
    )
    return {version.template_id: _figures(version) for version in _counted(latest)}


def _counted(versions: Any) -> Any:
    return versions.select_related("created_by").annotate(
        runs=Count("jobs"),
        done=Sum("jobs__succeeded"),
        broken=Sum("jobs__failed"),
        spent=Sum("jobs__cost"),
        unpriced=Sum("jobs__unpriced_attempts"),
    )


def _figures(version: Any) -> VersionFigures:
    return VersionFigures(
        version,
        version.runs,
        version.done or 0,
        version.broken or 0,
        version.spent or 0,
        version.unpriced or 0,
    )


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One row as the model would see it, or why it cannot be rendered. Tokens are estimated."""

    n: int
    system: str = ""
    user: str = ""
    tokens: int = 0
    error: str = ""


def preview(*, prompt: PromptText, dataset: Dataset, rows: Sequence[int]) -> list[PreviewRow]:
    """Render some rows of a dataset; a row that does not exist says so."""
    data = dict(
        DatasetRow.objects.filter(dataset_id=dataset.pk, n__in=list(rows)).values_list("n", "data")
    )
    found = []
    for n in rows:
        if n not in data:
            found.append(PreviewRow(n, error=f"The dataset has rows 1 to {dataset.rows:,}"))
            continue
        try:
            rendered = prompt.render(read_row(data[n]))
        except RenderFault as fault:
            found.append(PreviewRow(n, error=str(fault)))
            continue
        tokens = estimate_tokens(rendered.system + rendered.user)
        found.append(PreviewRow(n, rendered.system, rendered.user, tokens))
    return found


@dataclass(frozen=True, slots=True)
class VariableUse:
    """A template's variables held against a dataset's columns."""

    known: list[str]
    unknown: list[str]  # asked for, but no such column
    unused: list[str]  # columns the template does not mention


def variable_use(prompt: PromptText, dataset: Dataset | None) -> VariableUse:
    columns = [column["name"] for column in dataset.columns] if dataset else []
    if dataset is None:
        return VariableUse(sorted(prompt.variables), [], [])
    return VariableUse(
        known=sorted(prompt.variables & set(columns)),
        unknown=sorted(prompt.variables - set(columns) - prompt.optional),
        unused=[column for column in columns if column not in prompt.variables],
    )


@dataclass(frozen=True, slots=True)
class DiffLine:
    """`kind` is "same", "added" or "removed"; the line numbers are those of each side."""

    kind: str
    text: str
    before: int | None
    after: int | None


def diff_versions(before: TemplateVersion, after: TemplateVersion) -> dict[str, list[DiffLine]]:
    """Line by line for each part that differs: system, user, output schema, rules, defaults."""
    parts = {}
    for name in ("system", "user", "output_schema", "rules", "defaults"):
        old, new = _lines(getattr(before, name)), _lines(getattr(after, name))
        if old != new:
            parts[name] = _diff(old, new)
    return parts


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines()
    if not value:
        return []
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().splitlines()


def _diff(old: list[str], new: list[str]) -> list[DiffLine]:
    lines = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            lines += [
                DiffLine("same", old[i], i + 1, j + 1)
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True)
            ]
            continue
        lines += [DiffLine("removed", old[i], i + 1, None) for i in range(i1, i2)]
        lines += [DiffLine("added", new[j], None, j + 1) for j in range(j1, j2)]
    return lines
