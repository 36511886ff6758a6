"""What a 200 means: text, usage, and the ways in which an answer is none."""

import json
from typing import Any

import pytest

from jobs.failures import FailureClass as F
from jobs.providers.formats import FORMATS
from jobs.providers.types import HttpResponse, Outcome, Usage


def parse(api: str, body: Any, headers: dict[str, str] | None = None) -> Outcome:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return FORMATS[api].parse(HttpResponse(200, headers or {}, data))


def chat(content: Any = "Hi", finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content} | message,
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }


def responses(*parts: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "model": "gpt-5-2025-08-07",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": list(parts)},
        ],
        "usage": {"input_tokens": 10, "output_tokens": 2},
    } | more


def message(*blocks: Any, stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "model": "claude-sonnet-4-5-20250929",
        "content": list(blocks),
        "stop_reason": stop,
        "usage": {"input_tokens": 10, "output_tokens": 2},
    } | more


def said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def told(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


WHOLE = {
    "openai_chat": chat(),
    "openai_responses": responses(told("Hi")),
    "anthropic_messages": message({"type": "thinking", "thinking": "…"}, said("Hi")),
}


@pytest.mark.parametrize("api", FORMATS)
def test_it_reads_a_whole_answer(api: str) -> None:
    outcome = parse(api, WHOLE[api], {"x-request-id": "req_7"})
    assert outcome.failure is None
    assert outcome.text == "Hi"
    assert outcome.model == WHOLE[api]["model"]
    assert outcome.charged is True
    assert outcome.provider_request_id == "req_7"
    assert outcome.usage is not None
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (10, 2)
    assert not outcome.usage.estimated
    assert json.loads(outcome.usage.raw) == WHOLE[api]["usage"]


FAILED = [
    ("chat, length", "openai_chat", chat("Onc", "length"), F.TRUNCATED),
    ("chat, thought until the limit", "openai_chat", chat(None, "length"), F.TRUNCATED),
    ("chat, filter", "openai_chat", chat("", "content_filter"), F.CONTENT_FILTER),
    ("chat, refusal", "openai_chat", chat(None, refusal="I can't help."), F.REFUSAL),
    ("chat, nothing", "openai_chat", chat(""), F.EMPTY_OUTPUT),
    ("chat, null", "openai_chat", chat(None), F.EMPTY_OUTPUT),
    ("chat, blank", "openai_chat", chat(" \n"), F.EMPTY_OUTPUT),
    ("chat, number", "openai_chat", chat(7), F.EMPTY_OUTPUT),
    ("chat, no choices", "openai_chat", chat() | {"choices": []}, F.EMPTY_OUTPUT),
    ("chat, broken off", "openai_chat", chat("Onc", "error"), F.SERVER_ERROR),
    ("responses, length", "openai_responses", responses(
        told("Onc"), status="incomplete",
        incomplete_details={"reason": "max_output_tokens"}), F.TRUNCATED),
    ("responses, filter", "openai_responses", responses(
        status="incomplete", incomplete_details={"reason": "content_filter"}), F.CONTENT_FILTER),
    ("responses, refusal", "openai_responses", responses(
        {"type": "refusal", "refusal": "I can't help."}), F.REFUSAL),
    ("responses, nothing", "openai_responses", responses(), F.EMPTY_OUTPUT),
    ("responses, queued", "openai_responses", responses(status="queued"), F.SERVER_ERROR),
    ("messages, length", "anthropic_messages", message(said("Onc"), stop="max_tokens"),
     F.TRUNCATED),
    ("messages, refusal", "anthropic_messages", message(stop="refusal"), F.REFUSAL),
    ("messages, window", "anthropic_messages",
     message(said("Onc"), stop="model_context_window_exceeded"), F.CONTEXT_LENGTH),
    ("messages, pause", "anthropic_messages", message(said("Onc"), stop="pause_turn"),
     F.TRUNCATED),
    ("messages, nothing", "anthropic_messages", message(), F.EMPTY_OUTPUT),
]  # fmt: skip


@pytest.mark.parametrize(
    ("api", "body", "failure"), [row[1:] for row in FAILED], ids=[row[0] for row in FAILED]
)
def test_it_charges_answers_that_are_of_no_use(api: str, body: Any, failure: F) -> None:
    outcome = parse(api, body)
    assert outcome.failure is failure
    assert outcome.message
    assert outcome.charged is True
    assert outcome.usage is not None
    assert outcome.usage.input_tokens == 10


@pytest.mark.parametrize(
    ("code", "words", "usage", "failure"),
    [
        ("server_error", "The model failed.", None, F.SERVER_ERROR),
        ("rate_limit_exceeded", "Rate limit reached.", None, F.RATE_LIMITED),
        ("server_error", "The model failed.", {"input_tokens": 9, "output_tokens": 0},
         F.SERVER_ERROR),
    ],
)  # fmt: skip
def test_it_charges_a_failed_response_if_it_reports_usage(
    code: str, words: str, usage: Any, failure: F
) -> None:
    body = responses(status="failed", error={"code": code, "message": words}, usage=usage)
    outcome = parse("openai_responses", body)
    assert outcome.failure is failure
    assert outcome.message == words
    assert outcome.charged is (usage is not None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "an empty body"),
        (b"<html>Welcome to the hotel's network</html>", "is a web page"),
        (b"data: {}\n\n", "is a stream"),
        (b'{"choices": [{"mess', "no readable JSON"),
        (b"null", "no readable JSON"),
        (b"Sure!", "no readable JSON"),
        (b'{"hello": 1}', "is no"),
        (b'"text"', "is no"),
    ],
)
@pytest.mark.parametrize("api", FORMATS)
def test_it_doubts_the_charge_of_a_200_that_is_no_answer(api: str, body: bytes, words: str) -> None:
    outcome = parse(api, body)
    assert outcome.failure is F.SERVER_ERROR
    assert words in outcome.message
    assert outcome.charged is None


