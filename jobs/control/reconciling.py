"""Reconciliation: a provider's account of its calls is read, held against the calls in doubt, and, once
a person has seen what that comes to, settles them. Both are audited; a file changes nothing twice."""

import io
from datetime import datetime, timedelta
from typing import IO

from django.db import transaction
from django.utils import timezone

from jobs.costs.usage_file import BadLine, read_usage
from jobs.engine.reconciling import Truth, Truths, doubts
from jobs.errors import Conflict, Invalid
from jobs.models import Connection, Reconciliation
from jobs.money import usd_string
from jobs.providers.types import Usage
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action

MAX_BYTES = 200 * 2**20
# Calls in doubt that are looked at; more than a busy year brings.
MAX_DOUBTS = 20_000
SHOWN_BAD = 100
# The time of a call is when its worker was last heard of: it may have left, and been counted, later.
MARGIN = timedelta(minutes=15)


def reconciliation_read(
    *,
    actor: Actor,
    connection: Connection,
    file: IO[bytes],
    name: str,
    size: int,
    covers_from: datetime | None = None,
    covers_to: datetime | None = None,
) -> Reconciliation:
    """Read an account and say what it would settle; nothing is settled yet.

    With `covers_from` and `covers_to` the person says that all calls of that time are in the file: then
    those in doubt that are not were never counted. Raises Invalid.
    """
    actor.require(Action.LEDGER_CORRECT)
    if size > MAX_BYTES:
        raise Invalid.field("file", f"At most {MAX_BYTES // 2**20} MB")
    if (covers_from is None) != (covers_to is None):
        raise Invalid.field("covers_to", "From when to when: both, or neither")
    if covers_from is not None and covers_to is not None and covers_from >= covers_to:
        raise Invalid.field("covers_to", "Must lie behind its beginning")
    open_still = {one.provider_request_id: one for one in doubts(connection.pk)[:MAX_DOUBTS]}
    found: list[list[object]] = []
    bad: list[list[object]] = []
    lines = faulty = 0
    named: set[str] = set()
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    for line in read_usage(text):
        lines += 1
        if isinstance(line, BadLine):
            faulty += 1
            if len(bad) < SHOWN_BAD:
                bad.append([line.number, line.reason])
            continue
        attempt = open_still.get(line.request_id)
        if attempt is None:
            continue
        named.add(line.request_id)
        used = line.usage or Usage()
        found.append([
            attempt.job_id, attempt.n, attempt.number, line.number, used.input_tokens,
            used.cached_input_tokens, used.cache_write_tokens, used.cache_write_1h_tokens,
            used.output_tokens, line.cost,
        ])  # fmt: skip
    absent = []
    # A line that cannot be read may be that of any call.
    if covers_from is not None and covers_to is not None and not faulty:
        absent = [
            [one.job_id, one.n, one.number]
            for request_id, one in open_still.items()
            if request_id not in named and covers_from <= one.started_at <= covers_to - MARGIN
        ]
    with transaction.atomic():
        made = Reconciliation.objects.create(
            team=actor.team,
            connection=connection,
            name=name[:200],
            covers_from=covers_from,
            covers_to=covers_to,
            lines=lines,
            found=found,
            absent=absent,
            bad=bad,
            bad_lines=faulty,
            doubts=len(open_still),
            created_by=actor.user,
        )
        record(actor, "ledger.account_read", made, lines=lines, found=len(found))
    return made


def reconciliation_apply(*, actor: Actor, reconciliation: Reconciliation) -> Reconciliation:
    """Settle what was found. Raises Conflict where it was done already."""
    actor.require(Action.LEDGER_CORRECT)
    now = timezone.now()
    act = reconciliation.public_id
    if reconciliation.applied_at is not None:
        raise Conflict("This account was applied already.")
    said = f"By the account “{reconciliation.name}”"
    truths = [
        Truth(job_id, n, number, Usage(used[0], used[4], *used[1:4]), cost, f"{said}, line {line}.")
        for job_id, n, number, line, *used, cost in reconciliation.found
    ]
    truths += [
        Truth(job_id, n, number, Usage(), 0, f"{said} the provider never counted it.")
        for job_id, n, number in reconciliation.absent
    ]
    settled = Truths(reconciliation.connection, act, actor.user.pk, now).settle(truths)
    cost, doubt = sum(one.cost for one in settled), -sum(one.in_doubt_cost for one in settled)
    with transaction.atomic():
        # Of two at a time the later one has settled nothing.
        first = Reconciliation.objects.filter(pk=reconciliation.pk, applied_at__isnull=True)
        if first.update(
            applied_at=now, applied_by=actor.user, settled=len(settled), cost=cost, doubt=doubt
        ):
            record(
                actor, "ledger.reconcile", reconciliation, settled=len(settled),
                cost_usd=usd_string(cost), doubt_usd=usd_string(doubt),
            )  # fmt: skip
    reconciliation.refresh_from_db()
    return reconciliation
