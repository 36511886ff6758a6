"""What the provider counted: the figures a client's ledger is held against."""

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

type Json = Any

MAX_PROMPTS = 1_000_000  # distinct prompts whose calls are counted one by one
MAX_PROMPTS_SHOWN = 200_000
MAX_MODELS = 1000  # calls to further names are counted together, as "(others)"


class Billing(Enum):
    """What a call costs, and whether its client can know."""

    FREE = "free"  # an error: nothing is charged
    BILLED = "billed"  # charged, and the whole answer with its usage was written
    UNREPORTED = "unreported"  # charged, written whole, but its usage is missing or unreadable
    UNSEEN = "unseen"  # charged, but the client cannot have seen the whole answer


@dataclass(slots=True)
class Tokens:
    """Calls and tokens of one kind. `input_tokens` counts all input, cached parts included."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0

    def add(self, used: "Tokens") -> None:
        self.calls += 1
        self.input_tokens += used.input_tokens
        self.output_tokens += used.output_tokens
        self.cached_input_tokens += used.cached_input_tokens
        self.cache_write_tokens += used.cache_write_tokens

    def shown(self) -> dict[str, Json]:
        return {
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_input_tokens": self.cached_input_tokens,
            "cache_write_tokens": self.cache_write_tokens,
        }


@dataclass(slots=True)
class _Model:
    calls: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    tokens: dict[Billing, Tokens] = field(
        default_factory=lambda: {
            kind: Tokens() for kind in (Billing.BILLED, Billing.UNREPORTED, Billing.UNSEEN)
        }
    )


class Stats:
    """Counters for each model; a call is counted when it arrives and judged when it has ended."""

    def __init__(self) -> None:
        self.reset()
        self.in_flight = 0

    def reset(self) -> None:
        """All counters to zero; calls in flight go on and will be counted when they end."""
        self._models: dict[str, _Model] = {}
        self._prompts: dict[int, int] = {}
        self._requests: Counter[str] = Counter()
        self.max_in_flight_seen = 0
        self.started_at = time.time()

    def model(self, name: str) -> _Model:
        found = self._models.get(name)
        if found is None:
            name = name if len(self._models) < MAX_MODELS else "(others)"
            found = self._models.setdefault(name, _Model())
        return found

    def calls_of(self, model: str) -> int:
        """Calls that have arrived for a model."""
        return self.model(model).calls

    def requested(self, line: str) -> None:
        """Counts a request that is no call to a model, as "GET /v1/models"."""
        self._requests[line] += 1

    def arrived(self, model: str) -> None:
        self.model(model).calls += 1
        self.in_flight += 1
        self.max_in_flight_seen = max(self.max_in_flight_seen, self.in_flight)

    def occurrence(self, prompt: int, model: str) -> int:
        """Counts a call let in for a prompt; 1 for its first one.

        Prompts beyond `MAX_PROMPTS` are not told apart: they get the model's count of calls.
        """
        count = self._prompts.get(prompt, 0) + 1
        if count == 1 and len(self._prompts) >= MAX_PROMPTS:
            return self.calls_of(model)
        self._prompts[prompt] = count
        return count

    def ended(
        self, model: str, status: str, billing: Billing, used: Tokens, *, fault: str | None
    ) -> None:
        """Judges a call. `status` is what happened on the wire: "200", "429", "reset", …"""
        self.in_flight -= 1
        counted = self.model(model)
        counted.statuses[status] += 1
        if fault is not None:
            counted.faults[fault] += 1
        if billing is not Billing.FREE:
            counted.tokens[billing].add(used)

    def shown(self, *, prompts: bool) -> dict[str, Json]:
        """The body of `GET /stats`."""
        shown: dict[str, Json] = {
            "models": {name: self._model_shown(model) for name, model in self._models.items()},
            "requests": dict(self._requests),
            "in_flight": self.in_flight,
            "max_in_flight_seen": self.max_in_flight_seen,
            "started_at": self.started_at,
        }
        if prompts:
            first = list(self._prompts.items())[:MAX_PROMPTS_SHOWN]
            shown["prompts"] = {f"{prompt:016x}": calls for prompt, calls in first}
            shown["prompts_left_off"] = len(self._prompts) - len(first)
        return shown

    @staticmethod
    def _model_shown(model: _Model) -> dict[str, Json]:
        billed = model.tokens[Billing.BILLED].shown()
        billed["billed_calls"] = billed.pop("calls")
        return {
            "calls": model.calls,
            "answered_200": model.statuses["200"],
            **billed,
            "by_status": dict(model.statuses),
            "by_fault": dict(model.faults),
            "unseen": model.tokens[Billing.UNSEEN].shown(),
            "unreported": model.tokens[Billing.UNREPORTED].shown(),
        }
