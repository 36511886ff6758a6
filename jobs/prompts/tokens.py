"""Token counts where no tokenizer of the provider is at hand: an estimate, and a bound that holds."""

# Common tokenizers take 3.5–4.5 bytes of English and 2–3 of other scripts in UTF-8 a token.
_BYTES_PER_TOKEN = 4
# By what share that may be off, either way.
ESTIMATE_ERROR = 0.33
# Role markers and separators that chat formats add around each message.
_FRAME_TOKENS = 8
_FRAME_BOUND = 64


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` takes; wrong by up to a third either way."""
    return len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN + _FRAME_TOKENS


def upper_bound_tokens(text: str) -> int:
    """At least as many tokens as any byte-level tokenizer makes of `text`: one for each byte."""
    return len(text.encode("utf-8", "replace")) + _FRAME_BOUND
