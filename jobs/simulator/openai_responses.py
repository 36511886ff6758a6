"""OpenAI's responses: `POST /v1/responses`."""

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
    check_temperature,
    invalid,
    positive_integer,
)

type Json = Any


class Responses:
    """`POST /v1/responses`."""

    def question(self, request: Request, body: dict[str, Json]) -> Question:
        model = asked_model(body)
        given = body.get("input")
        if given is None:
            raise invalid("Missing required parameter: 'input'.", param="input")
        if isinstance(given, str):
            given = [{"role": "user", "content": given}]
        prefix, prompt, texts = read_messages(given, "input")
        instructions = body.get("instructions")
        if isinstance(instructions, str):
            prefix = f"{instructions}\n{prefix}" if prefix else instructions
            texts.insert(0, instructions)
        check_temperature(body, 2)
        schema, tool = self._wanted(body), None
        choice = body.get("tool_choice")
        named = choice.get("name") if isinstance(choice, dict) else None
        forced = forced_tool(body.get("tools"), choice, named)
        if forced is not None:
            tool, schema = forced
        limit = positive_integer(body, "max_output_tokens")
        if limit is not None and limit < 16:
            raise invalid(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.",
                param="max_output_tokens",
                code="integer_below_min_value",
            )
        return make_question(model, (prefix, prompt, texts), schema, tool, limit)

    @staticmethod
    def _wanted(body: dict[str, Json]) -> Json:
        text = body.get("text")
        form = text.get("format") if isinstance(text, dict) else None
        kind = form.get("type") if isinstance(form, dict) else None
        if kind == "json_schema":
            return checked_schema(form, "text.format")
        if kind not in (None, "text", "json_object"):
            raise invalid(f"Invalid value: '{kind}'.", param="text.format.type")
        return ANY_OBJECT if kind == "json_object" else None

    def answer(self, question: Question, answer: Answer) -> dict[str, Json]:
        cut = {"length": "max_output_tokens", "content_filter": "content_filter"}
        reason = cut.get(answer.finish)
        status = "incomplete" if reason else "completed"
        part: dict[str, Json] = {"type": "output_text", "text": answer.text, "annotations": []}
        if answer.finish == "refusal":
            part = {"type": "refusal", "refusal": answer.text}
        item: dict[str, Json] = {
            "id": f"msg_{answer.identity}",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [part],
        }
        if question.tool is not None and answer.finish in ("stop", "length"):
            item = {
                "id": f"fc_{answer.identity}",
                "type": "function_call",
                "status": status,
                "call_id": f"call_{answer.identity}",
                "name": question.tool,
                "arguments": answer.text,
            }
        usage = answer.usage
        return {
            "id": f"resp_{answer.identity}",
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": reason} if reason else None,
            "instructions": None,
            "metadata": {},
            "model": question.model,
            "output": [item],
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "max_output_tokens": question.max_tokens,
            "service_tier": "default",
            "usage": {
                "input_tokens": usage.input_tokens,
                "input_tokens_details": {
                    "cached_tokens": usage.cached_input_tokens,
                    "cache_write_tokens": 0,
                },
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.input_tokens + usage.output_tokens,
            },
        }

    def error(self, error: ApiError, identity: str) -> dict[str, Json]:
        return error_body(error)

    def headers(self, identity: str, limits: dict[str, LimitState]) -> list[tuple[str, str]]:
        return answer_headers(identity, limits)
