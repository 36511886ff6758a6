"""/costs"""

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BeforeValidator

from jobs.api.actor import actor_for
from jobs.api.answers import CostsOut
from jobs.api.payloads import one_of
from jobs.costs.selectors import GROUPS, CostSums, cost_table
from jobs.errors import Invalid
from jobs.money import usd_string
from jobs.teams.policy import Action

router = Router(tags=["costs"])
DEFAULT_DAYS = 30


def _blank(given: Any) -> Any:
    return None if given == "" else given


@router.get("", operation_id="cost_list", response=CostsOut, summary="What was spent")
def costs(
    request: HttpRequest,
    group_by: Annotated[str, one_of(*GROUPS)] = "day",
    day_from: Annotated[date | None, BeforeValidator(_blank), Query(None, alias="from")] = None,
    day_to: Annotated[date | None, BeforeValidator(_blank), Query(None, alias="to")] = None,
) -> Any:
    """Days in UTC, both included; the last 30 without a range. A cost of `null` is unknown."""
    actor = actor_for(request, Action.COST_READ)
    if group_by not in GROUPS:
        raise Invalid.field("group_by", f"One of {', '.join(GROUPS)}")
    last = day_to or datetime.now(UTC).date()
    first = day_from or date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS + 1))
    if first > last:
        raise Invalid.field("from", "Must not lie behind “to”")
    table = cost_table(team_ids=[actor.team.pk], group_by=group_by, date_from=first, date_to=last)
    rows = [{"key": row.key, "label": row.label, **_sums(row)} for row in table.rows]
    return {"rows": rows, "total": _sums(table.total), "day_from": str(first), "day_to": str(last)}


def _sums(sums: CostSums) -> dict[str, Any]:
    shape = asdict(sums)
    shape.pop("key", None)
    shape.pop("label", None)
    shape["batch_savings"] = usd_string(sums.batch_savings)
    shape["cost"] = usd_string(sums.known_cost)
    shape["wasted_cost"] = usd_string(sums.known_wasted_cost)
    shape["in_doubt_cost"] = usd_string(sums.known_in_doubt_cost)
    return shape
