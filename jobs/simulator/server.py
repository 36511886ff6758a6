"""The simulator itself: routes, keys, limits, faults, and the books."""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson

from jobs.simulator import anthropic, openai
from jobs.simulator.answers import full_text, limited
from jobs.simulator.anthropic import Messages
from jobs.simulator.connection import Reply, Step
from jobs.simulator.draws import Draws, digest, share
from jobs.simulator.effects import JSON_TYPE, Case, Effect, refusal
from jobs.simulator.faults import KINDS, Fault, Mix, UnknownFaultError, marked
from jobs.simulator.gate import Gate, check_key, check_model, key_of
from jobs.simulator.http import Request, head
from jobs.simulator.openai_chat import ChatCompletions
from jobs.simulator.openai_responses import Responses
from jobs.simulator.prompt_cache import PromptCache
from jobs.simulator.settings import BadSettingsError, Settings
from jobs.simulator.stats import Billing, Stats, Tokens
from jobs.simulator.wire import Answer, ApiError, LimitState, Question, Shape, Usage, invalid

type Json = Any
type Route = Callable[[Request], Reply]

# What is listed; any other name that begins with sim- has a model behind it, too.
MODELS = ("sim-small", "sim-medium", "sim-large")


def _quiet(whole: bool) -> None:
    """What is told of the end of a reply nobody counts."""


def _json_reply(value: Json, status: int = 200) -> Reply:
    body = orjson.dumps(value)
    return Reply(iter((head(status, [JSON_TYPE], len(body)) + body,)), _quiet)


