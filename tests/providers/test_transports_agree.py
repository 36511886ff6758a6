"""The vendors' SDKs and the lean transport come to the same outcome, whatever the answer."""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from jobs.failures import FailureClass
from jobs.providers.dialogue import ask, without_key
from jobs.providers.formats import FORMATS
from jobs.providers.transport import Transport, TransportError
from jobs.providers.transport_kinds import make_transport
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome
from tests.providers.error_bodies import ROWS
from tests.providers.stand_in import Asked, Script, Writer, answer, saying, silence, standing_in
from tests.providers.test_answers import WHOLE
from tests.providers.test_transport import BROKEN

KEY = "sk-canary-0123456789abcdef"
CALL = Call("m", "Be brief.", "Hello", request_id="one")


def scripts(api: str) -> Iterator[tuple[str, Script]]:
    yield "whole", saying(answer(json.dumps(WHOLE[api]).encode(), "x-request-id: req_1"))
    yield (
        "limits",
        saying(answer(b"{}", "retry-after: 1", "retry-after: 2", status="429 Too Many Requests")),
    )
    yield "redirect", saying(answer(b"", "location: http://127.0.0.1:9/", status="302 Found"))
    yield "no content", saying(b"HTTP/1.1 204 No Content\r\n\r\n")
    yield "not JSON", saying(answer(b"Hi", "content-type: text/plain"))
    for row in ROWS:
        body = row.body.encode() if isinstance(row.body, str) else json.dumps(row.body).encode()
        kind = "content-type: application/json"
        yield row.name, saying(answer(body, kind, status=f"{row.status} Said"))
    yield from BROKEN.items()


async def outcomes(kind: str, api: str) -> dict[str, Outcome]:
    transport = make_transport(kind, allow_private=True, max_connections=10)
    found = {}
    try:
        for name, script in scripts(api):
            async with standing_in(script) as there:
                endpoint = Endpoint(api, there.url, KEY)
                _, _, outcome = await ask(transport, endpoint, CALL, 5)
                assert len(there.asked) == 1, name
                found[name] = outcome
    finally:
        await transport.close()
    return found


@pytest.mark.parametrize("api", FORMATS)
def test_it_comes_to_the_same_outcome_through_both_transports(api: str) -> None:
    lean = asyncio.run(outcomes("lean", api))
    sdk = asyncio.run(outcomes("sdk", api))
    for name, outcome in lean.items():
        assert replace(outcome, hints=sdk[name].hints) == sdk[name], name
        assert outcome.hints.retry_after == sdk[name].hints.retry_after, name
    assert lean["whole"].text == "Hi"
    assert lean["limits"].hints.retry_after == 2.0
    for name in BROKEN:
        assert (lean[name].failure, lean[name].charged) == (FailureClass.CONNECTION, None), name


def each(kind: str, test: Any, *given: Script) -> None:
    async def session() -> None:
        transport = make_transport(kind, allow_private=True, max_connections=10)
        try:
            async with standing_in(*given) as there:
                await test(there, transport)
        finally:
            await transport.close()

    asyncio.run(session())


both = pytest.mark.parametrize("kind", ["lean", "sdk"])


@both
@pytest.mark.parametrize("api", FORMATS)
def test_it_sends_the_body_and_key_that_were_built_and_no_others(
    kind: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_API_KEY",
                 "ANTHROPIC_AUTH_TOKEN"):  # fmt: skip
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")

    async def test(there: Any, transport: Transport) -> None:
        endpoint = Endpoint(api, there.url, KEY)
        request, _, outcome = await ask(transport, endpoint, CALL, 5)
        assert outcome.failure is None
        [asked] = there.asked
        assert asked.body == request.body
        assert request.headers.items() <= asked.headers.items()
        assert sum(KEY in value for value in asked.headers.values()) == 1
        assert "environment" not in str(asked.headers)

    each(kind, test, saying(answer(json.dumps(WHOLE[api]).encode())))


@both
@pytest.mark.parametrize("api", FORMATS)
def test_it_never_repeats_a_call_by_itself(kind: str, api: str) -> None:
    async def test(there: Any, transport: Transport) -> None:
        for number, failure in enumerate(("server_error", "connection", "timeout"), start=1):
            _, _, outcome = await ask(transport, Endpoint(api, there.url, ""), CALL, 0.3)
            assert outcome.failure == failure
            assert len(there.asked) == number
            assert outcome.charged is (False if failure == "server_error" else None)

    each(kind, test, saying(answer(b"", status="500 Said")), saying(close=True), silence)


