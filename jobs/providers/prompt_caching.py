"""From how many tokens on the providers keep the beginning of a prompt between calls.

Sources: Anthropic's "Prompt caching" and OpenAI's "Prompt caching" guides. Below the minimum a request
is served as if nothing had been asked for.
"""

import re

# For how long what was kept last used is there, in seconds.
LIFETIME_S = 300.0
OPENAI_MINIMUM = 1_024
# By the beginning of the model's name; the first that fits.
_ANTHROPIC: tuple[tuple[str, int], ...] = (
    (r"claude-(opus-4-[5-9]|haiku-4-5|opus-5)", 4_096),
    (r"claude-sonnet-4-6", 2_048),
    (r"claude-(3-5-haiku|3-haiku|haiku-3)", 2_048),
    (r"claude-(opus|sonnet|3)|sim-", 1_024),
)
_UNKNOWN = 4_096


def minimum_tokens(api: str, model: str) -> int:
    """The length from which the beginning of a prompt can be kept for this model."""
    if api != "anthropic_messages":
        return OPENAI_MINIMUM
    for pattern, minimum in _ANTHROPIC:
        if re.match(pattern, model):
            return minimum
    return _UNKNOWN