class Simulator:
    """Answers requests; knows no socket. `routes` is where further endpoints are added."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.stats = Stats()
        self._gate = Gate(clock)
        self._cache = PromptCache(clock)
        self._refusals = 0
        self._apply(settings)
        chat, responses, messages = ChatCompletions(), Responses(), Messages()
        self.routes: dict[tuple[str, str], Route] = {
            ("POST", "/v1/chat/completions"): lambda request: self._call(chat, request),
            ("POST", "/v1/responses"): lambda request: self._call(responses, request),
            ("POST", "/v1/messages"): lambda request: self._call(messages, request),
            ("POST", "/v1/messages/count_tokens"): self._count_tokens,
            ("GET", "/v1/models"): self._models,
            ("GET", "/stats"): self._stats,
            ("GET", "/faults"): lambda request: _json_reply(self.settings.shown()),
            ("POST", "/faults"): self._faults,
            ("POST", "/reset"): self._reset,
        }

    def _apply(self, settings: Settings) -> None:
        self.settings = settings
        self._mix = Mix(settings.faults)
        self._gate.set(settings)

    def answer(self, request: Request) -> Reply:
        """The reply to any request."""
        route = self.routes.get((request.method, request.path))
        if route is None:
            known = any(path == request.path for _, path in self.routes)
            status = 405 if known else 404
            message = f"Unknown request URL: {request.method} {request.path}."
            error = ApiError(status, "invalid_request_error", message, code="unknown_url")
            return _json_reply(openai.error_body(error), status)
        return route(request)

    def _stats(self, request: Request) -> Reply:
        return _json_reply(self.stats.shown(prompts="prompts=1" in request.query))

    def _faults(self, request: Request) -> Reply:
        try:
            given = orjson.loads(request.body or b"{}")
            self._apply(self.settings.changed(given))
        except (orjson.JSONDecodeError, BadSettingsError, UnknownFaultError) as error:
            return _json_reply({"error": str(error)}, 400)
        return _json_reply(self.settings.shown())

    def _reset(self, request: Request) -> Reply:
        self.stats.reset()
        self._cache.clear()
        return _json_reply({"reset": True})

    def _models(self, request: Request) -> Reply:
        self.stats.requested("GET /v1/models")
        is_anthropic = b"anthropic-version" in request.headers
        try:
            check_key(request, "", is_anthropic=is_anthropic)
        except ApiError as error:
            shape: Shape = Messages() if is_anthropic else ChatCompletions()
            return Reply(refusal(shape, error, self._next_refusal(), []).steps, _quiet)
        shown = anthropic.model_list(MODELS) if is_anthropic else openai.model_list(MODELS)
        return _json_reply(shown)

    def _count_tokens(self, request: Request) -> Reply:
        self.stats.requested("POST /v1/messages/count_tokens")
        shape = Messages(counting=True)
        try:
            check_key(request, "", is_anthropic=True)
            question = _understood(shape, request, _read_body(request))
            check_model(question.model, is_anthropic=True)
        except ApiError as error:
            return Reply(refusal(shape, error, self._next_refusal(), []).steps, _quiet)
        return _json_reply({"input_tokens": question.input_tokens})

    def _next_refusal(self) -> str:
        self._refusals += 1
        return f"{self._refusals:024x}"

    def _call(self, shape: Shape, request: Request) -> Reply:
        """A call to a model: refused, spoilt or answered, and counted in any case."""
        model, fault = "(none)", None
        refused: ApiError | None = None
        try:
            body = _read_body(request)
            model = str(body.get("model") or model)[:100]
            check_key(request, model, is_anthropic=isinstance(shape, Messages))
            question = _understood(shape, request, body)
            text = full_text(question, self.settings.seed, markers=self.settings.markers)
            answer = limited(question, text)
            limits = self._gate.let_in(shape, question, answer, self.stats.in_flight)
            occurrence = self.stats.occurrence(question.key, model)
            if self.settings.markers:
                fault = marked(question, occurrence)
            if fault is None and self._mix.faults:
                fault = self._mix.choose(self.settings.seed, question, occurrence)
        except ApiError as error:
            refused = error
        self.stats.arrived(model)
        if refused is not None:
            identity = self._next_refusal()
            headers = shape.headers(identity, refused.limits)
            return self._booked(model, refusal(shape, refused, identity, headers), None)
        answer.identity = f"{question.key:016x}{occurrence:06x}{_model_digits(model)}"
        if self.settings.prompt_cache:
            automatic = not isinstance(shape, Messages)
            begins_s = self.settings.latency_ms / 1000
            self._cache.count(question, answer.usage, begins_s, automatic=automatic)
        effect = self._effect(shape, question, answer, occurrence, limits, fault, key_of(request))
        if self.settings.latency_ms:
            effect.steps = chain((self._latency(question, occurrence),), effect.steps)
        return self._booked(model, effect, fault)

    def _effect(
        self,
        shape: Shape,
        question: Question,
        answer: Answer,
        occurrence: int,
        limits: dict[str, LimitState],
        fault: Fault | None,
        key: str,
    ) -> Effect:
        headers = shape.headers(answer.identity, limits)
        draws = Draws(digest(self.settings.seed, question.key, occurrence))
        case = Case(question, shape, answer, answer.identity, headers, draws)
        if fault is None:
            return case.answered(answer)
        case.params, case.key = dict(fault.params), key
        return KINDS[fault.name](case)

    def _latency(self, question: Question, occurrence: int) -> float:
        settings = self.settings
        if not settings.jitter:
            return settings.latency_ms / 1000
        swing = 2 * share(settings.seed, "latency", question.key, occurrence) - 1
        return max(0.0, settings.latency_ms / 1000 * (1 + settings.jitter * swing))

    def _booked(self, model: str, effect: Effect, fault: Fault | None) -> Reply:
        """The effect as a reply that is counted when it has ended."""
        usage = effect.usage or Usage(0, 0)
        used = Tokens(
            0,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
        )
        steps: Iterator[Step] = effect.steps

        def ended(whole: bool) -> None:
            status, billing = effect.status, effect.billing
            if not whole and status.isdigit():
                # The client left before its answer was written; what was charged stays charged.
                status = "disconnected"
                billing = Billing.FREE if billing is Billing.FREE else Billing.UNSEEN
            name = fault.name if fault is not None else None
            self.stats.ended(model, status, billing, used, fault=name)

        return Reply(steps, ended)


@lru_cache(maxsize=1024)
def _model_digits(model: str) -> str:
    return f"{digest(model) % 0x10000:04x}"


def _read_body(request: Request) -> dict[str, Json]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        message = "We could not parse the JSON body of your request."
        raise invalid(message) from None
    if not isinstance(body, dict):
        raise invalid("The JSON body of the request must be an object.")
    return body


def _understood(shape: Shape, request: Request, body: dict[str, Json]) -> Question:
    try:
        return shape.question(request, body)
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        # Something deep in the body is of another JSON type than it must be.
        raise invalid(f"The request is malformed: {error}") from error
