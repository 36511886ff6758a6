"""Anthropic's format: messages, token counts, models, errors and limit headers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from jobs.simulator.http import Request
from jobs.simulator.wire import (
    Answer,
    ApiError,
    LimitState,
    Question,
    check_temperature,
    count_tokens,
    invalid,
    positive_integer,
    text_of,
)

type Json = Any

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "refusal": "refusal",
    "content_filter": "refusal",
}


def _marked(body: dict[str, Json]) -> str | None:
    """The text up to the last block that asks to be kept; None where none does."""
    texts: list[str] = []
    kept = None
    for content in (body.get("system"), *(one.get("content") for one in body["messages"])):
        blocks = [{"text": content}] if isinstance(content, str) else content or []
        for block in blocks:
            texts.append(str(block.get("text") or ""))
            if isinstance(block.get("cache_control"), dict):
                kept = len(texts)
        texts.append("\n")
    return None if kept is None else "".join(texts[:kept])


def model_list(models: tuple[str, ...]) -> dict[str, Json]:
    """The body of `GET /v1/models`."""
    data = [
        {
            "type": "model",
            "id": model,
            "display_name": model.replace("-", " ").title(),
            "created_at": "2025-06-15T00:00:00Z",
            "lifecycle": "active",
        }
        for model in models
    ]
    return {"data": data, "has_more": False, "first_id": models[0], "last_id": models[-1]}


class Messages:
    """`POST /v1/messages`, and the question of `POST /v1/messages/count_tokens`."""

    def __init__(self, *, counting: bool = False) -> None:
        self._counting = counting

    def question(self, request: Request, body: dict[str, Json]) -> Question:
        if b"anthropic-version" not in request.headers:
            raise invalid("anthropic-version: header is required")
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise invalid("model: Field required")
        limit = positive_integer(body, "max_tokens")
        if limit is None and not self._counting:
            raise invalid("max_tokens: Field required")
        if body.get("stream"):
            raise invalid("stream: not offered by the simulator")
        check_temperature(body, 1)
        prompt, texts = self._read(body.get("messages"))
        prefix = text_of(body.get("system"), where="system", between="")
        if prefix:
            texts.insert(0, prefix)
        schema, tool = self._wanted(body)
        question = Question(model, prefix, prompt, "\n".join(texts), schema, tool, limit)
        weighed = question.text if schema is None else question.text + orjson.dumps(schema).decode()
        question.input_tokens = count_tokens(weighed)
        question.marked = _marked(body)
        return question

    @staticmethod
    def _read(messages: Json) -> tuple[str, list[str]]:
        """The first user message and all texts."""
        if messages is None:
            raise invalid("messages: Field required")
        if not isinstance(messages, list) or not messages:
            raise invalid("messages: at least one message is required")
        prompt: str | None = None
        texts: list[str] = []
        for index, message in enumerate(messages):
            role = message.get("role") if isinstance(message, dict) else None
            if role not in ("user", "assistant", "system"):
                raise invalid(f"messages.{index}.role: Input should be 'user' or 'assistant'")
            where = f"messages.{index}.content"
            text = text_of(message.get("content"), where=where, between="")
            if not text and not isinstance(message.get("content"), list):
                raise invalid(f"messages.{index}: text content blocks must be non-empty")
            texts.append(text)
            if role == "user" and prompt is None:
                prompt = text
        return prompt or "", texts

    @staticmethod
    def _wanted(body: dict[str, Json]) -> tuple[Json, str | None]:
        """Schema and name of the tool that must be called, or the output format's schema."""
        choice = body.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type") in ("tool", "any"):
            for tool in body.get("tools") or ():
                name = tool.get("name") if isinstance(tool, dict) else None
                if isinstance(name, str) and choice.get("name", name) == name:
                    return tool.get("input_schema") or {}, name
            raise invalid("tool_choice: no such tool in tools")
        config = body.get("output_config")
        form = config.get("format") if isinstance(config, dict) else None
        if form is None:
            return None, None
        if not isinstance(form, dict) or form.get("type") != "json_schema":
            raise invalid("output_config.format.type: Input should be 'json_schema'")
        if not isinstance(form.get("schema"), dict):
            raise invalid("output_config.format.schema: Field required")
        return form["schema"], None

    def answer(self, question: Question, answer: Answer) -> dict[str, Json]:
        stop = _STOPS[answer.finish]
        blocks: list[Json] = [{"type": "text", "text": answer.text}] if answer.text else []
        if question.tool is not None and answer.finish in ("stop", "length"):
            # A cut tool call carries what could be read of its input: nothing.
            whole = answer.finish == "stop"
            blocks = [
                {
                    "type": "tool_use",
                    "id": f"toolu_{answer.identity}",
                    "name": question.tool,
                    "input": readable(answer.text) if whole else {},
                }
            ]
            stop = "tool_use" if whole else stop
        usage = answer.usage
        return {
            "id": f"msg_{answer.identity}",
            "type": "message",
            "role": "assistant",
            "model": question.model,
            "container": None,
            "diagnostics": None,
            "content": blocks,
            "stop_details": None,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {
                "input_tokens": usage.input_tokens
                - usage.cached_input_tokens
                - usage.cache_write_tokens,
                "cache_creation_input_tokens": usage.cache_write_tokens,
                "cache_read_input_tokens": usage.cached_input_tokens,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": usage.cache_write_tokens,
                    "ephemeral_1h_input_tokens": 0,
                },
                "output_tokens": usage.output_tokens,
                "service_tier": "standard",
            },
        }

    def error(self, error: ApiError, identity: str) -> dict[str, Json]:
        kind = _KINDS.get(error.status, "api_error")
        return {
            "type": "error",
            "error": {"type": kind, "message": error.message},
            "request_id": f"req_{identity}",
        }

    def headers(self, identity: str, limits: dict[str, LimitState]) -> list[tuple[str, str]]:
        headers = [
            ("request-id", f"req_{identity}"),
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
        ]
        for name, state in limits.items():
            full = datetime.now(UTC) + timedelta(seconds=state.reset)
            word = "input-tokens" if name == "tokens" else name
            headers += [
                (f"anthropic-ratelimit-{word}-limit", str(state.limit)),
                (f"anthropic-ratelimit-{word}-remaining", str(state.remaining)),
                (f"anthropic-ratelimit-{word}-reset", full.strftime("%Y-%m-%dT%H:%M:%SZ")),
            ]
        return headers


def readable(text: str) -> Json:
    """The value of a JSON text; of anything else an object that holds it as it is."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"_raw": text}
