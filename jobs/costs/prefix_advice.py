"""What a template's order of text and columns costs: providers keep the beginning that all prompts
share, if it is long enough."""

from dataclasses import dataclass

from jobs.costs.pricing import Tariff
from jobs.models import Connection, ConnectionKind, Price
from jobs.prompts.prefix import constant_prefix, constant_tokens
from jobs.providers.prompt_caching import minimum_tokens

ROWS = 1_000


@dataclass(frozen=True, slots=True)
class PrefixAdvice:
    """About `tokens` are the same at the beginning of each prompt, `possible` would be if what is taken
    from the row stood at the end. Either `is_kept` or could be, from `minimum` on."""

    tokens: int
    possible: int
    minimum: int
    is_kept: bool
    saving: int | None  # in pico-USD for 1,000 rows; None: at a price nobody knows


def prefix_advice(
    *, system: str, user: str, connection: Connection, model: str, price: Price | None
) -> PrefixAdvice | None:
    """Of texts that compile. None where nothing is kept and nothing could be, or nobody knows."""
    if connection.kind == ConnectionKind.OPENAI_COMPATIBLE or not model:
        return None
    minimum = minimum_tokens(connection.api, model)
    tokens = constant_prefix(system, user).tokens
    possible = constant_tokens(system, user)
    is_kept = tokens >= minimum
    if max(tokens, possible) < minimum:
        return None
    saving = None
    if price is not None:
        saving = _saving(Tariff(price), tokens if is_kept else possible)
        if saving <= 0:
            return None
    return PrefixAdvice(tokens, possible, minimum, is_kept, saving)


def _saving(tariff: Tariff, tokens: int) -> int:
    """Written once, read by the others. A provider that keeps by itself takes nothing for writing."""
    rates = tariff.at(tokens)
    written = max(0, rates.cache_write - rates.input)
    return tokens * ((ROWS - 1) * (rates.input - rates.cached_input) - written)
