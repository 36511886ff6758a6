"""Whatever bytes come, parsing ends in an outcome that can be stored; it never raises."""

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.failures import FailureClass
from jobs.providers.formats import FORMATS
from jobs.providers.json_body import read_json, whole_text, write_json
from jobs.providers.types import HttpResponse, Outcome
from tests.providers.test_answers import WHOLE

STATUSES = st.sampled_from([200, 200, 200, 201, 302, 400, 401, 403, 404, 429, 500, 503, 529])
WORDS = st.sampled_from(
    ["id", "type", "error", "message", "choices", "content", "text", "usage", "output", "status",
     "finish_reason", "stop_reason", "refusal", "tool_calls", "function", "arguments", "input",
     "tool_use", "output_text", "failed", "incomplete", "details", "code", "metadata", "raw",
     "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "incomplete_details",
     "reason", "innererror", "model", "stop_details", "cache_creation", "prompt_tokens_details"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner),
    max_leaves=20,
)


def check(outcome: Outcome) -> None:
    """What settles an outcome relies on."""
    assert outcome.failure is None or isinstance(outcome.failure, FailureClass)
    assert (outcome.failure is None) == (outcome.message == "")
    assert len(outcome.message) <= 2_000
    assert len(outcome.model) <= 200
    assert len(outcome.finish_reason) <= 40
    assert len(outcome.provider_request_id) <= 200
    for text in (outcome.text, outcome.message, outcome.model, outcome.finish_reason):
        assert isinstance(text, str)
        text.encode()
    if outcome.failure is None:
        assert outcome.text.strip()
        assert outcome.charged is True
    if outcome.charged:
        assert outcome.usage is not None
    if outcome.usage is not None:
        for name in ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"):
            count = getattr(outcome.usage, name)
            assert isinstance(count, int)
            assert 0 <= count <= 10**8
        assert outcome.usage.output_tokens > 0 or not outcome.text
        parts = outcome.usage.cached_input_tokens + outcome.usage.cache_write_tokens
        assert parts + outcome.usage.cache_write_1h_tokens <= outcome.usage.input_tokens


def with_part(api: str, path: tuple[Any, ...], part: Any) -> Any:
    body = json.loads(json.dumps(WHOLE[api]))
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = part
    return body


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for step, inner in steps:
        found.append((*before, step))
        if isinstance(inner, dict | list):
            found += paths(inner, (*before, step))
    return found


@pytest.mark.parametrize("api", FORMATS)
@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_survives_any_value_in_any_place_of_an_answer(api: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths(WHOLE[api])))
    body = with_part(api, path, data.draw(ANYTHING))
    check(FORMATS[api].parse(HttpResponse(200, {}, json.dumps(body).encode())))


@pytest.mark.parametrize("api", FORMATS)
@given(status=STATUSES, body=ANYTHING)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_survives_any_json(api: str, status: int, body: Any) -> None:
    check(FORMATS[api].parse(HttpResponse(status, {}, json.dumps(body).encode())))


