"""A provider's own account of calls, as CSV: which columns it has, and what each line says.

    request_id, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens,
    output_tokens, cost

`request_id` is what batchllm sent with the call, or what the provider answered with; `input_tokens`
count all input, the cached part included; `cost` is in USD. Only `request_id` must be there, and with
it the tokens or the cost. Other columns are left alone.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from jobs.errors import Invalid
from jobs.money import to_pico
from jobs.providers.types import Usage
from jobs.providers.usage import MAX_TOKENS

COLUMNS = (
    "request_id", "input_tokens", "cached_input_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "output_tokens", "cost",
)  # fmt: skip
MAX_USD = Decimal(100_000)
MAX_ID = 200


@dataclass(frozen=True, slots=True)
class UsageLine:
    """`cost` in pico-USD, None where the file says none; `usage` None where it says no tokens."""

    number: int  # in the file; the head is line 1
    request_id: str
    usage: Usage | None
    cost: int | None


@dataclass(frozen=True, slots=True)
class BadLine:
    number: int
    reason: str


def read_usage(text: Iterable[str]) -> Iterator[UsageLine | BadLine]:
    """Line by line. Raises Invalid for a file without the columns it must have."""
    try:
        reader = csv.DictReader(text, strict=True)
        head = [name.strip().lower() for name in reader.fieldnames or ()]
        if "request_id" not in head or not {"input_tokens", "output_tokens", "cost"} & {*head}:
            raise Invalid.field(
                "file",
                f"Its first line must name request_id, and of {', '.join(COLUMNS[1:])} what there is",
            )
        reader.fieldnames = head
        seen: dict[str, int] = {}
        for row in reader:
            line = _line(reader.line_num, row)
            if isinstance(line, UsageLine):
                first = seen.setdefault(line.request_id, line.number)
                if first != line.number:
                    line = BadLine(line.number, f"The same request as in line {first}")
            yield line
    except csv.Error as error:
        raise Invalid.field("file", f"It cannot be read as CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise Invalid.field("file", "It is not UTF-8 text") from error


def _line(number: int, row: dict[str, str | None]) -> UsageLine | BadLine:
    request_id = (row.get("request_id") or "").strip()
    if not 1 <= len(request_id) <= MAX_ID:
        return BadLine(number, "No request_id")
    try:
        counts = {name: _tokens(row.get(name)) for name in COLUMNS[1:-1]}
        cost = _cost(row.get("cost"))
    except ValueError as fault:
        return BadLine(number, str(fault))
    usage = None
    if any(count is not None for count in counts.values()):
        usage = Usage(**{name: count or 0 for name, count in counts.items()})  # type: ignore[arg-type]
        parts = usage.cached_input_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
        if parts > usage.input_tokens:
            return BadLine(number, "More tokens cached than came in")
    if usage is None and cost is None:
        return BadLine(number, "Neither tokens nor a cost")
    return UsageLine(number, request_id, usage, cost)


def _tokens(given: str | None) -> int | None:
    text = (given or "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text[:12]) > MAX_TOKENS:
        raise ValueError(f"Not a number of tokens: {text[:40]}")
    return int(text)


def _cost(given: str | None) -> int | None:
    text = (given or "").strip()
    if not text:
        return None
    try:
        usd = Decimal(text)
        if not usd.is_finite() or not 0 <= usd <= MAX_USD:
            raise ValueError
        return to_pico(usd)
    except (InvalidOperation, ValueError):
        raise ValueError(f"Not a cost in USD with at most 12 decimals: {text[:40]}") from None
