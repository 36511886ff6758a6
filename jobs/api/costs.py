"""/costs"""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from ninja.params.functions import Query

from jobs.api.actor import actor_for
from jobs.api.answers import CostsOut
from jobs.costs.selectors import GROUPS, CostSums, cost_table
from jobs.errors import Invalid
from jobs.money import usd_string
from jobs.teams.policy import Action

router = Router(tags=["costs"])
DEFAULT_DAYS = 30


@router.get("", operation_id="cost_list", response=CostsOut, summary="What was spent")
def costs(
    request: HttpRequest,
    group_by: str = "day",
    day_from: Annotated[date | None, Query(alias="from")] = None,
    day_to: Annotated[date | None, Query(alias="to")] = None,
) -> Any:
    """Days in UTC, both included; the last 30 without a range. A cost of `null` is unknown."""
    actor = actor_for(request, Action.COST_READ)
    if group_by not in GROUPS:
        raise Invalid.field("group_by", f"One of {', '.join(GROUPS)}")
    last = day_to or datetime.now(UTC).date()
    first = day_from or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise Invalid.field("from", "Must not lie behind “to”")
    table = cost_table(team_ids=[actor.team.pk], group_by=group_by, date_from=first, date_to=last)
    rows = [{"key": row.key, "label": row.label, **_sums(row)} for row in table.rows]
    return {"rows": rows, "total": _sums(table.total), "day_from": str(first), "day_to": str(last)}


def _sums(sums: CostSums) -> dict[str, Any]:
    shape = asdict(sums)
    shape.pop("key", None)
    shape.pop("label", None)
    for name in ("wasted_cost", "in_doubt_cost", "batch_savings"):
        shape[name] = usd_string(shape[name])
    shape["cost"] = usd_string(sums.known_cost)
    return shape
