"""The vendors' prompt caches: Anthropic's keeps what a request marks, OpenAI's what requests begin
with."""

from collections.abc import Callable

from jobs.simulator.draws import digest
from jobs.simulator.wire import Question, Usage, count_tokens

LIFETIME_S = 300.0
# Tokens from which on a beginning is kept, and in what steps OpenAI's grows.
MINIMUM, STEP = 1_024, 128
MAX_PREFIXES = 10_000
# Of a long prompt OpenAI's cache looks at no more steps than this.
MAX_STEPS = 64


class PromptCache:
    """What is written is there for others once its own answer has begun, and as long as it is read."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[int, tuple[float, float]] = {}  # from when, until when

    def clear(self) -> None:
        self._kept.clear()

    def count(self, question: Question, usage: Usage, begins_s: float, *, automatic: bool) -> None:
        """Divide the input of a call, whose answer begins after so long, into what was cached, what is
        written and the rest. `automatic`: nobody has to ask for it."""
        if question.marked is not None:
            self._count_marked(question, usage, begins_s)
        elif automatic:
            self._count_beginning(question, usage, begins_s)

    def _count_marked(self, question: Question, usage: Usage, begins_s: float) -> None:
        text = question.marked or ""
        size = min(count_tokens(text), usage.input_tokens)
        if size < MINIMUM:
            return
        key = digest(question.model, text)
        if self._has(key):
            usage.cached_input_tokens = size
        else:
            usage.cache_write_tokens = size
        self._keep(key, begins_s)

    def _count_beginning(self, question: Question, usage: Usage, begins_s: float) -> None:
        text = question.text.encode("utf-8", "surrogatepass")
        most = min(usage.input_tokens, count_tokens(question.text))
        sizes = range(MINIMUM, most + 1, STEP)[:MAX_STEPS]
        keys = {size: digest(question.model, text[: 4 * size].hex()) for size in sizes}
        usage.cached_input_tokens = max(
            (size for size, key in keys.items() if self._has(key)), default=0
        )
        for key in keys.values():
            self._keep(key, begins_s)

    def _has(self, key: int) -> bool:
        since, until = self._kept.get(key, (0.0, 0.0))
        return since <= self._clock() < until

    def _keep(self, key: int, begins_s: float) -> None:
        now = self._clock()
        since, until = self._kept.get(key, (0.0, 0.0))
        if len(self._kept) >= MAX_PREFIXES:
            self._kept.clear()
        begins = since if now < until else now + begins_s
        self._kept[key] = (begins, max(now, begins) + LIFETIME_S)
