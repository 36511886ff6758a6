"""The rows a job will send, by how long their requests are: counted by rendering them.

No tokenizer of the providers is at hand: tokens are told from the characters (`jobs.prompts.tokens`),
and how far that is off is learned from what the model reported before (`jobs.costs.observed`).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import orjson

from jobs.costs.lengths import Population
from jobs.datasets.selection import rows_at, selection_size
from jobs.models import Dataset, DatasetRow, TemplateVersion
from jobs.prompts.template import PromptText, RenderFault, TemplateFault
from jobs.prompts.tokens import estimate_tokens
from jobs.written import read_row

# So many rows are all rendered, in well under a second; of more, a random sample.
EXACT_ROWS = 20_000
SAMPLE_ROWS = 2_000
_SEED = 20_261  # the same rows each time the same thing is asked
_READ = 1_000


def population_of(
    dataset: Dataset,
    version: TemplateVersion,
    selection: Mapping[str, Any],
    *,
    exact_rows: int = EXACT_ROWS,
) -> Population:
    """Of more than `exact_rows` rows, by a sample. Raises nothing: what is wrong with the template
    stands in `fault`."""
    chosen = {name: value for name, value in selection.items() if name != "pilot"}
    if "sample" in chosen:
        chosen.setdefault("seed", 0)
    key = orjson.dumps(chosen, option=orjson.OPT_SORT_KEYS).decode()
    made = f"{dataset.created_at} {dataset.rows}"
    return _counted(dataset.pk, made, dataset.rows, version.system, version.user, key, exact_rows)


@lru_cache(maxsize=16)
def _counted(
    dataset_id: int, made: str, dataset_rows: int, system: str, user: str, key: str, exact: int
) -> Population:
    """Kept for a while: a form asks again with each change, and the rows of a dataset never change."""
    selection = orjson.loads(key)
    rows = selection_size(selection, dataset_rows)
    places: Sequence[int] = range(rows)
    if rows > max(exact, SAMPLE_ROWS):
        places = sorted(random.Random(_SEED).sample(places, SAMPLE_ROWS))  # noqa: S311
    try:
        prompt = PromptText.compile(system, user)
    except TemplateFault as fault:
        return Population(rows, (), (), fault=str(fault))
    tokens, bad, first = [], 0, ""
    for n, data in _rows(dataset_id, rows_at(selection, dataset_rows, places)):
        try:
            done = prompt.render(read_row(data))
        except RenderFault as fault:
            bad += 1
            first = first or f"Row {n}: {fault}"
            tokens.append(0)
        else:
            tokens.append(estimate_tokens(done.system + done.user))
    return Population(rows, places, tokens, bad, first)


def rendered_tokens(
    dataset_id: int, version: TemplateVersion, numbers: Sequence[int]
) -> dict[int, int]:
    """The lengths of these rows' requests; those that cannot be rendered are left out."""
    try:
        prompt = PromptText.compile(version.system, version.user)
    except TemplateFault:
        return {}
    found = {}
    for n, data in _rows(dataset_id, sorted(numbers)):
        with suppress(RenderFault):
            done = prompt.render(read_row(data))
            found[n] = estimate_tokens(done.system + done.user)
    return found


def _rows(dataset_id: int, numbers: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Number and text of these rows, ascending."""
    rows = DatasetRow.objects.filter(dataset_id=dataset_id)
    for start in range(0, len(numbers), _READ):
        part = numbers[start : start + _READ]
        if part[-1] - part[0] == len(part) - 1:
            found = rows.filter(n__gte=part[0], n__lte=part[-1])
        else:
            found = rows.filter(n__in=part)
        yield from found.order_by("n").values_list("n", "data")
