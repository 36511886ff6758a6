"""/jobs/{id}/revalue and /reconciliations: corrections of the ledger"""

import io
from datetime import date
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from jobs.api.actor import actor_for
from jobs.api.answers import ReconciliationOut, RevaluationOut
from jobs.api.idempotency import idempotent
from jobs.api.naming import named
from jobs.api.payloads import ReconciliationIn, RevalueIn
from jobs.api.shapes import iso
from jobs.control.reconciling import reconciliation_apply, reconciliation_read
from jobs.control.revaluing import job_revalue, revalue_preview
from jobs.errors import Invalid
from jobs.models import Reconciliation
from jobs.money import usd_string
from jobs.teams.access import connection_for, job_for, reconciliation_for
from jobs.teams.policy import Action

router = Router(tags=["ledger"])
reconciliations = Router(tags=["ledger"])


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


def _shape(made: Reconciliation) -> dict[str, Any]:
    return {
        "id": made.public_id,
        "connection": made.connection.public_id,
        "name": made.name,
        "lines": made.lines,
        "found": len(made.found),
        "absent": len(made.absent),
        "unreadable": made.bad_lines,
        "bad": [{"line": number, "reason": reason} for number, reason in made.bad],
        "applied_at": iso(made.applied_at),
        "settled": made.settled,
        "cost": usd_string(made.cost),
        "doubt_taken_off": usd_string(made.doubt),
    }


@reconciliations.post(
    "",
    operation_id="reconciliation_read",
    response={201: ReconciliationOut},
    summary="Read a provider's account",
)
@idempotent
def read_account(request: HttpRequest, payload: ReconciliationIn) -> Any:
    """Hold a provider's account of its calls against the calls in doubt. Nothing is settled before it is
    applied."""
    actor = actor_for(request, Action.LEDGER_CORRECT)
    content = payload.content.encode("utf-8", "replace")
    made = reconciliation_read(
        actor=actor,
        connection=named("connection", lambda: connection_for(actor, payload.connection)),
        file=io.BytesIO(content),
        name=payload.name,
        size=len(content),
        covers_from=payload.covers_from,
        covers_to=payload.covers_to,
    )
    return Status(201, _shape(made))


@reconciliations.get(
    "/{reconciliation_id}",
    operation_id="reconciliation_get",
    response=ReconciliationOut,
    summary="An account that was read",
)
def get_account(request: HttpRequest, reconciliation_id: str) -> Any:
    actor = actor_for(request, Action.LEDGER_CORRECT)
    return _shape(reconciliation_for(actor, reconciliation_id))


@reconciliations.post(
    "/{reconciliation_id}/apply",
    operation_id="reconciliation_apply",
    response=ReconciliationOut,
    summary="Settle the calls in doubt that an account names",
)
@idempotent
def apply_account(request: HttpRequest, reconciliation_id: str) -> Any:
    """Lines that correct the ledger are added; the lines in doubt stay as they are."""
    actor = actor_for(request, Action.LEDGER_CORRECT)
    made = reconciliation_for(actor, reconciliation_id)
    return _shape(reconciliation_apply(actor=actor, reconciliation=made))
