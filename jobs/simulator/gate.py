"""Who is let in: keys, models that do not exist, prompts too long, and limits."""

from collections.abc import Callable

from jobs.simulator.anthropic import Messages
from jobs.simulator.fault_errors import no_access, no_model, no_quota, too_long, wrong_key
from jobs.simulator.http import Request
from jobs.simulator.limits import Limits
from jobs.simulator.settings import Settings
from jobs.simulator.wire import Answer, ApiError, LimitState, Question, Shape

PREFIX = "sim-"
_CODE = "rate_limit_exceeded"


def key_of(request: Request) -> str:
    """The key that came with a request, as either vendor's clients send it."""
    bearer = request.header(b"authorization").removeprefix("Bearer ")
    return request.header(b"x-api-key") or bearer


def check_key(request: Request, model: str, *, is_anthropic: bool) -> None:
    """Any key is good, none too, but for those whose name says what they are for.

    Raises `ApiError` for a key that contains "invalid", "no-access" or "noquota".
    """
    key = key_of(request)
    if "invalid" in key:
        raise wrong_key()
    if "no-access" in key:
        raise no_access(model)
    if "noquota" in key:
        raise no_quota(anthropic=is_anthropic)


def check_model(model: str, *, is_anthropic: bool) -> None:
    """The models are those named sim-…, whatever follows; raises `ApiError` for any other name."""
    if not model.startswith(PREFIX):
        raise no_model(model, anthropic=is_anthropic)


class Gate:
    """Lets calls in within the limits of the settings."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._limits = Limits(clock)
        self._settings = Settings()

    def set(self, settings: Settings) -> None:
        """New limits; those that stay the same go on from where they are."""
        self._settings = settings
        self._limits.set(
            rpm=settings.rpm,
            tpm=settings.tpm,
            output_tpm=settings.output_tpm,
            burst=settings.burst_seconds,
            minutes=settings.limit_minutes,
        )

    def let_in(
        self, shape: Shape, question: Question, answer: Answer, in_flight: int
    ) -> dict[str, LimitState]:
        """The state of the limits after the call was let in; raises `ApiError` if it is not.

        A call that is refused takes nothing from any limit.
        """
        settings, is_anthropic = self._settings, isinstance(shape, Messages)
        check_model(question.model, is_anthropic=is_anthropic)
        if question.input_tokens > settings.context_tokens:
            raise too_long(question.input_tokens, settings.context_tokens, anthropic=is_anthropic)
        if settings.max_in_flight and in_flight >= settings.max_in_flight:
            raise _limited(question.model, "concurrent requests", 1.0, {})
        if not (settings.rpm or settings.tpm or settings.output_tpm):
            return {}
        output = answer.usage.output_tokens
        tokens = question.input_tokens + (0 if is_anthropic else output)
        wait, hit, states = self._limits.take(
            question.model, tokens, output if is_anthropic else None
        )
        told = settings.limit_headers
        if wait > 0:
            raise _limited(question.model, f"{hit} per min", wait if told else None, states)
        return states if told else {}


def _limited(model: str, what: str, wait: float | None, limits: dict[str, LimitState]) -> ApiError:
    """A 429; without `wait` it tells neither how long nor what the limits are."""
    if wait is None:
        return ApiError(429, "requests", f"Rate limit reached for {model}.", code=_CODE)
    whole = max(1, -int(-wait // 1))
    return ApiError(
        429,
        "requests",
        f"Rate limit reached for {model} on {what}. Please try again in {wait:.3f}s.",
        code=_CODE,
        headers=(("retry-after", str(whole)), ("retry-after-ms", str(int(wait * 1000) + 1))),
        limits=limits,
    )
