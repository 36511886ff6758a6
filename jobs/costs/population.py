"""The rows a job will send, by how long their requests are: counted by rendering them.

No tokenizer of the providers is at hand: tokens are told from the characters (`jobs.prompts.tokens`),
and how far that is off is learned from what the model reported before (`jobs.costs.observed`).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

import orjson

from jobs.datasets.selection import rows_at, selection_size
from jobs.models import Dataset, DatasetRow, TemplateVersion
from jobs.prompts.template import PromptText, RenderFault, TemplateFault
from jobs.prompts.tokens import estimate_tokens
from jobs.written import read_row

# So many rows are all rendered, in well under a second; of more, a random sample.
EXACT_ROWS = 20_000
SAMPLE_ROWS = 5_000
_SEED = 20_261  # the same rows each time the same thing is asked
_READ = 1_000


@dataclass(frozen=True, slots=True)
class Population:
    """`places` (ascending, in the order of the selection) and `tokens` of the rows that were looked at;
    0 tokens for one that cannot be rendered: it fails without a call."""

    rows: int
    places: Sequence[int]
    tokens: Sequence[int]
    unrenderable: int = 0
    fault: str = ""

    @property
    def exact(self) -> bool:
        return len(self.places) == self.rows

    @property
    def mean(self) -> float:
        return fmean(self.tokens) if self.tokens else 0.0

    @property
    def mean_error(self) -> float:
        """Of the mean, one standard deviation; 0 where all rows were counted."""
        if self.exact or len(self.tokens) < 2:
            return 0.0
        unseen = 1 - len(self.tokens) / self.rows
        return float(stdev(self.tokens) * (unseen / len(self.tokens)) ** 0.5)

    @property
    def total(self) -> int:
        return sum(self.tokens) if self.exact else round(self.mean * self.rows)

    def profile(self, parts: int = 20) -> list[float]:
        """The mean by equal parts of the file: where the long rows lie."""
        found: list[list[int]] = [[] for _ in range(parts)]
        for place, tokens in zip(self.places, self.tokens, strict=True):
            found[place * parts // max(1, self.rows)].append(tokens)
        return [round(fmean(part), 1) if part else round(self.mean, 1) for part in found]

    def stratified(self, size: int, rng: random.Random) -> list[int]:
        """`size` of the places, by chance: one of each of as many equal groups of rows by length. Each
        row is as likely to be taken as any other."""
        by_length = sorted(range(len(self.places)), key=lambda i: (self.tokens[i], self.places[i]))
        size = min(size, len(by_length))
        edges = [part * len(by_length) // size for part in range(size + 1)] if size else []
        chosen = [rng.randrange(low, high) for low, high in pairwise(edges)]
        return sorted(self.places[by_length[i]] for i in chosen)


def population_of(
    dataset: Dataset, version: TemplateVersion, selection: Mapping[str, Any]
) -> Population:
    """Raises nothing: what is wrong with the template stands in `fault`."""
    chosen = {name: value for name, value in selection.items() if name != "pilot"}
    if "sample" in chosen:
        chosen.setdefault("seed", 0)
    key = orjson.dumps(chosen, option=orjson.OPT_SORT_KEYS).decode()
    made = f"{dataset.created_at} {dataset.rows}"
    return _counted(dataset.pk, made, dataset.rows, version.system, version.user, key)


@lru_cache(maxsize=16)
def _counted(
    dataset_id: int, made: str, dataset_rows: int, system: str, user: str, key: str
) -> Population:
    """Kept for a while: a form asks again with each change, and the rows of a dataset never change."""
    selection = orjson.loads(key)
    rows = selection_size(selection, dataset_rows)
    places: Sequence[int] = range(rows)
    if rows > EXACT_ROWS:
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
