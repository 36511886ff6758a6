"""Testing a connection: what the server can do, or what is wrong, in our own words."""

import asyncio
import base64
import json
from typing import Any

import pytest

from jobs.failures import FailureClass as F
from jobs.providers import checkup
from jobs.providers.checkup import ConnectionReport
from jobs.providers.formats import FORMATS
from jobs.providers.transport import LeanTransport
from jobs.providers.types import Endpoint
from tests.providers.error_bodies import ROWS, Row
from tests.providers.stand_in import Asked, StandIn, Writer, answer, silence, standing_in
from tests.providers.test_answers import chat, message, responses, said, told

KEY = "sk-canary-0123456789"
NUMBER = '{"number": 7}'
MODELS = {"object": "list", "data": [{"id": "small"}, {"id": "large"}, {"id": "small"}]}


class Server:
    """Answers as a server of few abilities would."""

    def __init__(self, **abilities: Any) -> None:
        self.ways = abilities.get("ways", {"json_schema"})
        self.refuses = abilities.get("refuses", False)  # what it does not know; else ignores it
        self.limit = abilities.get("limit")  # the only name of the length limit it takes
        self.models = abilities.get("models", MODELS)
        self.usage = abilities.get("usage", True)
        self.model = abilities.get("model", "small-2026")
        self.rambles = abilities.get("rambles", False)  # without a schema it never comes to an end

    async def __call__(self, asked: Asked, writer: Writer) -> None:
        if asked.line.startswith("GET "):
            known = self.models is not None
            status = "200 OK" if known else "404 Not Found"
            writer.write(answer(json.dumps(self.models).encode(), status=status))
            return
        body = json.loads(asked.body)
        way = _way(asked.body)
        if self.limit and self.limit not in body:
            words = "Unsupported parameter: 'max_…' is not supported. Use max_tokens instead."
            self._error(writer, words)
        elif self.refuses and way not in self.ways:
            self._error(writer, f"This server knows no {way}")
        else:
            text = NUMBER if way in self.ways else "Hello!"
            writer.write(answer(json.dumps(self._answer(asked.line, text, way)).encode()))

    def _answer(self, line: str, text: str, way: str) -> dict[str, Any]:
        if "/messages" in line:
            block = said(text)
            if way == "tool" and "tool" in self.ways:
                block = {"type": "tool_use", "name": "greeting", "input": json.loads(text)}
            rambling = self.rambles and way not in self.ways
            body = message(block, stop="max_tokens" if rambling else "end_turn")
        elif "/responses" in line:
            body = responses(told(text))
        else:
            body = chat(text)
        body["model"] = self.model
        if not self.usage:
            del body["usage"]
        return body

    @staticmethod
    def _error(writer: Writer, words: str) -> None:
        body = {"error": {"message": words, "type": "invalid_request_error"}}
        writer.write(answer(json.dumps(body).encode(), status="400 Bad Request"))


def _way(body: bytes) -> str:
    for mark, way in ((b'"json_schema"', "json_schema"), (b'"json_object"', "json_object"),
                      (b'"tool_choice"', "tool")):  # fmt: skip
        if mark in body:
            return way
    return "prompt"


def tried(
    server: Any, api: str = "openai_chat", model: str = "small", timeout: float = 5.0, **more: Any
) -> tuple[ConnectionReport, StandIn]:
    async def session() -> tuple[ConnectionReport, StandIn]:
        transport = LeanTransport(allow_private=True, max_connections=2)
        try:
            async with standing_in(server) as there:
                endpoint = Endpoint(api, there.url, KEY, **more)
                return await checkup.test_connection(transport, endpoint, model, timeout), there
        finally:
            await transport.close()

    return asyncio.run(session())


def calls(there: StandIn) -> int:
    return sum(asked.line.startswith("POST ") for asked in there.asked)


@pytest.mark.parametrize("api", FORMATS)
def test_it_finds_a_good_server_good_with_one_call(api: str) -> None:
    report, there = tried(Server(), api)
    assert report.failure is None
    assert report.message == "The connection works."
    assert report.capabilities == {
        "structured": "json_schema",
        "legacy_max_tokens": False,
        "usage": True,
        "models": ["small", "large"],
    }
    assert report.model_returned == "small-2026"
    assert calls(there) == 1


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "ignores"])
@pytest.mark.parametrize(
    ("api", "way"),
    [
        ("openai_chat", "json_object"),
        ("openai_chat", "prompt"),
        ("openai_responses", "json_object"),
        ("anthropic_messages", "tool"),
        ("anthropic_messages", "prompt"),
    ],
)
def test_it_finds_the_way_in_which_a_server_takes_a_schema(
    api: str, way: str, refuses: bool
) -> None:
    report, _ = tried(Server(ways={way}, refuses=refuses), api)
    assert report.failure is None
    assert report.capabilities["structured"] == way
    assert "does not enforce schemas" in report.message


def test_it_tries_another_way_where_a_model_talks_on_for_want_of_a_schema() -> None:
    report, _ = tried(Server(ways={"prompt"}, rambles=True), "anthropic_messages")
    assert report.failure is None
    assert report.capabilities["structured"] == "prompt"


def test_it_says_where_a_model_follows_no_schema_at_all() -> None:
    report, there = tried(Server(ways=set()))
    assert report.failure is None
    assert report.capabilities["structured"] == "prompt"
    assert "did not follow a schema" in report.message
    assert calls(there) == 3


