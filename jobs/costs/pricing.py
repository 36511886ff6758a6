"""What a call costs: exact, in whole pico-USD.

Own prices override by model or pattern, connection or team, and effective date; without one the price
list that ships with the product is asked. A simulator has only own prices. Where nothing is known the
price is None: unknown, never 0.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import NamedTuple

from django.db.models import Q

from jobs.costs.listed import listed_price
from jobs.models import Connection, ConnectionKind, Price
from jobs.providers.types import Usage

METERS = ("input", "cached_input", "cache_write", "cache_write_1h", "output")
_WHOLE = 1_000_000
_PROVIDERS = {ConnectionKind.OPENAI: "openai", ConnectionKind.ANTHROPIC: "anthropic"}


def resolve_price(*, connection: Connection, model: str, at: datetime) -> Price | None:
    """The price of `model` on `connection` at a moment; None when nobody knows it."""
    return Prices(connection, model).at(at)


class Prices:
    """All that a model has cost and will cost on a connection, read once."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._model = model
        self._provider = _PROVIDERS.get(ConnectionKind(connection.kind))
        self._listed: dict[date, Price | None] = {}
        own = Price.objects.filter(
            Q(connection=connection) | Q(connection__isnull=True, team=connection.team_id),
            Q(connection=connection) | Q(provider__in=("", connection.kind)),
            Q(model=model) | Q(model__contains="*"),
        )
        fitting = [price for price in own if _matches(price.model, model)]
        self._own = sorted(fitting, key=lambda price: _rank(price, model), reverse=True)

    def at(self, moment: datetime) -> Price | None:
        for price in self._own:
            if price.effective_from <= moment:
                return price
        if self._provider is None:
            return None
        day = moment.date()
        if day not in self._listed:
            self._listed[day] = listed_price(self._provider, self._model, moment)
        return self._listed[day]


def _matches(pattern: str, model: str) -> bool:
    """A * stands for any characters, or none; all else for itself."""
    if "*" not in pattern:
        return pattern == model
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), model, re.DOTALL) is not None


def _rank(price: Price, model: str) -> tuple[bool, bool, bool, int, datetime, int]:
    """A model's own price goes before one of a pattern, one of the connection before one of a kind of
    connections before one of the team, whatever their dates; the longer pattern before the shorter, and
    of the rest the newest."""
    return (
        price.model == model,
        price.connection_id is not None,
        bool(price.provider),
        len(price.model.replace("*", "")),
        price.effective_from,
        price.pk,
    )


class Meter(NamedTuple):
    """One line of a proof: `tokens` at `price`, times the factor `paid_ppm` in millionths."""

    name: str  # one of METERS
    tokens: int
    price: int
    paid_ppm: int
    amount: int


