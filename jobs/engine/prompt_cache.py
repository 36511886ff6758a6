"""When a call is marked so that the provider keeps the constant part of its prompt (Anthropic).

To write costs a quarter more than to read plainly, to read what was written a tenth. So one call writes;
the others go plainly until it is answered, and from then on they read. What is too seldom asked to be
read again, or was written twice and read by nobody, is not written.
"""

from jobs.providers.prompt_caching import LIFETIME_S
from jobs.providers.types import Usage

# What was kept is counted on for a little less than it lives.
_COUNTED_ON_S = LIFETIME_S * 0.8
# Only where the call before was so close that the next may be expected while it lives.
_CLOSE_S = LIFETIME_S / 2
# With fewer rows ahead a write may not be read often enough to be worth it.
ROWS_AHEAD = 20
_WRITES_FOR_NOTHING = 2


class PromptCache:
    """Of one job (or one replay of it) in one slice; times are monotonic seconds."""

    __slots__ = ("_off", "_sent", "_unread", "_warm_until", "_writes_until")

    def __init__(self) -> None:
        self._sent = float("-inf")  # the call before
        self._warm_until = self._writes_until = float("-inf")
        self._unread = 0
        self._off = False

    def marks(self, now: float, rows_ahead: int) -> bool:
        """Whether the call that leaves now is marked."""
        close, self._sent = now - self._sent <= _CLOSE_S, now
        if self._off:
            return False
        if now < self._warm_until:
            return True
        if now < self._writes_until or not close or rows_ahead < ROWS_AHEAD:
            return False
        self._writes_until = now + _CLOSE_S  # or until it is answered
        return True

    def answered(self, usage: Usage | None, now: float) -> None:
        """A marked call has ended; without usage nothing is known."""
        self._writes_until = float("-inf")
        if usage is None or usage.estimated:
            return
        written = usage.cache_write_tokens + usage.cache_write_1h_tokens
        if usage.cached_input_tokens:
            self._unread = 0
        elif written:
            self._unread += 1
        # What is neither written nor read is too short for this model.
        self._off = self._unread > _WRITES_FOR_NOTHING or not (written or usage.cached_input_tokens)
        self._warm_until = now + _COUNTED_ON_S
