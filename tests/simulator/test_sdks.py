"""The official SDKs read what the simulator answers."""

from collections.abc import Iterator

import anthropic
import jsonschema_rs
import openai
import orjson
import pytest

from tests.simulator.schemas import TICKET, output_config, response_format, said, text_format
from tests.simulator_process import SimulatorProcess

PROMPT = "I was charged twice for order 7731 and want a refund of 49.90."


@pytest.fixture
def openai_client(simulator: SimulatorProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=simulator.url + "/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(simulator: SimulatorProcess) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=simulator.url, api_key="k", max_retries=0) as client:
        yield client


def test_it_answers_chat_completions_by_the_schema(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(
        model="sim-small",
        messages=[{"role": "system", "content": "Classify the ticket."}, *said(PROMPT)],
        response_format=response_format(TICKET, strict=True),
    )
    value = orjson.loads(answer.choices[0].message.content or "")
    jsonschema_rs.validate(TICKET, value)
    assert value["category"] == "billing"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "sim-small"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_it_answers_responses_by_the_schema(openai_client: openai.OpenAI) -> None:
    answer = openai_client.responses.create(
        model="sim-small", instructions="Classify.", input=PROMPT, text=text_format(TICKET)
    )
    jsonschema_rs.validate(TICKET, orjson.loads(answer.output_text))
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.output_tokens == -(-len(answer.output_text.encode()) // 4)


def test_it_answers_messages_by_the_schema(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(
        model="sim-large",
        max_tokens=500,
        system="Classify.",
        messages=said(PROMPT),
        output_config=output_config(TICKET),
    )
    block = answer.content[0]
    assert block.type == "text"
    jsonschema_rs.validate(TICKET, orjson.loads(block.text))
    assert answer.stop_reason == "end_turn"


def test_it_calls_a_forced_tool_in_chat_completions(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(
        model="sim-small",
        messages=said(PROMPT),
        tools=[{"type": "function", "function": {"name": "record", "parameters": TICKET}}],
        tool_choice={"type": "function", "function": {"name": "record"}},
    )
    calls = answer.choices[0].message.tool_calls or []
    assert calls[0].type == "function"
    assert calls[0].function.name == "record"
    jsonschema_rs.validate(TICKET, orjson.loads(calls[0].function.arguments))
    assert answer.choices[0].finish_reason == "tool_calls"


def test_it_calls_a_forced_tool_in_responses(openai_client: openai.OpenAI) -> None:
    answer = openai_client.responses.create(
        model="sim-small",
        input=PROMPT,
        tools=[{"type": "function", "name": "record", "parameters": TICKET, "strict": False}],
        tool_choice={"type": "function", "name": "record"},
    )
    item = answer.output[0]
    assert item.type == "function_call"
    jsonschema_rs.validate(TICKET, orjson.loads(item.arguments))


def test_it_calls_a_forced_tool_in_messages(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(
        model="sim-small",
        max_tokens=500,
        messages=said(PROMPT),
        tools=[{"name": "record", "input_schema": TICKET}],
        tool_choice={"type": "tool", "name": "record"},
    )
    block = answer.content[0]
    assert block.type == "tool_use"
    jsonschema_rs.validate(TICKET, block.input)
    assert answer.stop_reason == "tool_use"


def test_it_quotes_the_prompt_where_no_schema_is_given(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="sim-small", messages=said(PROMPT))
    assert "I was charged twice" in (answer.choices[0].message.content or "")


def test_it_ends_early_at_the_length_limit(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    chat = openai_client.chat.completions.create(
        model="sim-small", messages=said(PROMPT), max_completion_tokens=5
    )
    assert chat.choices[0].finish_reason == "length"
    assert chat.usage is not None
    assert chat.usage.completion_tokens == 5
    responses = openai_client.responses.create(
        model="sim-small", input=PROMPT, max_output_tokens=16
    )
    assert responses.status == "incomplete"
    assert responses.incomplete_details is not None
    assert responses.incomplete_details.reason == "max_output_tokens"
    messages = anthropic_client.messages.create(
        model="sim-small", messages=said(PROMPT), max_tokens=5
    )
    assert messages.stop_reason == "max_tokens"
    assert messages.usage.output_tokens == 5


def test_it_lists_models_in_the_shape_of_who_asks(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    names = ["sim-small", "sim-medium", "sim-large"]
    assert [model.id for model in openai_client.models.list()] == names
    assert [model.id for model in anthropic_client.models.list()] == names


def test_it_counts_the_tokens_that_a_call_would_be_billed(
    anthropic_client: anthropic.Anthropic,
) -> None:
    counted = anthropic_client.messages.count_tokens(
        model="sim-small", system="Classify.", messages=said(PROMPT)
    )
    answer = anthropic_client.messages.create(
        model="sim-small", system="Classify.", messages=said(PROMPT), max_tokens=100
    )
    assert counted.input_tokens == answer.usage.input_tokens


@pytest.mark.parametrize(
    ("key", "openai_error", "anthropic_error"),
    [
        ("invalid", openai.AuthenticationError, anthropic.AuthenticationError),
        ("no-access", openai.PermissionDeniedError, anthropic.PermissionDeniedError),
        ("noquota", openai.RateLimitError, anthropic.BadRequestError),
    ],
)
def test_it_refuses_the_keys_whose_name_says_so(
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
    key: str,
    openai_error: type[Exception],
    anthropic_error: type[Exception],
) -> None:
    with pytest.raises(openai_error):
        openai_client.with_options(api_key=key).responses.create(model="sim-small", input="x")
    with pytest.raises(anthropic_error):
        anthropic_client.with_options(api_key=key).messages.create(
            model="sim-small", max_tokens=5, messages=said("x")
        )


def test_it_finds_only_models_of_its_own(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        openai_client.responses.create(model="gpt-9", input="x")
    with pytest.raises(anthropic.NotFoundError, match="model: opus-9"):
        anthropic_client.messages.create(model="opus-9", max_tokens=5, messages=said("x"))
    with pytest.raises(anthropic.NotFoundError, match="model: opus-9"):
        anthropic_client.messages.count_tokens(model="opus-9", messages=said("x"))
