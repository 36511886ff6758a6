"""What goes over the wire, by API."""

import json
from typing import Any

import pytest

from jobs.providers.formats import FORMATS
from jobs.providers.structured import anthropic_schema, strict_schema
from jobs.providers.types import Call, Endpoint, HttpRequest

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["a", "b"]}},
    "required": ["label"],
    "additionalProperties": False,
}
KEY = "sk-secret-0123456789"


def build(api: str, call: Call | None = None, **endpoint: Any) -> tuple[HttpRequest, Any]:
    there = {"base_url": "https://api.example.com", "api_key": KEY} | endpoint
    request = FORMATS[api].build(Endpoint(api, **there), call or Call("m", "Be brief.", "Hello"))
    return request, json.loads(request.body)


def call_with(**changes: Any) -> Call:
    return Call(**({"model": "m", "system": "", "user": "Hello"} | changes))


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.example.com", "https://api.example.com/v1/chat/completions"),
        ("https://api.example.com/", "https://api.example.com/v1/chat/completions"),
        ("https://api.example.com/v1", "https://api.example.com/v1/chat/completions"),
        ("https://api.example.com/v1/", "https://api.example.com/v1/chat/completions"),
        ("https://x.example/api/v1", "https://x.example/api/v1/chat/completions"),
        ("https://x.example/openai/v1", "https://x.example/openai/v1/chat/completions"),
        ("https://x.example/v1beta/openai", "https://x.example/v1beta/openai/chat/completions"),
        ("https://x.example/api/paas/v4", "https://x.example/api/paas/v4/chat/completions"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/chat/completions"),
    ],
)
def test_it_takes_a_base_url_with_and_without_its_version(base: str, url: str) -> None:
    assert build("openai_chat", base_url=base)[0].url == url


def test_it_asks_chat_completions() -> None:
    request, body = build("openai_chat")
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
    }
    assert request.method == "POST"
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_it_asks_responses_and_lets_nothing_be_stored() -> None:
    request, body = build("openai_responses")
    assert request.url.endswith("/v1/responses")
    assert body == {
        "model": "m",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "Hello"}],
        "store": False,
    }


def test_it_asks_messages_and_always_names_a_limit() -> None:
    request, body = build("anthropic_messages")
    assert request.url.endswith("/v1/messages")
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers
    assert body == {
        "model": "m",
        "max_tokens": 4096,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hello"}],
    }


@pytest.mark.parametrize("api", FORMATS)
def test_it_sends_no_key_header_without_a_key(api: str) -> None:
    request, _ = build(api, api_key="")
    assert not {"authorization", "x-api-key"} & request.headers.keys()


@pytest.mark.parametrize("api", FORMATS)
def test_it_names_its_request_and_hides_its_key(api: str) -> None:
    request, _ = build(api, call_with(request_id="lease-7-1"))
    assert request.headers["x-client-request-id"] == "lease-7-1"
    assert KEY not in repr(request)
    assert KEY.encode() not in request.body


@pytest.mark.parametrize(
    ("api", "legacy", "name"),
    [
        ("openai_chat", False, "max_completion_tokens"),
        ("openai_chat", True, "max_tokens"),
        ("openai_responses", False, "max_output_tokens"),
        ("anthropic_messages", False, "max_tokens"),
    ],
)
def test_it_calls_the_length_limit_by_its_name(api: str, legacy: bool, name: str) -> None:
    call = call_with(parameters={"max_tokens": 77})
    _, body = build(api, call, legacy_max_tokens=legacy)
    limits = {key: value for key, value in body.items() if key.startswith("max_")}
    assert limits == {name: 77}


def test_it_translates_parameters_and_leaves_out_what_an_api_does_not_know() -> None:
    given = {"temperature": 0.5, "stop": "END", "reasoning_effort": "low", "seed": 1, "top_k": 4}
    call = call_with(parameters=given)
    chat, responses, messages = (build(api, call)[1] for api in FORMATS)
    known = {"temperature": 0.5, "stop": "END", "reasoning_effort": "low", "seed": 1}
    assert known.items() <= chat.items()
    assert "top_k" not in chat
    assert responses["reasoning"] == {"effort": "low"}
    assert not {"stop", "seed", "top_k"} & responses.keys()
    assert messages["stop_sequences"] == ["END"]
    assert messages["top_k"] == 4
    assert "seed" not in messages


