"""The rows a job will send, by how long their requests are. Knows no database."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev


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
