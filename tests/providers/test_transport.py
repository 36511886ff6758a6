"""A provider, or what stands before it, at its worst: every exchange ends in time and in one class."""

import asyncio
import gzip
import resource
import socket
import struct
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from jobs.failures import FailureClass
from jobs.providers.transport import MAX_BODY, LeanTransport, TransportError
from jobs.providers.types import HttpRequest, HttpResponse
from tests.providers.stand_in import (
    Asked,
    Script,
    StandIn,
    Writer,
    answer,
    saying,
    silence,
    standing_in,
)

DEADLINE = 0.4
GOOD = answer(b'{"good": 1}')


def run[T](
    test: Callable[[StandIn, LeanTransport], Awaitable[T]],
    *scripts: Script,
    connections: int = 10,
) -> T:
    async def session() -> T:
        transport = LeanTransport(allow_private=True, max_connections=connections)
        try:
            async with standing_in(*scripts) as there:
                return await test(there, transport)
        finally:
            await transport.close()

    return asyncio.run(session())


def send_once(*scripts: Script, timeout: float = 5.0) -> HttpResponse:
    async def test(there: StandIn, transport: LeanTransport) -> HttpResponse:
        return await transport.send(there.request(), timeout)

    return run(test, *scripts)


def failure_of(*scripts: Script, timeout: float = 5.0) -> TransportError:
    """The failure of one exchange; a second one right after it must be answered as it should."""

    async def test(there: StandIn, transport: LeanTransport) -> TransportError:
        with pytest.raises(TransportError) as raised:
            await transport.send(there.request(), timeout)
        good = await transport.send(there.request("two"), 5.0)
        assert good.body == b'{"good": 1}'
        assert there.asked[-1].connection != there.asked[0].connection
        return raised.value

    return run(test, *scripts, saying(GOOD))


def test_it_sends_what_was_built_and_returns_the_whole_answer() -> None:
    async def test(there: StandIn, transport: LeanTransport) -> None:
        headers = {"authorization": "Bearer k", "content-type": "application/json"}
        url = there.url + "/v1/x?a=b"
        response = await transport.send(HttpRequest("POST", url, headers, b'{"a":1}'), 5)
        assert response == HttpResponse(
            429, {"content-length": "2", "retry-after": "1, 2", "x-odd": "yes"}, b"{}"
        )
        asked = there.asked[0]
        assert asked.line == "POST /v1/x?a=b HTTP/1.1"
        assert asked.body == b'{"a":1}'
        assert headers.items() <= asked.headers.items()
        assert asked.headers["accept-encoding"] == "identity"

    headers = ("Retry-After: 1", "RETRY-AFTER: 2", "X-Odd: yes")
    run(test, saying(answer(b"{}", *headers, status="429 Too Many Requests")))


def test_it_keeps_connections_for_the_next_call_and_no_cookies() -> None:
    async def test(there: StandIn, transport: LeanTransport) -> None:
        for _ in range(3):
            await transport.send(there.request(), 5)
        assert there.connections == 1
        assert all("cookie" not in asked.headers for asked in there.asked)

    run(test, saying(answer(b"{}", "set-cookie: a=b")))


def test_it_opens_no_more_connections_than_it_may() -> None:
    async def test(there: StandIn, transport: LeanTransport) -> None:
        requests = (transport.send(there.request(), 5) for _ in range(20))
        await asyncio.gather(*requests)
        assert there.connections <= 2
        assert len(there.asked) == 20

    run(test, saying(GOOD), connections=2)


def test_it_follows_no_redirect() -> None:
    response = send_once(
        saying(answer(b"", "location: http://127.0.0.1:9/", status="307 Temporary Redirect"))
    )
    assert response.status == 307


def test_it_uses_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert send_once(saying(GOOD)).status == 200


# --- time -------------------------------------------------------------------------------------
async def one_byte_at_a_time(_: Asked, writer: Writer) -> None:
    for byte in GOOD * 1_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "script",
    [silence, one_byte_at_a_time],
    ids=["silent", "a byte now and then"],
)
def test_it_ends_at_the_deadline_whatever_trickles_in(script: Script) -> None:
    start = time.monotonic()
    error = failure_of(script, timeout=DEADLINE)
    assert time.monotonic() - start < DEADLINE + 1
    assert error.failure is FailureClass.TIMEOUT
    assert error.sent


def test_it_ends_at_the_deadline_after_the_headers() -> None:
    async def headers_only(asked: Asked, writer: Writer) -> None:
        writer.write(GOOD[:-4])
        await silence(asked, writer)

    error = failure_of(headers_only, timeout=DEADLINE)
    assert (error.failure, error.sent) == (FailureClass.TIMEOUT, True)


