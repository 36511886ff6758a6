"""/costs"""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BeforeValidator

from jobs.api.actor import actor_for
from jobs.api.answers import CostsOut
from jobs.api.payloads import one_of
from jobs.costs.selectors import GROUPS, cost_table, tag_names
from jobs.costs.sums import CAUSES, CostSums
from jobs.errors import Invalid
from jobs.money import usd_string
from jobs.teams.policy import Action

router = Router(tags=["costs"])
DEFAULT_DAYS = 30
_COUNTS = (
    "calls", "accepted", "results", "shared", "reused", "input_tokens", "cached_input_tokens",
    "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "in_doubt_calls",
    "unpriced_calls", "estimated_calls",
)  # fmt: skip
_MONEY = {
    "cost": "known_cost",
    "cost_per_result": "cost_per_result",
    "wasted_cost": "known_wasted_cost",
    **{f"{cause}_cost": f"{cause}_cost" for cause in CAUSES},
    "in_doubt_cost": "known_in_doubt_cost",
    "estimated_cost": "estimated_cost",
    "cache_savings": "cache_savings",
    "batch_savings": "batch_savings",
    "reuse_savings": "reuse_savings",
}


def _blank(given: Any) -> Any:
    return None if given == "" else given


@router.get("", operation_id="cost_list", response=CostsOut, summary="What was spent")
def costs(
    request: HttpRequest,
    group_by: Annotated[str, one_of(*GROUPS)] = "day",
    tag: str = "",
    day_from: Annotated[date | None, BeforeValidator(_blank), Query(None, alias="from")] = None,
    day_to: Annotated[date | None, BeforeValidator(_blank), Query(None, alias="to")] = None,
) -> Any:
    """Days in UTC, both included; the last 30 without a range. A cost of `null` is unknown. `tag` is the
    name of the tag to group by, the commonest one where none is given; what has no such tag has the
    key ""."""
    actor = actor_for(request, Action.COST_READ)
    if group_by not in GROUPS:
        raise Invalid.field("group_by", f"One of {', '.join(GROUPS)}")
    last = day_to or datetime.now(UTC).date()
    first = day_from or date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS + 1))
    if first > last:
        raise Invalid.field("from", "Must not lie behind “to”")
    team_ids = (actor.team.pk,)
    if group_by == "tag" and not tag:
        tag = next(iter(tag_names(team_ids)), "")
    table = cost_table(team_ids=team_ids, group_by=group_by, date_from=first, date_to=last, tag=tag)
    rows = [{"key": row.key, "label": row.label, **_sums(row)} for row in table.rows]
    return {"rows": rows, "total": _sums(table.total), "day_from": str(first), "day_to": str(last)}


def _sums(sums: CostSums) -> dict[str, Any]:
    counts = {name: getattr(sums, name) for name in _COUNTS}
    money = {name: usd_string(getattr(sums, source)) for name, source in _MONEY.items()}
    return counts | money