@pytest.mark.parametrize("api", FORMATS)
@given(status=STATUSES, body=st.binary(max_size=60), cut=st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_it_survives_any_bytes(api: str, status: int, body: bytes, cut: int) -> None:
    check(FORMATS[api].parse(HttpResponse(status, {}, body)))
    whole = json.dumps(WHOLE[api]).encode()
    check(FORMATS[api].parse(HttpResponse(status, {}, whole[:cut] + body + whole[cut:])))


def answer(api: str, *, text: bytes = b"Hi", extra: bytes = b"") -> HttpResponse:
    body = json.dumps(WHOLE[api]).encode().replace(b'"Hi"', b'"' + text + b'"')
    return HttpResponse(200, {}, b"{" + extra + body[1:])


# An answer that was paid for is saved from oddities in places that nobody reads.
@pytest.mark.parametrize(
    "extra",
    [
        b'"x": NaN,',
        b'"x": -Infinity,',
        b'"x": 1e400,',
        b'"x": ' + b"9" * 100_000 + b",",
        b'"x": 18446744073709551616,',
        b'"usage": {"prompt_tokens": 1}, "model": "twice",',
        b'"\\ud800": 1,',
        b'"x": "\xff\xfe",',
        b'"x": "a\x00b\nc",',
        b"\xef\xbb\xbf"[:0] + b'  "x": [' + b"[" * 500 + b"]" * 500 + b"],",
    ],
    ids=["NaN", "Infinity", "1e400", "digits", "64 bits", "twice", "surrogate", "utf-8", "control",
         "depth"],
)  # fmt: skip
@pytest.mark.parametrize("api", FORMATS)
def test_it_saves_an_answer_from_oddities_beside_it(api: str, extra: bytes) -> None:
    outcome = FORMATS[api].parse(answer(api, extra=extra))
    check(outcome)
    assert outcome.failure is None
    assert outcome.text == "Hi"
    assert outcome.model == WHOLE[api]["model"]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"half \\ud83d pair", "half � pair"),
        (b"\\udE00\\uD83D", "��"),
        (b"whole \\ud83d\\ude00", "whole \U0001f600"),
        (b"half \\ud83d, whole \\ud83d\\ude00", "half �, whole \U0001f600"),
        (b"no escape: \\\\ud83d", "no escape: \\ud83d"),
        (b"an escape after one: \\\\\\ud83d", "an escape after one: \\�"),
        (b"bytes \xff\xfe", "bytes ��"),
        (b"nul \\u0000", "nul \x00"),
        (b"raw nul \x00 and\ttab", "raw nul \x00 and\ttab"),
    ],
)
@pytest.mark.parametrize("api", FORMATS)
def test_it_marks_what_is_no_text(api: str, text: bytes, read: str) -> None:
    outcome = FORMATS[api].parse(answer(api, text=text))
    assert outcome.failure is None
    assert outcome.text == read


@pytest.mark.parametrize("api", FORMATS)
def test_it_takes_a_byte_order_mark(api: str) -> None:
    body = b"\xef\xbb\xbf" + answer(api).body
    assert FORMATS[api].parse(HttpResponse(200, {}, body)).text == "Hi"


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("api", FORMATS)
def test_it_gives_up_on_nesting_without_measure(api: str, status: int) -> None:
    for body in (
        b"[" * 100_000,
        b'{"error":' * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ):
        outcome = FORMATS[api].parse(HttpResponse(status, {}, body))
        check(outcome)
        assert outcome.failure is not None


def test_it_reads_no_number_that_is_none_into_a_ledger() -> None:
    for usage in (b'{"prompt_tokens": NaN}', b'{"prompt_tokens": 1e400}'):
        body = answer("openai_chat").body
        start = body.index(b'{"prompt_tokens"')
        outcome = FORMATS["openai_chat"].parse(
            HttpResponse(200, {}, body[:start] + usage + body[body.index(b"}", start) + 1 :])
        )
        check(outcome)
        assert outcome.usage is not None
        assert outcome.usage.estimated
        assert "NaN" not in outcome.usage.raw
        json.loads(outcome.usage.raw)


def test_it_counts_the_last_of_a_repeated_key() -> None:
    assert read_json(b'{"a": 1, "a": 2}') == {"a": 2}
    assert read_json(b'{"a": NaN, "a": 2}') == {"a": 2}


def test_it_tells_a_huge_integer_from_a_count() -> None:
    assert read_json(b"[" + b"7" * 100_000 + b"]") == [math.inf]


@given(st.text(st.characters(codec=None)))
def test_it_writes_any_text(text: str) -> None:
    assert json.loads(write_json({"a": text})) == {"a": whole_text(text)}


def test_it_writes_integers_of_any_size() -> None:
    assert json.loads(write_json({"a": 2**70})) == {"a": 2**70}


@pytest.mark.parametrize("levels", [300, 5_000, 9_990, 9_999, 50_000])
def test_it_survives_a_tool_called_with_something_nested(levels: int) -> None:
    nested = b'{"a":' * levels + b"1" + b"}" * levels
    for api, body in (
        ("anthropic_messages", b'{"content": [{"type": "tool_use", "input": %s}]}'),
        ("openai_chat", b'{"choices": [{"message": {"tool_calls": [{"function": '
                        b'{"arguments": %s}}]}}]}'),
        ("openai_responses", b'{"output": [{"type": "function_call", "arguments": %s}]}'),
    ):  # fmt: skip
        check(FORMATS[api].parse(HttpResponse(200, {}, body % nested)))
