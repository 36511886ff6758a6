"""What OpenAI's formats have in common: models, messages, schemas, errors, limit headers."""

import re
from typing import Any

import orjson

from jobs.simulator.strictness import first_breach
from jobs.simulator.wire import (
    ApiError,
    LimitState,
    Question,
    count_tokens,
    invalid,
    text_of,
)

type Json = Any

CREATED = 1_750_000_000  # when all simulated models and answers were made, Unix time
_SCHEMA_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ANY_OBJECT: Json = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
}


def error_body(error: ApiError) -> dict[str, Json]:
    """The body of an answer that is an error."""
    return {
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.code,
        }
    }


def answer_headers(identity: str, limits: dict[str, LimitState]) -> list[tuple[str, str]]:
    """The headers of any answer."""
    headers = [
        ("x-request-id", f"req_{identity}"),
        ("openai-version", "2020-10-01"),
        ("openai-organization", "simulator"),
        ("openai-processing-ms", "1"),
    ]
    for name, state in limits.items():
        if name in ("requests", "tokens"):
            headers += [
                (f"x-ratelimit-limit-{name}", str(state.limit)),
                (f"x-ratelimit-remaining-{name}", str(state.remaining)),
                (f"x-ratelimit-reset-{name}", duration(state.reset)),
            ]
    return headers


def duration(seconds: float) -> str:
    """A time as in OpenAI's headers: 120ms, 6s, 1m30s."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.3g}s"


def model_list(models: tuple[str, ...]) -> dict[str, Json]:
    """The body of `GET /v1/models`."""
    data = [
        {"id": model, "object": "model", "created": CREATED, "owned_by": "simulator"}
        for model in models
    ]
    return {"object": "list", "data": data}


def asked_model(body: dict[str, Json]) -> str:
    """The model's name; raises `ApiError` where there is none, or where a stream is wanted."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("you must provide a model parameter")
    if body.get("stream"):
        raise invalid("Streaming is not offered by the simulator.", param="stream")
    return model


def checked_schema(given: Json, where: str) -> Json:
    """The schema of a `{name, schema, strict}`; raises `ApiError` where OpenAI would."""
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(name, str):
        raise invalid(f"Missing required parameter: '{where}.name'.", param=f"{where}.name")
    if not _SCHEMA_NAME.fullmatch(name):
        raise invalid(
            f"Invalid '{where}.name': string does not match pattern '^[a-zA-Z0-9_-]+$'.",
            param=f"{where}.name",
        )
    schema = given.get("schema")
    if not isinstance(schema, dict):
        raise invalid(f"Missing required parameter: '{where}.schema'.", param=f"{where}.schema")
    breach = first_breach(orjson.dumps(schema)) if given.get("strict") else None
    if breach is not None:
        raise invalid(f"Invalid schema for response_format '{name}': {breach}", param=where)
    return schema


def read_messages(messages: Json, where: str) -> tuple[str, str, list[str]]:
    """The system text, the first user message and all texts."""
    if not isinstance(messages, list) or not messages:
        raise invalid(f"Invalid '{where}': empty array or not an array.", param=where)
    system: list[str] = []
    prompt: str | None = None
    texts: list[str] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise invalid(f"Invalid type for '{where}[{index}]'.", param=f"{where}[{index}]")
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            raise invalid(f"Invalid value: '{role}'.", param=f"{where}[{index}].role")
        text = text_of(message.get("content"), where=f"{where}[{index}].content")
        texts.append(text)
        if role in ("system", "developer"):
            system.append(text)
        elif role == "user" and prompt is None:
            prompt = text
    return "\n".join(system), prompt or "", texts


def forced_tool(tools: Json, choice: Json, named: Json) -> tuple[str, Json] | None:
    """Name and parameters of the tool that must be called; `named` is the choice's name, if any."""
    if not isinstance(tools, list) or not tools:
        return None
    for tool in tools:
        function = tool.get("function", tool) if isinstance(tool, dict) else {}
        name = function.get("name")
        if isinstance(name, str) and (name == named or choice == "required"):
            return name, function.get("parameters") or {}
    if named is not None:
        raise invalid(f"Tool choice '{named}' not found in 'tools'.", param="tool_choice")
    return None


def make_question(
    model: str,
    read: tuple[str, str, list[str]],
    schema: Json,
    tool: str | None,
    max_tokens: int | None,
) -> Question:
    """A question with its tokens counted, the schema's text among them."""
    prefix, prompt, texts = read
    question = Question(model, prefix, prompt, "\n".join(texts), schema, tool, max_tokens)
    weighed = question.text if schema is None else question.text + orjson.dumps(schema).decode()
    question.input_tokens = count_tokens(weighed)
    return question