@pytest.mark.parametrize(
    ("limit", "legacy"), [("max_tokens", True), ("max_completion_tokens", False)]
)
@pytest.mark.parametrize("before", [True, False])
def test_it_finds_the_name_of_the_length_limit(limit: str, legacy: bool, before: bool) -> None:
    report, _ = tried(Server(limit=limit), legacy_max_tokens=before)
    assert report.failure is None
    assert report.capabilities["legacy_max_tokens"] is legacy
    assert report.capabilities["structured"] == "json_schema"


def test_it_says_that_a_server_reports_no_usage() -> None:
    report, _ = tried(Server(usage=False))
    assert report.failure is None
    assert report.capabilities["usage"] is False
    assert "no token counts" in report.message


def test_it_says_that_another_model_answered() -> None:
    assert "another model" in tried(Server(model="gemma-3"))[0].message
    assert "another model" not in tried(Server(), model="models/small")[0].message


def test_it_works_without_a_list_of_models_if_one_is_named() -> None:
    report, _ = tried(Server(models=None))
    assert (report.failure, report.models) == (None, [])
    report, there = tried(Server(models=None), model="")
    assert report.failure is F.MODEL_NOT_FOUND
    assert calls(there) == 0


def test_it_takes_the_first_listed_model_where_none_is_named() -> None:
    report, there = tried(Server(), model="")
    assert report.failure is None
    assert json.loads(there.asked[-1].body)["model"] == "small"


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ({"models": [{"name": "gemma:1b"}]}, ["gemma:1b"]),
        ({"data": [{"id": 7}, {"id": "a\nb"}, {"id": "x" * 201}, "y", None, {"id": "ok"}]}, ["ok"]),
        ({"data": [{"id": f"m{i}"} for i in range(1_500)]}, [f"m{i}" for i in range(1_000)]),
        ({"data": "none"}, []),
        ([], []),
    ],
    ids=["names", "nonsense", "many", "text", "list"],
)
def test_it_lists_models_as_far_as_they_are_names(listed: Any, names: list[str]) -> None:
    assert tried(Server(models=listed))[0].models == names


FAILURES = {row.means: row for row in ROWS if row.status != 200}


@pytest.mark.parametrize("row", FAILURES.values(), ids=lambda row: row.means.value)
def test_it_says_in_our_words_what_is_wrong(row: Row) -> None:
    body = row.body if isinstance(row.body, str) else json.dumps(row.body)
    foreign = "It says: <internal secret 4711> "

    async def failing(_: Asked, writer: Writer) -> None:
        content = body.replace('"message": "', f'"message": "{foreign}').encode()
        writer.write(answer(content, status=f"{row.status} Said"))

    report, _ = tried(failing)
    assert report.failure is row.means
    assert f"(HTTP {row.status})" in report.message
    assert "4711" not in repr(report)
    assert KEY not in repr(report)
    assert len(report.message) <= 500
    assert report.capabilities == {}


def test_it_says_what_is_wrong_where_nobody_answers() -> None:
    async def closing(_: Asked, writer: Writer) -> None:
        writer.close()

    assert tried(closing)[0].failure is F.CONNECTION
    report, _ = tried(silence, timeout=0.2)
    assert report.failure is F.TIMEOUT
    assert "in time" in report.message


@pytest.mark.parametrize("model", ["small", ""])
def test_it_tells_half_an_answer_from_none(model: str) -> None:
    async def half(_: Asked, writer: Writer) -> None:
        writer.write(answer(b'{"data": [{"id": "small"}]}')[:-9])
        writer.close()

    report, _ = tried(half, model=model)
    assert report.failure is F.CONNECTION
    assert (
        "The server was reached, but gave no whole answer: the answer broke off" in report.message
    )


def test_it_has_words_for_every_failure_that_a_call_can_end_in() -> None:
    assert {row.means for row in ROWS} <= checkup._WORDS.keys()
    assert all(len(words) <= 400 for words in checkup._WORDS.values())


def test_it_keeps_the_key_out_of_what_a_server_says_it_has() -> None:
    listed = {"data": [{"id": KEY}, {"id": base64.b64encode(b"Bearer " + KEY.encode()).decode()}]}
    report, _ = tried(Server(models=listed, model=KEY))
    assert len(report.models) == 2
    assert all("[key]" in name for name in report.models)
    assert KEY not in repr(report)


@pytest.mark.parametrize(
    ("status", "failure", "words"),
    [("401 Unauthorized", F.AUTHENTICATION, "The key was refused. Enter a valid key."),
     ("403 Forbidden", F.PERMISSION, "may not use this model"),
     ("500 Broken", F.SERVER_ERROR, "Check the base URL"),
     ("404 Not Found", F.MODEL_NOT_FOUND, "Name a model: the server lists none.")],
)  # fmt: skip
def test_it_says_why_no_model_is_listed_when_none_is_named(
    status: str, failure: F, words: str
) -> None:
    async def refuse(_: Asked, writer: Writer) -> None:
        writer.write(answer(b'{"error": {"message": "No."}}', status=status))

    report, there = tried(refuse, model="")
    assert report.failure is failure
    assert words in report.message
    assert calls(there) == 0
