"""A first idea of a job's size: tokens of a few rendered rows, times the rows. No call is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from jobs.control.parameters import MAX_TOKENS
from jobs.costs.pricing import resolve_price, value
from jobs.datasets.selection import selected_rows, selection_size
from jobs.models import Connection, Dataset, DatasetRow, Job, Price, TemplateVersion
from jobs.prompts.template import PromptText, RenderFault, TemplateFault
from jobs.prompts.tokens import estimate_tokens
from jobs.providers.types import Usage
from jobs.written import read_row

# Enough to see what a row is like, few enough to render at each change of the form.
SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Rough:
    """Tokens are for all rows at one call each; costs in pico-USD, None where unknown."""

    rows: int
    input_tokens: int | None
    output_tokens: int | None  # from earlier calls of this template version and model
    output_bound: int | None  # if every answer is as long as allowed
    cost: int | None
    cost_bound: int | None
    price: Price | None
    sampled: int
    unrenderable: int
    fault: str


def rough_estimate(
    *,
    dataset: Dataset,
    version: TemplateVersion | None,
    connection: Connection | None,
    model: str,
    selection: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> Rough:
    """What is known of a launch so far; each part is None as long as what it needs is missing."""
    rows = selection_size(selection, dataset.rows)
    mean, sampled, bad, fault = None, 0, 0, ""
    if version is not None and rows:
        mean, sampled, bad, fault = _mean_input(dataset, version, selection)
    usual = _usual_output(version, model) if version is not None and model else None
    defaults = version.defaults if version is not None else {}
    limit = parameters.get("max_tokens") or defaults.get("max_tokens")
    bound = limit if isinstance(limit, int) and 0 < limit <= MAX_TOKENS else None
    price = None
    if connection is not None and model:
        price = resolve_price(connection=connection, model=model, at=timezone.now())
    return Rough(
        rows=rows,
        input_tokens=_times(rows, mean),
        output_tokens=_times(rows, usual),
        output_bound=_times(rows, bound),
        cost=_cost(rows, mean, usual, price),
        cost_bound=_cost(rows, mean, bound, price),
        price=price,
        sampled=sampled,
        unrenderable=bad,
        fault=fault,
    )


def _times(rows: int, each: int | None) -> int | None:
    return None if each is None else rows * each


def _cost(
    rows: int, tokens_in: int | None, tokens_out: int | None, price: Price | None
) -> int | None:
    if price is None or tokens_in is None or tokens_out is None:
        return None
    return rows * value(Usage(input_tokens=tokens_in, output_tokens=tokens_out), price)


def _mean_input(
    dataset: Dataset, version: TemplateVersion, selection: Mapping[str, Any]
) -> tuple[int | None, int, int, str]:
    """Mean input tokens, rows looked at, rows that cannot be rendered, the first fault."""
    try:
        prompt = PromptText.compile(version.system, version.user)
    except TemplateFault as error:
        return None, 0, 0, str(error)
    seeded = {"seed": 0, **selection} if "sample" in selection else selection
    numbers = selected_rows(seeded, dataset.rows, 0, SAMPLE)
    texts = DatasetRow.objects.filter(dataset_id=dataset.pk, n__in=list(numbers))
    total = rendered = bad = 0
    fault = ""
    for row in texts:
        try:
            done = prompt.render(read_row(row.data))
        except RenderFault as error:
            bad += 1
            fault = fault or f"Row {row.n}: {error}"
        else:
            rendered += 1
            total += estimate_tokens(done.system + done.user)
    return (total // rendered if rendered else None), rendered + bad, bad, fault


def _usual_output(version: TemplateVersion, model: str) -> int | None:
    """Mean output tokens a call in the last job of this template version and model that had a
    success: calls that all failed say nothing of an answer's length."""
    last = (
        Job.objects.filter(template_version=version, model=model, attempts__gt=0, succeeded__gt=0)
        .order_by("-id")
        .first()
    )
    return None if last is None else last.output_tokens // last.attempts