@both
def test_it_doubts_nothing_where_nothing_was_sent(kind: str) -> None:
    async def test(there: Any, transport: Transport) -> None:
        for api in FORMATS:
            endpoint = Endpoint(api, "http://169.254.169.254", "")
            _, response, outcome = await ask(transport, endpoint, CALL, 5)
            assert response is None
            assert (outcome.failure, outcome.charged) == (FailureClass.CONNECTION, False)

    each(kind, test, silence)


@both
def test_it_keeps_the_key_out_of_all_that_comes_back(kind: str) -> None:
    async def echo(asked: Asked, writer: Writer) -> None:
        key = asked.headers["authorization"]
        error = {"message": f"Bad header {key}", "type": KEY, "code": "invalid_api_key"}
        body = json.dumps({"error": error, "request_id": KEY}).encode()
        writer.write(answer(body, f"x-request-id: {KEY}", status="401 Said"))

    async def test(there: Any, transport: Transport) -> None:
        endpoint = Endpoint("openai_chat", there.url, KEY)
        _, response, outcome = await ask(transport, endpoint, CALL, 5)
        assert outcome.failure is FailureClass.AUTHENTICATION
        assert KEY not in repr(outcome)
        assert response is not None
        assert KEY not in str(response.headers)
        assert KEY.encode() not in response.body
        assert "[key]" in outcome.message

    each(kind, test, echo)


def test_it_takes_a_word_for_no_secret() -> None:
    """Local servers want some key; "none" cut out of all answers would change what they say."""
    said = HttpResponse(200, {}, b"none of them")
    assert without_key(said, "none") is said


@pytest.mark.parametrize("before", range(3))
def test_it_knows_the_key_wherever_it_lies_in_base64(before: int) -> None:
    text = base64.b64encode(b"x" * before + KEY.encode() + b"!")
    assert b"[key]" in without_key(HttpResponse(200, {}, text), KEY).body


@both
def test_it_gets_as_well_as_posts(kind: str) -> None:
    async def test(there: Any, transport: Transport) -> None:
        request = HttpRequest("GET", there.url + "/v1/models?limit=9", {"x-own": "1"}, b"")
        assert (await transport.send(request, 5)).body == b"{}"
        assert there.asked[0].line == "GET /v1/models?limit=9 HTTP/1.1"
        assert there.asked[0].headers["x-own"] == "1"

    each(kind, test, saying(answer(b"{}")))


@both
def test_it_answers_many_at_once_each_with_its_own(kind: str) -> None:
    async def named(asked: Asked, writer: Writer) -> None:
        writer.write(answer(b'"%s"' % asked.headers["x-client-request-id"].encode()))

    async def test(there: Any, transport: Transport) -> None:
        requests = [transport.send(there.request(f"call-{i}"), 5) for i in range(100)]
        for i, response in enumerate(await asyncio.gather(*requests)):
            assert response.body == b'"call-%d"' % i

    each(kind, test, named)


@both
def test_it_passes_cancellation_on(kind: str) -> None:
    async def test(there: Any, transport: Transport) -> None:
        task = asyncio.create_task(transport.send(there.request(), 60))
        while not there.asked:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    each(kind, test, silence)


@both
def test_its_deadline_may_come_while_it_waits(kind: str) -> None:
    async def test(there: Any, transport: Transport) -> None:
        deadline = asyncio.timeout(None)
        task = asyncio.create_task(transport.send(there.request(), deadline))
        while not there.asked:
            await asyncio.sleep(0)
        deadline.reschedule(0)
        with pytest.raises(TransportError) as raised:
            await task
        assert (raised.value.failure, raised.value.sent) == (FailureClass.TIMEOUT, True)

    each(kind, test, silence)


def test_it_knows_two_kinds_of_transport_only() -> None:
    with pytest.raises(ValueError, match="lean or sdk"):
        make_transport("other", allow_private=True, max_connections=1)


def test_it_says_of_a_failure_whether_the_request_had_left() -> None:
    error = TransportError(FailureClass.TIMEOUT, "Late", sent=True)
    assert (error.failure, error.sent, str(error)) == (FailureClass.TIMEOUT, True, "Late")
