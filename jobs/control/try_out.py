"""Trying a template for real on a few rows: answers, cost, latency. Each call is a ledger line."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from jobs.control.parameters import check_parameters
from jobs.costs.services import direct_call_open, direct_call_settle, highest_of
from jobs.errors import BudgetRefused, FieldError, Invalid
from jobs.failures import POLICIES
from jobs.models import Connection, Dataset, DatasetRow, DirectCall, PromptTemplate
from jobs.prompts.schema import OutputCheck
from jobs.prompts.services import draft_errors
from jobs.prompts.template import PromptText, RenderFault
from jobs.prompts.tokens import upper_bound_tokens
from jobs.providers.dialogue import ask
from jobs.providers.transport_kinds import make_transport
from jobs.providers.types import Call, Endpoint, Outcome
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.endpoints import endpoint_of
from jobs.teams.policy import Action
from jobs.written import read_row

MAX_ROWS = 5  # a try is a look, not a run: a pilot job is for more
TIMEOUT_S = 60.0
DEFAULT_MAX_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class TryResult:
    """One row's answer. `cost` (pico-USD) is None when unknown; `output` passed the checks only if
    there is no `failure`."""

    n: int
    output: str = ""
    failure: str = ""
    message: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int | None = None
    took_ms: int = 0


def template_try(
    *,
    actor: Actor,
    template: PromptTemplate | None,
    system: str,
    user: str,
    output_schema: Mapping[str, Any] | None,
    rules: Sequence[Any],
    dataset: Dataset,
    rows: Sequence[int],
    connection: Connection,
    model: str,
    parameters: Mapping[str, Any],
) -> list[TryResult]:
    """Ask for 1 to 5 rows with a draft that need not be saved. Raises Invalid."""
    actor.require(Action.TEMPLATE_WRITE)
    errors = draft_errors(system=system, user=user, output_schema=output_schema, rules=rules)
    kept = check_parameters(parameters, errors)
    if not 1 <= len(rows) <= MAX_ROWS:
        errors.append(FieldError(("rows",), f"1 to {MAX_ROWS} rows"))
    if not model.strip():
        errors.append(FieldError(("model",), "Name a model"))
    try:
        endpoint = endpoint_of(connection)
    except ValueError as error:
        errors.append(FieldError(("connection",), str(error)))
    if errors:
        raise Invalid(errors)
    kept.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    kept.pop("timeout", None)
    prompt = PromptText.compile(system, user)
    check = OutputCheck.compile(output_schema, rules)
    record(
        actor, "template.try", template or connection, rows=len(rows), model=model.strip(),
        connection=connection.name,
    )  # fmt: skip
    found: dict[int, TryResult] = {}
    asked: list[tuple[int, dict[str, Any], Call, DirectCall]] = []
    for n, values in _values(dataset, rows).items():
        try:
            rendered = prompt.render(values)
        except RenderFault as fault:
            found[n] = TryResult(n, failure="render_error", message=str(fault))
            continue
        call = Call(
            model=model.strip(),
            system=rendered.system,
            user=rendered.user,
            schema=dict(output_schema) if output_schema is not None else None,
            parameters=kept,
        )
        bound = upper_bound_tokens(rendered.system + rendered.user)
        bound += upper_bound_tokens(str(output_schema)) if output_schema is not None else 0
        highest = highest_of(connection, call.model, bound, int(kept["max_tokens"]))
        try:
            line = direct_call_open(
                actor=actor,
                purpose="try",
                connection=connection,
                model=call.model,
                template=template,
                highest=highest,
            )
        except BudgetRefused as refusal:
            if not asked:
                raise
            found[n] = TryResult(n, failure="budget_exhausted", message=str(refusal))
            continue
        asked.append((n, values, call, line))
    answers = asyncio.run(_ask_all(endpoint, [call for _, _, call, _ in asked]))
    for (n, values, _, line), (outcome, took_ms) in zip(asked, answers, strict=True):
        line = direct_call_settle(
            call=line, connection=connection, outcome=outcome, took_ms=took_ms
        )
        found[n] = _result(n, values, check, outcome, line)
    return [found[n] for n in rows if n in found]


def _values(dataset: Dataset, rows: Sequence[int]) -> dict[int, dict[str, Any]]:
    found = DatasetRow.objects.filter(dataset_id=dataset.pk, n__in=list(rows))
    data = {n: read_row(text) for n, text in found.values_list("n", "data")}
    missing = [n for n in rows if n not in data]
    if missing:
        raise Invalid.field("rows", f"There is no row {missing[0]}: rows are 1 to {dataset.rows:,}")
    return {n: data[n] for n in rows}


async def _ask_all(endpoint: Endpoint, calls: Sequence[Call]) -> list[tuple[Outcome, int]]:
    transport = make_transport(
        settings.TRANSPORT,
        allow_private=settings.ALLOW_PRIVATE_ADDRESSES,
        max_connections=MAX_ROWS,
    )

    async def one(call: Call) -> tuple[Outcome, int]:
        start = time.monotonic()
        _, _, outcome = await ask(transport, endpoint, call, TIMEOUT_S)
        return outcome, int((time.monotonic() - start) * 1000)

    try:
        return list(await asyncio.gather(*(one(call) for call in calls)))
    finally:
        await transport.close()


def _result(
    n: int, values: dict[str, Any], check: OutputCheck, outcome: Outcome, line: DirectCall
) -> TryResult:
    failure, message, output = outcome.failure, outcome.message, outcome.text
    if failure is None:
        verdict = check.check(outcome.text, values)
        failure, message = verdict.failure, verdict.message
        output = verdict.output or outcome.text
    return TryResult(
        n=n,
        output=output,
        failure=POLICIES[failure].label if failure else "",
        message=message,
        model=outcome.model,
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        cost=line.cost,
        took_ms=line.took_ms,
    )