def test_it_knows_that_a_call_which_waited_for_a_connection_was_not_sent() -> None:
    async def test(there: StandIn, transport: LeanTransport) -> None:
        first = asyncio.create_task(transport.send(there.request("first"), 5 * DEADLINE))
        await asyncio.sleep(0)
        with pytest.raises(TransportError) as raised:
            await transport.send(there.request("second"), DEADLINE)
        assert raised.value.failure is FailureClass.TIMEOUT
        assert not raised.value.sent
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    run(test, silence, connections=1)


def test_it_knows_that_nothing_was_sent_where_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"

        async def test(_: StandIn, transport: LeanTransport) -> None:
            with pytest.raises(TransportError) as raised:
                await transport.send(HttpRequest("POST", url, {}, b"{}"), 5)
            assert raised.value.failure is FailureClass.CONNECTION
            assert not raised.value.sent
            assert str(raised.value) == "Could not connect: Connection refused"

        run(test, silence)


def test_it_knows_that_nothing_was_sent_to_a_host_that_is_none() -> None:
    async def test(_: StandIn, transport: LeanTransport) -> None:
        url = "http://no-such-host.invalid/v1"
        with pytest.raises(TransportError) as raised:
            await transport.send(HttpRequest("POST", url, {}, b"{}"), 5)
        assert raised.value.failure is FailureClass.CONNECTION
        assert not raised.value.sent

    run(test, silence)


def test_it_knows_that_nothing_was_sent_to_a_server_without_tls() -> None:
    async def serve(_: asyncio.StreamReader, writer: Writer) -> None:
        writer.write(answer(b"", status="400 Bad Request"))
        writer.close()

    async def test(_: StandIn, transport: LeanTransport) -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(TransportError) as raised:
                await transport.send(HttpRequest("POST", url, {}, b"{}"), 5)
        assert raised.value.failure is FailureClass.CONNECTION
        assert not raised.value.sent
        assert "TLS" in str(raised.value)

    run(test, silence)


def test_it_sends_a_call_once_though_the_pooled_connection_died() -> None:
    async def closing(_: Asked, writer: Writer) -> None:
        writer.write(GOOD)
        await writer.drain()

    async def dying(_: Asked, writer: Writer) -> None:
        writer.close()

    async def test(there: StandIn, transport: LeanTransport) -> None:
        await transport.send(there.request("first"), 5)
        with pytest.raises(TransportError) as raised:
            await transport.send(there.request("second"), 5)
        assert raised.value.sent
        names = [asked.headers["x-client-request-id"] for asked in there.asked]
        assert names == ["first", "second"]

    run(test, closing, dying, saying(GOOD))


# --- framing ----------------------------------------------------------------------------------
async def reset(_: Asked, writer: Writer) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_in_mid_body(asked: Asked, writer: Writer) -> None:
    writer.write(GOOD[:-4])
    await writer.drain()
    await reset(asked, writer)


async def half_close(asked: Asked, writer: Writer) -> None:
    writer.write(GOOD[:-4])
    writer.write_eof()
    await silence(asked, writer)


HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN: dict[str, Script] = {
    "closed before a byte": saying(close=True),
    "reset before a byte": reset,
    "closed in the headers": saying(HEAD + b"content-le", close=True),
    "closed in mid-body": saying(GOOD[:-4], close=True),
    "reset in mid-body": reset_in_mid_body,
    "half closed": half_close,
    "length not a number": saying(HEAD + b"content-length: many\r\n\r\n{}", close=True),
    "length negative": saying(HEAD + b"content-length: -5\r\n\r\n{}", close=True),
    "two lengths": saying(HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}", close=True),
    "chunk size no number": saying(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}"),
    "chunks that end early": saying(
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{}", close=True
    ),
    "no HTTP": saying(b"SSH-2.0-OpenSSH_9.2\r\n", close=True),
    "10,000 headers": saying(
        HEAD + b"".join(b"x-%d: y\r\n" % i for i in range(10_000)) + b"content-length: 2\r\n\r\n{}"
    ),
    "a header of 1 MB": saying(HEAD + b"x: " + b"y" * 2**20 + b"\r\n\r\n{}"),
    "a status line of 1 MB": saying(b"HTTP/1.1 200 " + b"O" * 2**20 + b"\r\n\r\n{}"),
    "headers without end": saying(HEAD, *[b"x: " + b"y" * 4_000 + b"\r\n"] * 1_000),
    "gzip that is none": saying(answer(b"{}", "content-encoding: gzip")),
    "gzip cut off": saying(answer(gzip.compress(b"{}" * 99)[:-9], "content-encoding: gzip")),
    "brotli": saying(answer(b"{}", "content-encoding: br")),
    "somebody else's answer": saying(answer(b"{}", "x-client-request-id: other")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_it_knows_a_broken_exchange_and_throws_the_connection_away(name: str) -> None:
    error = failure_of(BROKEN[name])
    assert error.failure is FailureClass.CONNECTION
    assert error.sent
    assert 0 < len(str(error)) < 200
    assert "SSH" not in str(error)
    assert "yyyy" not in str(error)


@pytest.mark.parametrize(
    "headers", [("x-a: 1", "x-a: 2"), ("x-client-request-id: one",)], ids=["twice", "own id"]
)
def test_it_takes_odd_but_harmless_headers(headers: tuple[str, ...]) -> None:
    assert send_once(saying(answer(b"{}", *headers))).body == b"{}"


# --- size -------------------------------------------------------------------------------------
def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def endless(_: Asked, writer: Writer) -> None:
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    parts = [packer.compress(b" " * 2**20) for _ in range(megabytes)]
    return b"".join(parts) + packer.flush()


def test_it_cuts_bodies_without_end_and_memory_stays_flat() -> None:
    packed = answer(bomb(512), "content-encoding: gzip")
    before = peak_mb()
    for script in (
        endless,
        saying(HEAD + b"content-length: 2147483648\r\n\r\n" + b" " * 1_000),
        saying(packed),
    ):
        error = failure_of(script)
        assert error.failure is FailureClass.CONNECTION
        assert error.sent
        assert "any answer may be" in str(error)
    assert peak_mb() - before < 100


def test_it_reads_what_was_compressed_without_being_asked() -> None:
    for encoding, packed in (("gzip", gzip.compress(b"{}")), ("deflate", zlib.compress(b"{}"))):
        response = send_once(saying(answer(packed, f"content-encoding: {encoding}")))
        assert response.body == b"{}"


def test_it_takes_a_body_as_large_as_allowed() -> None:
    assert len(send_once(saying(answer(b" " * MAX_BODY))).body) == MAX_BODY


# --- one answer, one request -------------------------------------------------------------------
def named(name: str) -> bytes:
    return answer(b'{"for": "%s"}' % name.encode())


@pytest.mark.parametrize("together", [True, False], ids=["at once", "a moment later"])
def test_it_hands_no_second_answer_to_the_next_request(together: bool) -> None:
    async def twice(asked: Asked, writer: Writer) -> None:
        name = asked.headers["x-client-request-id"]
        if together:
            writer.write(named(name) * 2)
        else:
            writer.write(named(name))
            await writer.drain()
            writer.write(named(name))
        await writer.drain()

    async def test(there: StandIn, transport: LeanTransport) -> None:
        answered = 0
        for i in range(20):
            with suppress(TransportError):  # in doubt is well; somebody else's answer is not
                response = await transport.send(there.request(f"call-{i}"), 5)
                assert response.body == b'{"for": "call-%d"}' % i
                answered += 1
        assert answered >= 10

    run(test, twice)


def test_it_hands_no_second_answer_to_a_request_that_has_left_already() -> None:
    first = answer(b'{"for": "first"}', "x-request-id: req_1")

    async def test(there: StandIn, transport: LeanTransport) -> None:
        assert (await transport.send(there.request("first"), 5)).body == b'{"for": "first"}'
        with pytest.raises(TransportError, match="once more") as raised:
            await transport.send(there.request("second"), 5)
        assert raised.value.sent
        assert (await transport.send(there.request("third"), 5)).body == b'{"good": 1}'
        assert [asked.connection for asked in there.asked] == [0, 0, 1]

    run(test, saying(first), saying(first, named("second")), saying(GOOD))


def test_it_takes_the_same_answer_twice_if_it_is_another_one() -> None:
    async def test(there: StandIn, transport: LeanTransport) -> None:
        for _ in range(3):
            assert (await transport.send(there.request(), 5)).body == b"{}"
        assert there.connections == 1

    run(test, *(saying(answer(b"{}", f"x-request-id: req_{i}")) for i in range(3)))
    run(test, saying(answer(b"{}")))


def test_it_hands_no_late_answer_to_the_next_request() -> None:
    late = asyncio.Event()

    async def slow(_: Asked, writer: Writer) -> None:
        await late.wait()
        writer.write(named("first"))

    async def test(there: StandIn, transport: LeanTransport) -> None:
        with pytest.raises(TransportError):
            await transport.send(there.request("first"), DEADLINE)
        late.set()
        assert (await transport.send(there.request("second"), 5)).body == b'{"for": "second"}'

    run(test, slow, saying(named("second")))
