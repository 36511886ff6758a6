"""/jobs/{id}/revalue: corrections of the ledger"""

from datetime import date
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from jobs.api.actor import actor_for
from jobs.api.answers import RevaluationOut
from jobs.api.idempotency import idempotent
from jobs.api.payloads import RevalueIn
from jobs.control.revaluing import job_revalue, revalue_preview
from jobs.errors import Invalid
from jobs.money import usd_string
from jobs.teams.access import job_for
from jobs.teams.policy import Action

router = Router(tags=["ledger"])


@router.post(
    "/{job_id}/revalue",
    operation_id="job_revalue",
    response={200: RevaluationOut, 202: RevaluationOut},
    summary="Value a job anew from a day on",
)
@idempotent
def revalue(request: HttpRequest, job_id: str, payload: RevalueIn) -> Any:
    """Each charged call booked from that day (UTC) on, at the prices known now for when it was made.
    Lines that correct the ledger are added in the background; the lines themselves stay. With `preview`
    nothing is written, and the answer says what it would change (of the first `looked_at` calls,
    unless it is `whole`)."""
    actor = actor_for(request, Action.LEDGER_CORRECT)
    job = job_for(actor, job_id)
    try:
        day_from = date.fromisoformat(payload.day_from)
    except ValueError as wrong:
        raise Invalid.field("from", "A day, as in 2026-11-24") from wrong
    if payload.preview:
        seen = revalue_preview(actor=actor, job=job, day_from=day_from)
        return Status(
            200,
            {
                "id": None,
                "day_from": day_from.isoformat(),
                "lines": seen.lines,
                "difference": usd_string(seen.difference),
                "without_price": seen.without_price,
                "looked_at": seen.looked_at,
                "whole": seen.whole,
            },
        )
    made = job_revalue(actor=actor, job=job, day_from=day_from)
    return Status(
        202,
        {
            "id": made.public_id,
            "day_from": day_from.isoformat(),
            "lines": made.lines,
            "difference": usd_string(made.difference),
            "without_price": made.without_price,
            "looked_at": 0,
            "whole": False,
        },
    )
