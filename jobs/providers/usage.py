"""Token counts as the vendors report them, brought into one shape; see `Usage`.

A count that cannot be (missing, negative, text, absurd, 0 beside a text) is not believed: then the
call is estimated and marked so, because a bill of nothing is the worst of the possible mistakes.
"""

import math
from typing import Any

import orjson

from jobs.providers.json_body import as_dict
from jobs.providers.types import Usage

# Above any context there is.
MAX_TOKENS = 100_000_000
MAX_RAW = 4_000


def tokens(value: Any) -> int | None:
    """A token count as reported; None where it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value < 0 or value > MAX_TOKENS or value != int(value):
        return None
    return int(value)


def estimated_usage(text: str, reported: Any = None, asked: int | None = None) -> Usage:
    """Usage from the answer's length, four bytes a token. The question is not known here: without a
    count that can be believed the input is left 0, for the caller to fill in."""
    length = len(text.encode("utf-8", "replace"))
    return Usage(
        input_tokens=asked or 0,
        output_tokens=-(-length // 4),
        estimated=True,
        raw=raw_usage(reported),
    )


def raw_usage(usage: Any) -> str:
    """The usage as received, for the ledger; empty where there is none that can be written."""
    if usage is None:
        return ""
    try:
        return orjson.dumps(usage).decode()[:MAX_RAW]
    except TypeError:  # nested without measure, or integers beyond 64 bits
        return ""


def openai_usage(usage: Any, text: str) -> Usage:
    """Of chat completions and, under other names, of responses.

    Cached tokens are part of the input, reasoning tokens part of the output.
    """
    data = as_dict(usage)
    asked = tokens(data.get("prompt_tokens", data.get("input_tokens")))
    answered = tokens(data.get("completion_tokens", data.get("output_tokens")))
    if not asked or answered is None or (answered == 0 and text):
        return estimated_usage(text, usage, asked)
    inside = as_dict(data.get("prompt_tokens_details", data.get("input_tokens_details")))
    outside = as_dict(data.get("completion_tokens_details", data.get("output_tokens_details")))
    cached = min(tokens(inside.get("cached_tokens")) or 0, asked)
    return Usage(
        input_tokens=asked,
        output_tokens=answered,
        cached_input_tokens=cached,
        cache_write_tokens=min(tokens(inside.get("cache_write_tokens")) or 0, asked - cached),
        reasoning_tokens=min(tokens(outside.get("reasoning_tokens")) or 0, answered),
        raw=raw_usage(usage),
    )


def anthropic_usage(usage: Any, text: str) -> Usage:
    """Anthropic's `input_tokens` exclude what was read from or written to the cache: added here."""
    data = as_dict(usage)
    plain, answered = tokens(data.get("input_tokens")), tokens(data.get("output_tokens"))
    read = tokens(data.get("cache_read_input_tokens")) or 0
    written = tokens(data.get("cache_creation_input_tokens")) or 0
    asked = 0 if plain is None else plain + read + written
    if not asked or answered is None or (answered == 0 and text):
        return estimated_usage(text, usage, asked)
    by_lifetime = as_dict(data.get("cache_creation"))
    hour = min(tokens(by_lifetime.get("ephemeral_1h_input_tokens")) or 0, written)
    return Usage(
        input_tokens=asked,
        output_tokens=answered,
        cached_input_tokens=read,
        cache_write_tokens=written - hour,
        cache_write_1h_tokens=hour,
        raw=raw_usage(usage),
    )
