"""Whether a version of a template costs more for each result than the one before it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from jobs.costs.grouping import Days, Scope, group_sums
from jobs.costs.sums import CostSums
from jobs.models import TemplateVersion

# How far before the range the version before it is looked for.
DAYS = 60
_SUMS = ("accepted", "shared", "reused", "cost", "unpriced_calls")


@dataclass(frozen=True, slots=True)
class VersionChange:
    """Cost a result, against the newest earlier version that has results."""

    version: int
    before: int
    cost: int  # pico-USD
    cost_before: int

    @property
    def share(self) -> float | None:
        return (self.cost - self.cost_before) / self.cost_before if self.cost_before else None


def version_changes(
    scope: Scope, by: str, ids: Sequence[Any], days: Days
) -> dict[Any, VersionChange]:
    """By version, or by template for its newest version with results in these days; against what the
    one before cost in these days, or in the `DAYS` before them where it was not used any more."""
    wide = Scope(scope.team_ids, {k: v for k, v in scope.narrow.items() if k != "version"})
    each = _each(wide, days)
    templates = set(
        TemplateVersion.objects.filter(pk__in=each).values_list("template_id", flat=True)
    )
    known: dict[int, list[tuple[int, int]]] = defaultdict(list)
    versions = TemplateVersion.objects.filter(template_id__in=templates)
    for pk, template_id, number in versions.order_by("template_id", "version").values_list(
        "pk", "template_id", "version"
    ):
        known[template_id].append((number, pk))
    if any(_unanswered(numbered, each) for numbered in known.values()):
        before = Days(days.first - timedelta(DAYS), days.first - timedelta(1))
        each = _each(wide, before) | each
    found: dict[Any, VersionChange] = {}
    for template_id, numbered in known.items():
        told = [(number, pk) for number, pk in numbered if pk in each]
        for (before_number, old), (number, new) in pairwise(told):
            change = VersionChange(number, before_number, each[new], each[old])
            found[template_id if by == "template" else new] = change
    return {key: found[key] for key in ids if key in found}


def _unanswered(numbered: Sequence[tuple[int, int]], each: Mapping[int, int]) -> bool:
    """Whether a version that was used has one before it that was not, in these days."""
    first = next((at for at, (_, pk) in enumerate(numbered) if pk in each), 0)
    return first > 0


def _each(scope: Scope, days: Days) -> dict[int, int]:
    """What a result of each version cost, as far as that is known."""
    found: dict[int, int] = {}
    for key, accepted, shared, reused, cost, unpriced in group_sums(
        scope, days, ["version"], _SUMS
    )[0]:
        sums = CostSums(
            accepted=int(accepted), shared=int(shared), reused=int(reused), cost=int(cost),
            unpriced_calls=int(unpriced),
        )  # fmt: skip
        if sums.cost_per_result is not None:
            found[key] = sums.cost_per_result
    return found
