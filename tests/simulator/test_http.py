"""The simulator's HTTP: requests in pieces, in chunks, in a row; what is malformed is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.simulator.http import MAX_BODY, MAX_HEAD, BadRequestError, Request, RequestReader
from jobs.simulator.server import Simulator
from jobs.simulator.settings import Settings
from tests.simulator.raw import CHAT, connect, exchange, posted, read_message, request_for
from tests.simulator_process import SimulatorProcess


def test_it_reads_a_request_that_comes_byte_by_byte() -> None:
    reader = RequestReader()
    whole = posted("/v1/responses?x=1", b'{"a": 1}')
    for at in range(len(whole) - 1):
        reader.feed(whole[at : at + 1])
        assert reader.next() is None
    reader.feed(whole[-1:])
    request = reader.next()
    assert request is not None
    assert (request.method, request.path, request.query) == ("POST", "/v1/responses", "x=1")
    assert request.body == b'{"a": 1}'
    assert request.header(b"content-type") == "application/json"
    assert request.keep_alive
    assert reader.buffered() == 0


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_it_reads_chunks_however_they_are_cut(size: int) -> None:
    whole = (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
        b'4;note=1\r\n{"a"\r\nA\r\n: "b\r\n c"}\r\n0\r\nTrailer: yes\r\n\r\n'
        b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    reader = RequestReader()
    requests = []
    for at in range(0, len(whole), size):
        reader.feed(whole[at : at + size])
        while (request := reader.next()) is not None:
            requests.append(request)
    assert [request.path for request in requests] == ["/", "/next"]
    assert requests[0].body == b'{"a": "b\r\n c"}'
    assert requests[1].body == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nFiller: " + b"x" * MAX_HEAD, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 300 + b"\r\n", 431),
    ],
)
def test_it_refuses_what_is_malformed_or_too_much(data: bytes, status: int) -> None:
    reader = RequestReader()
    reader.feed(data)
    with pytest.raises(BadRequestError) as refused:
        reader.next()
    assert refused.value.status == status


def test_it_answers_bad_http_and_closes(simulator: SimulatorProcess) -> None:
    seen = exchange(simulator, b"NONSENSE\r\n\r\n")
    assert seen.status == 400
    assert b"connection: close" in seen.head


def test_it_answers_pipelined_requests_in_their_order(simulator: SimulatorProcess) -> None:
    simulator.set_faults(latency_ms=20, jitter=0.9)
    prompts = [f"Row {n} of a pipeline" for n in range(5)]
    with connect(simulator) as connection:
        connection.sendall(b"".join(request_for(CHAT, prompt) for prompt in prompts))
        data, summaries = b"", []
        while len(summaries) < len(prompts):
            seen = read_message(connection, data)
            head_length = len(seen.head) + 4
            length = int(seen.head.rpartition(b"content-length: ")[2].split(b"\r\n")[0])
            body = seen.data[head_length : head_length + length]
            data = seen.data[head_length + length :]
            content = json.loads(body)["choices"][0]["message"]["content"]
            summaries.append(json.loads(content)["summary"])
    assert summaries == prompts
    assert simulator.stats()["max_in_flight_seen"] == 1


def test_it_invites_a_client_to_send_its_body(simulator: SimulatorProcess) -> None:
    request = posted(CHAT, request_for(CHAT, "hello").partition(b"\r\n\r\n")[2])
    head, gap, body = request.partition(b"\r\n\r\n")
    with connect(simulator) as connection:
        connection.sendall(head + b"\r\nexpect: 100-continue" + gap)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_message(connection).status == 200


def test_it_closes_when_asked_to(simulator: SimulatorProcess) -> None:
    body = request_for(CHAT, "hello").partition(b"\r\n\r\n")[2]
    with connect(simulator) as connection:
        connection.sendall(posted(CHAT, body, "connection: close"))
        seen = read_message(connection)
        assert seen.status == 200
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /v1/nothing", 404), ("GET /v1/responses", 405), ("POST /stats", 405)],
)
def test_it_knows_its_routes(simulator: SimulatorProcess, request_line: str, status: int) -> None:
    seen = exchange(simulator, f"{request_line} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert seen.status == status
    assert seen.json["error"]["code"] == "unknown_url"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (CHAT, b"{", "could not parse"),
        (CHAT, b"[]", "must be an object"),
        (CHAT, b"{}", "model"),
        (CHAT, b'{"model": "m"}', "messages"),
        (CHAT, b'{"model": "m", "messages": []}', "messages"),
        (CHAT, b'{"model": "m", "messages": [{"role": "x"}]}', "Invalid value"),
        (CHAT, b'{"model": "m", "messages": [{"role": "user", "content": 1}]}', "content"),
        (CHAT, b'{"model": "m", "messages": [{"role": "user"}], "stream": true}', "Streaming"),
        (CHAT, b'{"model": "m", "messages": [{"role": "user"}], "max_tokens": 0}', "minimum"),
        (CHAT, b'{"model": "m", "messages": [{"role": "user"}], "temperature": 3}', "temperature"),
        ("/v1/responses", b'{"model": "m"}', "input"),
        ("/v1/responses", b'{"model": "m", "input": "x", "max_output_tokens": 3}', ">= 16"),
        ("/v1/messages", b'{"model": "m", "messages": []}', "max_tokens"),
        ("/v1/messages", b'{"model": "m", "max_tokens": 5, "messages": []}', "at least one"),
    ],
)
def test_it_says_what_is_wrong_with_a_request(
    simulator: SimulatorProcess, path: str, body: bytes, words: str
) -> None:
    seen = exchange(simulator, posted(path, body))
    assert seen.status == 400
    assert words in seen.json["error"]["message"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "array"}, "type: "),
        ({"type": "object", "properties": {}}, "additionalProperties"),
        (
            {
                "type": "object",
                "additionalProperties": False,
                "required": [],
                "properties": {"a": {"type": "string"}},
            },
            "Missing 'a'",
        ),
    ],
)
def test_it_is_strict_about_strict_schemas(
    simulator: SimulatorProcess, schema: dict[str, object], words: str
) -> None:
    form = {
        "type": "json_schema",
        "json_schema": {"name": "out", "strict": True, "schema": schema},
    }
    body = json.loads(request_for(CHAT, "hello").partition(b"\r\n\r\n")[2])
    body["response_format"] = form
    seen = exchange(simulator, posted(CHAT, json.dumps(body).encode()))
    assert seen.status == 400
    assert words in seen.json["error"]["message"]


KNOWN_WORDS = st.sampled_from(
    """
    model messages input role content text user type
    json_schema schema properties items enum tools tool_choice function
    name object string integer response_format system output_config format
    max_tokens required minLength maximum $ref #/x pattern anyOf
    """.split()  # noqa: SIM905
)
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), KNOWN_WORDS),
    lambda parts: st.one_of(
        st.lists(parts, max_size=3), st.dictionaries(KNOWN_WORDS, parts, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([CHAT, "/v1/responses", "/v1/messages"]),
    st.dictionaries(KNOWN_WORDS, JSON_VALUES, max_size=6),
    JSON_VALUES,
    JSON_VALUES,
)
def test_it_answers_any_body_with_200_400_or_404(
    path: str, body: dict[str, object], schema: object, tool: object
) -> None:
    simulator = Simulator(Settings())
    asked = {"model": "sim-m", "messages": [{"role": "user", "content": "x"}], "input": "x"}
    asked |= {"max_tokens": 50, "tools": [tool], "tool_choice": "required"}
    asked |= {"response_format": {"type": "json_schema", "json_schema": schema}}
    form = {"type": "json_schema", "name": "x", "schema": schema}
    asked |= {"text": {"format": form}, "output_config": {"format": form}}
    for sent in (body, {**asked, **body}, {**asked, "tools": []}):
        headers = {b"anthropic-version": b"2023-06-01"}
        reply = simulator.answer(
            Request("POST", path, "", headers, json.dumps(sent).encode(), True)
        )
        written = b"".join(step for step in reply.steps if isinstance(step, bytes))
        reply.ended(True)
        assert written[9:12] in (b"200", b"400", b"404")
        json.loads(written.partition(b"\r\n\r\n")[2])
    assert simulator.stats.in_flight == 0