@pytest.mark.parametrize("api", FORMATS)
def test_it_shows_a_repair_the_former_answer_and_the_fault(api: str) -> None:
    _, body = build(api, call_with(repair=("{bad", "It is not JSON")))
    turns = [turn for turn in body.get("messages", body.get("input")) if turn["role"] != "system"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    if api == "openai_responses":  # the model's own turn comes in the form it was sent in
        assert turns[1]["content"] == [{"type": "output_text", "text": "{bad"}]
    else:
        assert turns[1]["content"] == "{bad"
    assert "It is not JSON" in turns[2]["content"]


def test_it_marks_what_messages_begin_with_where_that_is_to_be_kept() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}

    def sent(system: str, user: str, keep: tuple[str, str]) -> tuple[Any, Any]:
        call = call_with(system=system, user=user, keep=keep)
        _, body = build("anthropic_messages", call)
        return body.get("system"), body["messages"][0]["content"]

    def block(text: str, **more: Any) -> dict[str, Any]:
        return {"type": "text", "text": text, **more}

    whole, beginning = [block("Heed.", **mark)], [block("Row: ", **mark), block("7")]
    assert sent("Heed.", "Row: 7", ("Heed.", "Row: ")) == ("Heed.", beginning)
    assert sent("Heed.", "7", ("Heed.", "")) == (whole, "7")
    assert sent("Heed.", " \n7", ("Heed.", " \n")) == (whole, " \n7")  # no block of white space
    assert sent("Heed. 7", "x", ("Heed. ", "")) == ([block("Heed. ", **mark), block("7")], "x")
    assert sent("", "Row: ", ("", "Row: ")) == (None, [block("Row: ", **mark)])
    assert sent("Else.", "7", ("Heed.", "Row: ")) == ("Else.", "7")
    # The others keep by themselves, or not at all.
    call = call_with(user="Row: 7", keep=("", "Row: "))
    assert build("openai_chat", call)[1] == build("openai_chat", call_with(user="Row: 7"))[1]


def test_it_hands_the_schema_to_each_api_in_its_way() -> None:
    call = call_with(schema=SCHEMA, schema_name="my label!")
    chat, responses, messages = (build(api, call)[1] for api in FORMATS)
    wanted = {"name": "my_label_", "strict": True, "schema": SCHEMA}
    assert chat["response_format"] == {"type": "json_schema", "json_schema": wanted}
    assert responses["text"]["format"] == {"type": "json_schema"} | wanted
    assert messages["output_config"]["format"] == {"type": "json_schema", "schema": SCHEMA}


def test_it_forces_a_tool_where_a_server_knows_only_those() -> None:
    call = call_with(schema=SCHEMA, schema_name="label")
    chat, responses, messages = (build(api, call, structured="tool")[1] for api in FORMATS)
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "label"}}
    assert chat["tools"][0]["function"]["parameters"] == SCHEMA
    assert responses["tool_choice"] == {"type": "function", "name": "label"}
    assert messages["tool_choice"] == {"type": "tool", "name": "label"}
    assert messages["tools"] == [{"name": "label", "input_schema": SCHEMA}]
    assert "output_config" not in messages


@pytest.mark.parametrize("api", FORMATS)
@pytest.mark.parametrize("way", ["json_object", "prompt"])
def test_it_puts_the_schema_into_words_for_servers_without(api: str, way: str) -> None:
    request, body = build(api, call_with(schema=SCHEMA, system="Be brief."), structured=way)
    assert rb"\"enum\":[\"a\",\"b\"]" in request.body
    assert request.body.count(b"Be brief.") == 1
    asked_for_object = b'"json_object"' in request.body
    assert asked_for_object is (way == "json_object" and api != "anthropic_messages")
    assert "tools" not in body
    assert "output_config" not in body


def test_it_closes_objects_for_strict_mode_and_drops_notes() -> None:
    asked = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "x"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}},
        },
        "required": ["tags", "name"],
    }
    strict, schema = strict_schema(asked)
    assert strict
    assert schema["additionalProperties"] is False
    assert "$schema" not in schema
    assert schema["properties"]["name"] == {"type": "string"}
    # A length cannot be demanded, but it can be told.
    assert schema["properties"]["tags"]["items"] == {
        "type": "string",
        "description": '{"maxLength":9}',
    }
    assert "additionalProperties" not in asked


def _object(**changes: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]} | changes


@pytest.mark.parametrize(
    "schema",
    [
        _object(required=[]),
        _object(additionalProperties=True),
        _object(additionalProperties={"type": "string"}),
        _object(patternProperties={"^x": {"type": "string"}}),
        _object(properties={"a": {"not": {"type": "string"}}}),
        _object(properties={"a": {}}),
        _object(properties={"a": {"type": "object"}}),
        _object(properties={"a": {"type": "array"}}),
        _object(properties={"a": True}),
        _object(properties={"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}}),
        _object(properties={"a": {"enum": list(range(1_001))}}),
        {"type": "array", "items": {"type": "string"}},
        {"anyOf": [_object()]},
        {},
    ],
    ids=repr,
)
def test_it_leaves_alone_what_strict_mode_cannot_say(schema: dict[str, Any]) -> None:
    assert strict_schema(schema) == (False, schema)


def test_it_tells_anthropic_in_words_what_its_schemas_cannot_say() -> None:
    asked = _object(
        properties={
            "n": {"type": "integer", "minimum": 1, "description": "A count"},
            "one": {"oneOf": [{"type": "string"}, {"type": "null"}]},
            "when": {"type": "string", "format": "date"},
        },
        required=["n"],
    )
    assert anthropic_schema(asked) == {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "description": 'A count\n\n{"minimum":1}'},
            "one": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "when": {"type": "string", "format": "date"},
        },
        "required": ["n"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("api", FORMATS)
def test_it_sends_texts_that_are_no_unicode_with_a_visible_mark(api: str) -> None:
    request, _ = build(api, call_with(user="half \ud83d, whole \U0001f600, nul \x00"))
    body = json.loads(request.body.decode("utf-8"))
    turns = body.get("messages", body.get("input"))
    assert turns[-1]["content"] == "half �, whole \U0001f600, nul \x00"
