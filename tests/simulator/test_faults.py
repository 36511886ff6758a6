"""Each fault is reached over HTTP, looks as it should, and is billed as it should."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from jobs.simulator.faults import KINDS
from tests.simulator.raw import (
    CHAT,
    MESSAGES,
    RESPONSES,
    Seen,
    connect,
    exchange,
    posted,
    read_message,
    read_on,
    request_for,
    settled,
)
from tests.simulator.schemas import TICKET, said
from tests.simulator_process import SimulatorProcess

PROMPT = "I was charged twice for order 7731 and want a refund of 49.90. [[fault:{}]]"


def ask(simulator: SimulatorProcess, kind: str, path: str = CHAT, **extra: Any) -> Seen:
    return exchange(simulator, request_for(path, PROMPT.format(kind), **extra))


def bucket(stats: dict[str, Any]) -> str:
    """Under which heading the only call was billed."""
    (model,) = stats["models"].values()
    assert model["calls"] == 1
    found = [name for name in ("unseen", "unreported") if model[name]["calls"]]
    found += ["billed"] if model["billed_calls"] else []
    assert len(found) <= 1, stats
    tokens = model if found == ["billed"] else model[found[0]] if found else {"input_tokens": 1}
    assert tokens["input_tokens"] > 0
    return found[0] if found else "free"


def content(seen: Seen) -> str:
    return str(seen.json["choices"][0]["message"]["content"])


def is_refused_by_the_schema(text: str) -> bool:
    return not jsonschema_rs.is_valid(TICKET, json.loads(text))


def is_no_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return True
    return False


def _refuse(constant: str) -> None:
    raise ValueError(constant)


ERRORS: dict[str, tuple[int, str]] = {
    "rate_limited": (429, "Rate limit reached"),
    "retry_after": (429, "Rate limit reached"),
    "overloaded": (503, "overloaded"),
    "server_error": (500, "server_error"),
    "bad_gateway": (502, "<html>"),
    "gateway_timeout": (504, "<html>"),
    "text_error": (500, "Internal Server Error"),
    "authentication": (401, "invalid_api_key"),
    "permission": (403, "does not have access"),
    "quota_exhausted": (429, "insufficient_quota"),
    "payment_required": (402, "Insufficient credits"),
    "model_not_found": (404, "model_not_found"),
    "invalid_request": (400, "invalid_request_error"),
    "context_length": (400, "context_length_exceeded"),
    "content_filter_400": (400, "content_filter"),
}
RETRY_AFTER: dict[str, bytes] = {
    "negative": b"retry-after: -5",
    "zero": b"retry-after: 0\r\n",
    "huge": b"retry-after: 1000000000",
    "past_date": b" gmt\r\n",
    "future_date": b" gmt\r\n",
    "text": b"retry-after: soon",
    "twice": b"retry-after: 1\r\nretry-after: 2",
    "milliseconds": b"retry-after-ms: 250",
    "fraction": b"retry-after: 0.5",
    "missing": b"content-length",
}
CONTENTS: dict[str, Callable[[str], bool]] = {
    "empty_output": lambda text: text == "",
    "blank_output": lambda text: text.isspace(),
    "prose_json": lambda text: text.startswith("Sure!") and is_no_json(text),
    "fenced_json": lambda text: text.startswith("```json") and is_no_json(text),
    "broken_json": lambda text: text.startswith("{") and is_no_json(text),
    "invalid_json": is_no_json,
    "nan_output": lambda text: "NaN" in text and is_no_json(text),
    "deep_output": lambda text: text.startswith("[[[[") and len(text) == 200_000,
    "nul_output": lambda text: "\x00" in json.loads(text)["summary"],
    "missing_field": lambda text: "category" not in text,
    "wrong_enum": is_refused_by_the_schema,
    "wrong_type": is_refused_by_the_schema,
    "extra_field": is_refused_by_the_schema,
    "schema_violation": is_refused_by_the_schema,
}
BODIES: dict[str, tuple[str, Callable[[Seen], bool]]] = {
    "content_filter": (
        "billed",
        lambda seen: seen.json["choices"][0]["finish_reason"] == "content_filter",
    ),
    "refusal": ("billed", lambda seen: "sorry" in seen.json["choices"][0]["message"]["refusal"]),
    "truncated": ("billed", lambda seen: seen.json["choices"][0]["finish_reason"] == "length"),
    "no_choices": ("billed", lambda seen: seen.json["choices"] == []),
    "duplicate_keys": ("billed", lambda seen: seen.body.count(b'"model":') == 2),
    "plain_type": ("billed", lambda seen: b"content-type: text/plain" in seen.head),
    "chunked": ("billed", lambda seen: seen.body.endswith(b"0\r\n\r\n")),
    "gzipped": ("billed", lambda seen: b'"usage"' in gzip.decompress(seen.body)),
    "duplicate_headers": ("billed", lambda seen: seen.head.count(b"content-type:") == 2),
    "usage_missing": ("unreported", lambda seen: "usage" not in seen.json),
    "usage_negative": ("unreported", lambda seen: seen.json["usage"]["prompt_tokens"] < 0),
    "usage_string": ("unreported", lambda seen: "about" in seen.json["usage"]["prompt_tokens"]),
    "usage_huge": ("unreported", lambda seen: seen.json["usage"]["prompt_tokens"] > 10**15),
    "usage_zero": ("unreported", lambda seen: seen.json["usage"]["prompt_tokens"] == 0),
    "nan_json": ("unreported", lambda seen: seen.body.startswith(b'{"simulated":NaN')),
    "infinity_json": ("unreported", lambda seen: b":-Infinity," in seen.body),
    "exponent_json": ("unreported", lambda seen: b":1e400," in seen.body),
    "huge_integer": ("unreported", lambda seen: seen.body.count(b"9") >= 100_000),
    "deep_json": ("unreported", lambda seen: b"[" * 100_000 in seen.body),
    "byte_order_mark": ("unreported", lambda seen: seen.body.startswith(b"\xef\xbb\xbf{")),
    "bad_utf8": ("unreported", lambda seen: b"\xff\xfe" in seen.body),
    "lone_surrogate": ("unreported", lambda seen: b"\\ud800" in seen.body),
    "html_200": ("free", lambda seen: b"<html>" in seen.body),
    "error_in_200": ("free", lambda seen: seen.json["error"]["code"] == "upstream_error"),
    "empty_body": ("unseen", lambda seen: seen.body == b""),
    "null_body": ("unseen", lambda seen: seen.body == b"null"),
    "cut_json": ("unseen", lambda seen: is_no_json(seen.body.decode())),
    "many_headers": ("unseen", lambda seen: seen.head.count(b"x-filler") == 10_000),
    "huge_header": ("unseen", lambda seen: len(seen.head) > 1024 * 1024),
    "gzip_bomb": ("unseen", lambda seen: len(seen.body) < 2**20 and _inflated(seen.body) == 2**28),
}
BROKEN: dict[str, tuple[str, Callable[[Seen], bool]]] = {
    "reset_before": ("reset", lambda seen: seen.data == b""),
    "close_before": ("closed", lambda seen: seen.data == b""),
    "reset_mid_body": ("reset", lambda seen: b'"id"' in seen.body),
    "half_body": ("closed", lambda seen: b'"id"' in seen.body and is_no_json(seen.body.decode())),
    "half_close": ("closed", lambda seen: b'"id"' in seen.body and is_no_json(seen.body.decode())),
    "connection": ("", lambda seen: b"usage" not in seen.data),
    "two_content_lengths": ("closed", lambda seen: seen.head.count(b"content-length") == 2),
    "broken_chunk": ("closed", lambda seen: b"\r\nzz\r\n" in seen.body),
}
OPEN = {
    "timeout",
    "silent_body",
    "wrong_content_length",
    "short_content_length",
    "duplicate_answer",
    "stale_connection",
    "late",
    "slow_bytes",
    "huge_body",
    "endless_body",
}


def _inflated(data: bytes) -> int:
    inflate, size = zlib.decompressobj(31), 0
    while data:
        size += len(inflate.decompress(data, 2**24))
        data = inflate.unconsumed_tail
    assert inflate.eof, "the trailer's checksum was right"
    return size


def test_it_tries_every_kind() -> None:
    tried = {*ERRORS, *CONTENTS, *BODIES, *BROKEN, *OPEN, "echo_key"}
    tried |= {f"retry_after_{variant}" for variant in RETRY_AFTER}
    assert tried == set(KINDS)


@pytest.mark.parametrize("kind", ERRORS)
def test_it_answers_an_error_free_of_charge(simulator: SimulatorProcess, kind: str) -> None:
    status, words = ERRORS[kind]
    seen = ask(simulator, kind)
    assert seen.status == status
    assert words in seen.body.decode()
    stats = settled(simulator)
    assert bucket(stats) == "free"
    assert stats["models"]["sim-small"]["by_status"] == {str(status): 1}
    assert stats["models"]["sim-small"]["by_fault"] == {kind: 1}


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("rate_limited", 429, "rate_limit_error"),
        ("overloaded", 529, "overloaded_error"),
        ("server_error", 500, "api_error"),
        ("authentication", 401, "authentication_error"),
        ("permission", 403, "permission_error"),
        ("quota_exhausted", 400, "invalid_request_error"),
        ("model_not_found", 404, "not_found_error"),
        ("context_length", 400, "invalid_request_error"),
        ("content_filter", 400, "invalid_request_error"),
        ("payment_required", 402, "billing_error"),
    ],
)
def test_it_answers_an_error_in_anthropics_shape(
    simulator: SimulatorProcess, kind: str, status: int, error: str
) -> None:
    seen = ask(simulator, kind, MESSAGES)
    assert seen.status == status
    assert seen.json["type"] == "error"
    assert seen.json["error"]["type"] == error
    assert seen.json["request_id"].startswith("req_")


@pytest.mark.parametrize("variant", RETRY_AFTER)
def test_it_says_retry_after_in_every_odd_way(simulator: SimulatorProcess, variant: str) -> None:
    seen = ask(simulator, f"retry_after_{variant}")
    assert seen.status == 429
    assert RETRY_AFTER[variant] in seen.head + b"\r\n"
    assert (b"retry-after:" in seen.head) == (variant not in ("missing", "milliseconds"))


@pytest.mark.parametrize("kind", CONTENTS)
def test_it_spoils_what_the_model_says_and_bills_it(simulator: SimulatorProcess, kind: str) -> None:
    seen = ask(simulator, kind)
    assert seen.status == 200
    assert CONTENTS[kind](content(seen)), content(seen)[:200]
    stats = settled(simulator)
    assert bucket(stats) == "billed"
    assert stats["models"]["sim-small"]["output_tokens"] == seen.json["usage"]["completion_tokens"]


@pytest.mark.parametrize("kind", BODIES)
def test_it_spoils_the_body(simulator: SimulatorProcess, kind: str) -> None:
    billing, looks_right = BODIES[kind]
    seen = ask(simulator, kind)
    assert seen.status == 200
    assert looks_right(seen), seen.data[:300]
    assert bucket(settled(simulator)) == billing


@pytest.mark.parametrize("kind", BROKEN)
def test_it_breaks_the_connection(simulator: SimulatorProcess, kind: str) -> None:
    ending, looks_right = BROKEN[kind]
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, PROMPT.format(kind)))
        # More than any answer is asked for, so that only the end of the connection ends it.
        seen = read_on(connection, b"", 1 << 30, patience=10)
    assert seen.ending == ending or not ending
    assert looks_right(seen), seen.data
    assert bucket(settled(simulator)) == "unseen"


def test_it_is_silent_until_the_client_leaves(simulator: SimulatorProcess) -> None:
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, PROMPT.format("timeout")))
        assert read_on(connection, b"", 1) == Seen(b"", "open")
        assert simulator.stats()["in_flight"] == 1
    assert bucket(settled(simulator)) == "unseen"


@pytest.mark.parametrize("kind", ["silent_body", "wrong_content_length"])
def test_it_falls_silent_in_mid_answer(simulator: SimulatorProcess, kind: str) -> None:
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, PROMPT.format(kind)))
        seen = read_on(connection, b"", 1 << 30)
        assert seen.ending == "open"
        assert seen.status == 200
    assert bucket(settled(simulator)) == "unseen"


def test_it_promises_less_than_comes(simulator: SimulatorProcess) -> None:
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, PROMPT.format("short_content_length")))
        seen = read_message(connection)
        seen = read_on(connection, seen.data, 1 << 30)
    promised = int(seen.head.rpartition(b"content-length: ")[2].split(b"\r\n")[0])
    assert len(seen.body) == promised + 30
    assert bucket(settled(simulator)) == "unseen"


def test_it_answers_twice_and_bills_once(simulator: SimulatorProcess) -> None:
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, PROMPT.format("duplicate_answer")))
        first = read_message(connection)
        length = int(first.head.rpartition(b"content-length: ")[2].split(b"\r\n")[0])
        size = len(first.head) + 4 + length
        both = read_on(connection, first.data, 2 * size)
    assert both.data[:size] == both.data[size:]
    assert bucket(settled(simulator)) == "billed"


def test_it_closes_a_kept_connection_unannounced(simulator: SimulatorProcess) -> None:
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, PROMPT.format("stale_connection")))
        seen = read_message(connection)
        assert b"connection: close" not in seen.head
        assert read_on(connection, seen.data, 1 << 30, patience=10).ending == "closed"
    assert bucket(settled(simulator)) == "billed"


@pytest.mark.parametrize(
    ("kind", "params"), [("late", {"seconds": 0.05}), ("slow_bytes", {"seconds_per_byte": 0.0001})]
)
def test_it_takes_its_time_and_is_right_in_the_end(
    simulator: SimulatorProcess, kind: str, params: dict[str, float]
) -> None:
    simulator.set_faults({kind: {"share": 1, **params}})
    seen = exchange(simulator, request_for(CHAT, "hello"))
    jsonschema_rs.validate(TICKET, json.loads(content(seen)))
    assert bucket(settled(simulator)) == "billed"


def test_it_writes_slowly_for_ever_if_told_so(simulator: SimulatorProcess) -> None:
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, PROMPT.format("slow_bytes")))
        seen = read_on(connection, b"", 1 << 30)
        assert seen.ending == "open"
        assert len(seen.body) < 5
    assert bucket(settled(simulator)) == "unseen"


@pytest.mark.parametrize("kind", ["huge_body", "endless_body"])
def test_it_writes_more_than_anyone_wants(simulator: SimulatorProcess, kind: str) -> None:
    with connect(simulator) as connection:
        connection.sendall(request_for(CHAT, PROMPT.format(kind)))
        seen = read_on(connection, b"", 30 * 1024 * 1024, patience=10)
        assert seen.ending == "open"
        # Another client is served meanwhile.
        assert exchange(simulator, request_for(CHAT, "hello")).status == 200
    stats = settled(simulator)["models"]["sim-small"]
    assert stats["unseen"]["calls"] == 1
    assert stats["billed_calls"] == 1


@pytest.mark.parametrize("path", [RESPONSES, MESSAGES])
@pytest.mark.parametrize("kind", ["refusal", "truncated", "usage_missing", "empty_output"])
def test_it_spoils_answers_in_all_formats(
    simulator: SimulatorProcess, kind: str, path: str
) -> None:
    body = ask(simulator, kind, path).json
    signs = {
        ("refusal", RESPONSES): lambda: body["output"][0]["content"][0]["type"] == "refusal",
        ("refusal", MESSAGES): lambda: body["stop_reason"] == "refusal",
        ("truncated", RESPONSES): lambda: (
            body["incomplete_details"] == {"reason": "max_output_tokens"}
        ),
        ("truncated", MESSAGES): lambda: body["stop_reason"] == "max_tokens",
        ("usage_missing", RESPONSES): lambda: "usage" not in body,
        ("usage_missing", MESSAGES): lambda: "usage" not in body,
        ("empty_output", RESPONSES): lambda: body["output"][0]["content"][0]["text"] == "",
        ("empty_output", MESSAGES): lambda: body["content"] == [],
    }
    assert signs[kind, path]()


@pytest.mark.parametrize(
    ("place", "billing"),
    [("error", "free"), ("headers", "free"), ("page", "free"), ("text", "free"),
     ("answer", "billed"), ("model", "billed")],
)  # fmt: skip
def test_it_sends_the_key_back(simulator: SimulatorProcess, place: str, billing: str) -> None:
    simulator.set_faults({"echo_key": {"share": 1, "place": place}})
    body = json.dumps({"model": "sim-small", "messages": said("hello")}).encode()
    request = posted(CHAT, body, "authorization: Bearer sk-echoed-key")
    assert b"sk-echoed-key" in exchange(simulator, request).data
    assert bucket(settled(simulator)) == billing