def test_it_reads_what_a_forced_tool_was_called_with() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "x", "arguments": '{"a":1}'}}
    assert parse("openai_chat", chat(None, "tool_calls", tool_calls=[call])).text == '{"a":1}'
    call["function"] = {"name": "x", "arguments": {"a": 1}}
    assert parse("openai_chat", chat(None, "tool_calls", tool_calls=[call])).text == '{"a":1}'
    item = {"type": "function_call", "name": "x", "arguments": '{"a":1}'}
    assert parse("openai_responses", responses(output=[item])).text == '{"a":1}'
    block = {"type": "tool_use", "id": "1", "name": "x", "input": {"a": 1}}
    outcome = parse("anthropic_messages", message(said("Well,"), block, stop="tool_use"))
    assert outcome.text == '{"a":1}'
    assert outcome.failure is None


def test_it_joins_an_answer_of_several_parts() -> None:
    assert parse("openai_chat", chat([said("a"), {"type": "thinking"}, said("b")])).text == "ab"
    assert parse("openai_responses", responses(told("a"), told("b"))).text == "ab"
    assert parse("anthropic_messages", message(said("a"), said("b"))).text == "ab"


# --- usage --------------------------------------------------------------------------------------
def usage_of(api: str, usage: Any, text: str = "four") -> Usage:
    body = {
        "openai_chat": chat(text),
        "openai_responses": responses(told(text)),
        "anthropic_messages": message(said(text)),
    }[api]
    body["usage"] = usage
    if usage is None:
        del body["usage"]
    found = parse(api, body).usage
    assert found is not None
    return found


def test_it_counts_openais_cached_and_reasoning_tokens_inside() -> None:
    details = {"cached_tokens": 80, "cache_write_tokens": 15}
    expected = Usage(
        input_tokens=100,
        output_tokens=50,
        cached_input_tokens=80,
        cache_write_tokens=15,
        reasoning_tokens=40,
    )
    for api, asked, answered in (
        ("openai_chat", "prompt_tokens", "completion_tokens"),
        ("openai_responses", "input_tokens", "output_tokens"),
    ):
        reported = {
            asked: 100,
            answered: 50,
            f"{asked}_details": details,
            f"{answered}_details": {"reasoning_tokens": 40},
        }
        found = usage_of(api, reported)
        assert json.loads(found.raw) == reported
        assert found == Usage(**{**_fields(expected), "raw": found.raw})


def _fields(usage: Usage) -> dict[str, Any]:
    return {name: getattr(usage, name) for name in Usage.__slots__}


def test_it_adds_anthropics_cached_tokens_up() -> None:
    found = usage_of(
        "anthropic_messages",
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 80,
            "cache_creation_input_tokens": 15,
            "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 10},
            "output_tokens": 50,
        },
    )
    assert found.input_tokens == 105
    assert found.cached_input_tokens == 80
    assert found.cache_write_tokens == 5
    assert found.cache_write_1h_tokens == 10


@pytest.mark.parametrize(
    "count", [-5, "12", 10**12, 1.5, True, None, [], float("nan"), float("inf"), 10**30]
)
@pytest.mark.parametrize("api", FORMATS)
def test_it_estimates_where_a_count_cannot_be(api: str, count: Any) -> None:
    asked, answered = (
        ("prompt_tokens", "completion_tokens")
        if api == "openai_chat"
        else ("input_tokens", "output_tokens")
    )
    found = usage_of(api, {asked: 10, answered: count}, "eight ch")
    assert (found.input_tokens, found.output_tokens, found.estimated) == (10, 2, True)
    found = usage_of(api, {asked: count, answered: 3}, "eight ch")
    assert (found.input_tokens, found.output_tokens, found.estimated) == (0, 2, True)


@pytest.mark.parametrize("usage", [None, {}, [], "none", 0, {"prompt_tokens": 0}])
@pytest.mark.parametrize("api", FORMATS)
def test_it_estimates_where_no_usage_is_reported(api: str, usage: Any) -> None:
    found = usage_of(api, usage, "x")
    assert (found.output_tokens, found.estimated) == (1, True)


@pytest.mark.parametrize("api", FORMATS)
def test_it_does_not_believe_a_text_of_no_tokens(api: str) -> None:
    zero = dict.fromkeys(("prompt_tokens", "input_tokens"), 7) | dict.fromkeys(
        ("completion_tokens", "output_tokens"), 0
    )
    found = usage_of(api, zero)
    assert (found.input_tokens, found.output_tokens, found.estimated) == (7, 1, True)


def test_it_bounds_details_by_what_they_are_part_of() -> None:
    found = usage_of(
        "openai_chat",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 99, "cache_write_tokens": 99},
            "completion_tokens_details": {"reasoning_tokens": 99},
        },
    )
    assert found.cached_input_tokens == 10
    assert found.cache_write_tokens == 0
    assert found.reasoning_tokens == 5