@dataclass(frozen=True)
class Rates:
    """What a call was valued with: pico-USD a token for each meter, in the tier that it fell into.

    `discount_ppm` is what the batch form takes off each price; a fraction of a pico a token that
    would be left is rounded up, so that quantity times unit price is the amount, line by line.
    """

    input: int
    cached_input: int
    cache_write: int
    cache_write_1h: int
    output: int
    discount_ppm: int = 0

    @cached_property
    def text(self) -> str:
        """As it stands on the lines of the ledger; `parse` reads it."""
        prices = "/".join(map(str, self._listed))
        return f"{prices}@{self.discount_ppm}" if self.discount_ppm else prices

    @classmethod
    def of(cls, prices: Iterable[int], discount_ppm: int) -> "Rates":
        """Of the prices in the order of METERS."""
        plain, cached, write, write_1h, output = prices
        return cls(plain, cached, write, write_1h, output, discount_ppm)

    @classmethod
    def parse(cls, text: str) -> "Rates | None":
        """None of a blank: the line was not valued at a price."""
        if not text:
            return None
        prices, _, discount = text.partition("@")
        return cls.of(map(int, prices.split("/")), int(discount or 0))

    @cached_property
    def _listed(self) -> tuple[int, ...]:
        return (self.input, self.cached_input, self.cache_write, self.cache_write_1h, self.output)

    @cached_property
    def unit_prices(self) -> tuple[int, ...]:
        """What is paid a token, by meter."""
        left = _WHOLE - self.discount_ppm
        return tuple(-(-price * left // _WHOLE) for price in self._listed)

    def cost(self, usage: Usage) -> int:
        plain, cached, write, write_1h, output = self.unit_prices
        return (
            (
                usage.input_tokens
                - usage.cached_input_tokens
                - usage.cache_write_tokens
                - usage.cache_write_1h_tokens
            )
            * plain
            + usage.cached_input_tokens * cached
            + usage.cache_write_tokens * write
            + usage.cache_write_1h_tokens * write_1h
            + usage.output_tokens * output
        )

    def cache_savings(self, usage: Usage) -> int:
        """Against the same tokens as plain input; below 0 where writing the cache cost more."""
        plain, cached, write, write_1h, _ = self.unit_prices
        return (
            usage.cached_input_tokens * (plain - cached)
            - usage.cache_write_tokens * (write - plain)
            - usage.cache_write_1h_tokens * (write_1h - plain)
        )

    def batch_savings(self, usage: Usage) -> int:
        """Against the same call made at once."""
        if not self.discount_ppm:
            return 0
        return Rates.of(self._listed, 0).cost(usage) - self.cost(usage)

    def proof(self, usage: Usage) -> list[Meter]:
        """The meters that counted something; their amounts add up to the cost."""
        plain = (
            usage.input_tokens
            - usage.cached_input_tokens
            - usage.cache_write_tokens
            - usage.cache_write_1h_tokens
        )
        counted = (
            plain, usage.cached_input_tokens, usage.cache_write_tokens,
            usage.cache_write_1h_tokens, usage.output_tokens,
        )  # fmt: skip
        lines = zip(METERS, counted, self._listed, self.unit_prices, strict=True)
        return [
            Meter(name, tokens, listed, _WHOLE - self.discount_ppm, tokens * paid)
            for name, tokens, listed, paid in lines
            if tokens
        ]


class Tariff:
    """A price row made ready to value many calls: its tiers, each with its rates.

    Cached and cache-written tokens are part of the input and priced once, each at its own price;
    reasoning tokens are part of the output. The tier is that of the whole input, for all tokens.
    """

    __slots__ = ("_base", "_tiers", "price_id")

    def __init__(self, price: Price, *, batch: bool = False) -> None:
        discount = price.batch_discount_ppm if batch else 0
        self.price_id: int = price.pk
        self._base = Rates.of((getattr(price, meter) for meter in METERS), discount)
        self._tiers = [
            (int(tier["start"]), Rates.of((int(tier[meter]) for meter in METERS), discount))
            for tier in price.tiers
        ]

    def at(self, input_tokens: int) -> Rates:
        found = self._base
        for start, rates in self._tiers:
            if input_tokens <= start:
                break
            found = rates
        return found

    @property
    def free(self) -> bool:
        """Known, and 0 whatever is called."""
        return not any(any(r.unit_prices) for r in (self._base, *(r for _, r in self._tiers)))

    def highest(self, input_tokens_bound: int, max_output_tokens: int) -> int:
        """The most that a call with so many input tokens and this length limit can cost."""
        reached = [rates for start, rates in self._tiers if start < input_tokens_bound]
        return max(
            input_tokens_bound * max(rates.unit_prices[:-1])
            + max_output_tokens * rates.unit_prices[-1]
            for rates in (self._base, *reached)
        )


def value(usage: Usage, price: Price) -> int:
    """The exact cost of one call's usage in pico-USD."""
    return Tariff(price).at(usage.input_tokens).cost(usage)


def highest_cost(input_tokens_bound: int, max_output_tokens: int, price: Price) -> int:
    """The most that a call with so many input tokens and this length limit can cost."""
    return Tariff(price).highest(input_tokens_bound, max_output_tokens)
