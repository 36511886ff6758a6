"""The values that cross between a vendor's shape and the rest of the simulator."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol

from jobs.simulator.http import Request

type Json = Any


def count_tokens(text: str) -> int:
    """The simulator's tokenizer: a token is four bytes of UTF-8, begun ones count, at least one."""
    return max(1, -(-len(text.encode("utf-8", "surrogatepass")) // 4))


class ApiError(Exception):
    """An answer other than 200, free of any vendor's shape.

    `kind` is the error's type as OpenAI names it; `code` its finer code, or None. Each shape maps
    them to its own words.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        limits: "dict[str, LimitState] | None" = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers
        self.limits = limits or {}  # what the vendor's headers say of them


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """A 400 that says what is wrong with the request."""
    return ApiError(400, "invalid_request_error", message, param=param, code=code)


@dataclass(slots=True)
class Question:
    """One call, as any vendor's request comes down to it."""

    model: str
    prefix: str  # system text
    prompt: str  # the first user message: what tells one row from another
    text: str  # all texts of the conversation, the prefix included
    schema: Json = None  # JSON Schema of the answer, or None for plain text
    tool: str | None = None  # name of the tool that must be called; `schema` is its parameters
    max_tokens: int | None = None
    input_tokens: int = 0
    # Of Anthropic's format: all text up to the last mark, which asks to keep it.
    marked: str | None = None
    key: int = field(init=False)  # the prompt's identity: 64 bits of its SHA-1

    def __post_init__(self) -> None:
        prompt = self.prompt.encode("utf-8", "surrogatepass")
        self.key = int.from_bytes(hashlib.sha1(prompt, usedforsecurity=False).digest()[:8])


@dataclass(slots=True)
class Usage:
    """`input_tokens` counts all input; the cached and cache-written parts are inside it."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(slots=True)
class Answer:
    """What the model said. `finish` is one of stop, length, content_filter, refusal."""

    text: str
    usage: Usage
    finish: str = "stop"
    identity: str = ""  # hexadecimal, unique to the call


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit as the headers tell it; `reset` is in seconds until it is full again."""

    limit: int
    remaining: int
    reset: float


class Shape(Protocol):
    """A vendor's format: three pure functions and the headers it puts on an answer.

    `question` raises `ApiError` where the vendor would answer 400.
    """

    def question(self, request: Request, body: dict[str, Json]) -> Question: ...

    def answer(self, question: Question, answer: Answer) -> dict[str, Json]: ...

    def error(self, error: ApiError, identity: str) -> dict[str, Json]: ...

    def headers(self, identity: str, limits: dict[str, LimitState]) -> list[tuple[str, str]]: ...


def text_of(content: Json, *, where: str, between: str = "\n") -> str:
    """The text of a message's content: a string, or parts with a `text` each; others are skipped.

    Raises `ApiError` when it is neither.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts: list[str] = []
        for part in content:
            if not isinstance(part, dict):
                raise invalid(f"Invalid type for '{where}': expected an object.", param=where)
            text = part.get("text")
            if isinstance(text, str):
                texts.append(text)
        return between.join(texts)
    if content is None:
        return ""
    raise invalid(
        f"Invalid type for '{where}': expected one of a string or array of objects.", param=where
    )


def positive_integer(body: dict[str, Json], name: str) -> int | None:
    """The whole number at `name`, None where it is missing or null; raises `ApiError` otherwise."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(f"Invalid type for '{name}': expected an integer.", param=name)
    if value < 1:
        raise invalid(
            f"Invalid '{name}': integer below minimum value. Expected a value >= 1.",
            param=name,
            code="integer_below_min_value",
        )
    return value


def check_temperature(body: dict[str, Json], highest: float) -> None:
    """Raises `ApiError` when the temperature is not a number from 0 to `highest`."""
    value = body.get("temperature")
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid("Invalid type for 'temperature': expected a decimal.", param="temperature")
    if not 0 <= value <= highest:
        raise invalid(
            f"Invalid 'temperature': expected a value between 0 and {highest:g}.",
            param="temperature",
        )
