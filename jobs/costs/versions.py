"""Whether a version of a template costs more for each result than the one before it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from jobs.costs.grouping import Days, Scope, group_sums
from jobs.costs.sums import CostSums
from jobs.models import TemplateVersion

# How far before the range the version before is looked for.
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
    """By version, or by template for its newest version with results: in the range and `DAYS` before."""
    wide = Scope(scope.team_ids, {k: v for k, v in scope.narrow.items() if k != "version"})
    since = Days(days.first - timedelta(DAYS), days.last)
    each: dict[int, int] = {}
    for key, accepted, shared, reused, cost, unpriced in group_sums(
        wide, since, ["version"], _SUMS
    )[0]:
        sums = CostSums(
            accepted=int(accepted), shared=int(shared), reused=int(reused), cost=int(cost),
            unpriced_calls=int(unpriced),
        )  # fmt: skip
        if sums.cost_per_result is not None:
            each[key] = sums.cost_per_result
    known: dict[int, list[tuple[int, int]]] = defaultdict(list)
    versions = TemplateVersion.objects.filter(pk__in=each).order_by("template_id", "version")
    for pk, template_id, number in versions.values_list("pk", "template_id", "version"):
        known[template_id].append((number, pk))
    found: dict[Any, VersionChange] = {}
    for template_id, numbered in known.items():
        for (before, old), (number, new) in pairwise(numbered):
            change = VersionChange(number, before, each[new], each[old])
            found[template_id if by == "template" else new] = change
    return {key: found[key] for key in ids if key in found}
