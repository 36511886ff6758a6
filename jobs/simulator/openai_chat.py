"""OpenAI's chat completions: `POST /v1/chat/completions`."""

from typing import Any

from jobs.simulator.http import Request
from jobs.simulator.openai import (
    ANY_OBJECT,
    CREATED,
    answer_headers,
    asked_model,
    checked_schema,
    error_body,
    forced_tool,
    make_question,
    read_messages,
)
from jobs.simulator.wire import (
    Answer,
    ApiError,
    LimitState,
    Question,
    Usage,
    check_temperature,
    invalid,
    positive_integer,
)

type Json = Any


class ChatCompletions:
    """`POST /v1/chat/completions`."""

    def question(self, request: Request, body: dict[str, Json]) -> Question:
        model = asked_model(body)
        if "messages" not in body:
            raise invalid("Missing required parameter: 'messages'.", param="messages")
        read = read_messages(body["messages"], "messages")
        check_temperature(body, 2)
        schema, tool = self._wanted(body), None
        choice = body.get("tool_choice")
        named = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
        forced = forced_tool(body.get("tools"), choice, named)
        if forced is not None:
            tool, schema = forced
        limit = positive_integer(body, "max_completion_tokens")
        if limit is None:
            limit = positive_integer(body, "max_tokens")
        return make_question(model, read, schema, tool, limit)

    @staticmethod
    def _wanted(body: dict[str, Json]) -> Json:
        form = body.get("response_format")
        kind = form.get("type") if isinstance(form, dict) else None
        if isinstance(form, dict) and kind == "json_schema":
            return checked_schema(form.get("json_schema"), "response_format.json_schema")
        if kind not in (None, "text", "json_object") or (form is not None and kind is None):
            raise invalid(f"Invalid value: '{kind}'.", param="response_format.type")
        return ANY_OBJECT if kind == "json_object" else None

    def answer(self, question: Question, answer: Answer) -> dict[str, Json]:
        message: dict[str, Json] = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": [],
        }
        finish = answer.finish
        if finish == "refusal":
            message |= {"content": None, "refusal": answer.text}
            finish = "stop"
        elif question.tool is not None:
            call = {"name": question.tool, "arguments": answer.text}
            message["content"] = None
            message["tool_calls"] = [
                {"id": f"call_{answer.identity}", "type": "function", "function": call}
            ]
            finish = "tool_calls" if finish == "stop" else finish
        return {
            "id": f"chatcmpl-{answer.identity}",
            "object": "chat.completion",
            "created": CREATED,
            "model": question.model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            ],
            "usage": self._usage(answer.usage),
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
        }

    @staticmethod
    def _usage(usage: Usage) -> dict[str, Json]:
        return {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "prompt_tokens_details": {
                "cached_tokens": usage.cached_input_tokens,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    def error(self, error: ApiError, identity: str) -> dict[str, Json]:
        return error_body(error)

    def headers(self, identity: str, limits: dict[str, LimitState]) -> list[tuple[str, str]]:
        return answer_headers(identity, limits)
