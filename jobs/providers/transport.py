"""Transports: they send what `build` made and return the whole answer, or say how it failed.

One deadline covers the whole call. Bodies are bounded, also when they arrive compressed. A
connection on which anything odd occurred is closed, never used for another call.
"""

import asyncio
import os
import zlib
from functools import lru_cache
from time import monotonic
from typing import Protocol
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from jobs.failures import FailureClass
from jobs.providers.guard import AddressRefused, check_form, guarded_connector
from jobs.providers.shared import REQUEST_ID
from jobs.providers.types import HttpRequest, HttpResponse

# A page of output is kilobytes; whatever is larger is not an answer.
MAX_BODY = 16 * 1024 * 1024
CONNECT_TIMEOUT_S = 10.0
# Servers close idle connections after 5 s (uvicorn, Node) to 75 s; the sooner we do, the fewer
# calls leave on a connection that is already dead.
KEEPALIVE_S = 15.0


# Seconds, or a timeout that somebody else lets run out; its `when` may change on the way.
type Deadline = float | asyncio.Timeout


class TransportError(Exception):
    """No whole answer. `sent` says whether the provider may have seen the request."""

    def __init__(self, failure: FailureClass, message: str, *, sent: bool):
        self.failure = failure
        self.sent = sent
        super().__init__(message)


class _OddAnswerError(Exception):
    """An answer that is not to be believed; the words are ours."""


class Transport(Protocol):
    async def send(self, request: HttpRequest, deadline: Deadline) -> HttpResponse:
        """Raises TransportError. `deadline` covers everything.

        An answer that echoes another request's id is a broken connection, not an answer.
        """
        ...

    async def close(self) -> None: ...


class LeanTransport:
    """Pooled keep-alive connections without the layers of an SDK. Make it inside the running loop.

    A POST is sent once: neither aiohttp nor this class repeats it.
    """

    def __init__(
        self, *, allow_private: bool, max_connections: int, max_body: int = MAX_BODY
    ) -> None:
        self._max_body = max_body
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(
                allow_private=allow_private,
                limit=max_connections,
                keepalive_timeout=KEEPALIVE_S,
            ),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"accept-encoding": "identity"},
        )
        # By connection: the provider's id of the last answer on it, and a hash of its body.
        self._last: WeakKeyDictionary[asyncio.BaseProtocol, tuple[str, int]] = WeakKeyDictionary()

    async def send(self, request: HttpRequest, deadline: Deadline) -> HttpResponse:
        body = _Body(request.body) if request.body else None
        began = monotonic()
        limit = deadline if isinstance(deadline, asyncio.Timeout) else asyncio.timeout(deadline)
        try:
            async with limit:
                return await self._exchange(request, body)
        except TimeoutError as error:  # aiohttp's own, of the connect phase, is one too
            sent = _sent(body)
            where = "answer" if sent else "connection"
            raise TransportError(
                FailureClass.TIMEOUT,
                f"No whole {where} within {monotonic() - began:.3g} s",
                sent=sent,
            ) from error
        except AddressRefused as error:
            raise TransportError(FailureClass.CONNECTION, str(error), sent=False) from error
        except _OddAnswerError as error:
            raise TransportError(FailureClass.CONNECTION, str(error), sent=True) from error
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
            sent = _sent(body)
            raise TransportError(FailureClass.CONNECTION, _words(error, sent), sent=sent) from error

    async def _exchange(self, request: HttpRequest, body: "_Body | None") -> HttpResponse:
        async with self._session.request(
            request.method,
            _checked_url(request.url),
            data=body,
            headers=request.headers,
            allow_redirects=False,
        ) as response:
            try:
                headers = joined_headers(response)
                check_echo(request, headers)
                answer = await _read(response, self._max_body)
                self._check_new(response, headers, answer)
                return HttpResponse(response.status, headers, decoded(answer, headers))
            except BaseException:
                _throw_away(response)
                raise

    def _check_new(
        self, response: aiohttp.ClientResponse, headers: dict[str, str], body: bytes
    ) -> None:
        """Raises where the answer is the connection's last one once more: a copy that came after
        the next request had left. Not guaranteed where a server gives its answers no id."""
        name = headers.get("x-request-id") or headers.get("request-id")
        protocol = response._protocol
        if name is None or protocol is None:
            return
        mark = (name, hash(body))
        if self._last.get(protocol) == mark:
            raise _OddAnswerError("The answer is an earlier one once more and was not believed")
        self._last[protocol] = mark

    async def close(self) -> None:
        await self._session.close()


def _throw_away(response: aiohttp.ClientResponse) -> None:
    """Closes the connection, whatever is still to come on it.

    `close` does it while the body is on its way. A connection whose body has come whole is in the
    pool again by now, and only its protocol still leads to it.
    """
    response.close()
    protocol = response._protocol
    if protocol is not None:
        protocol.close()


class _Body(aiohttp.BytesPayload):
    """A request's body that knows whether it was handed to a connection. The headers wait for it
    and leave in the same write, so that until then nothing of the request was sent."""

    sent = False

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self.sent = True
        await super().write_with_length(writer, content_length)


def _sent(body: _Body | None) -> bool:
    """A request without a body (a list of models) is taken as sent: it costs nothing."""
    return body is None or body.sent


@lru_cache(maxsize=256)
def _checked_url(url: str) -> URL:
    check_form(url)
    return URL(url)


def check_echo(request: HttpRequest, headers: dict[str, str]) -> None:
    """Raises where the answer carries another request's id: a proxy or a pool mixed up two
    exchanges. Not guaranteed where a server echoes no id."""
    echoed, own = headers.get(REQUEST_ID), request.headers.get(REQUEST_ID)
    if echoed is not None and own is not None and echoed != own:
        raise _OddAnswerError("The answer carries another request's id and was not believed")


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    if (response.content_length or 0) > most:
        raise _OddAnswerError("The answer is larger than any answer may be")
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            raise _OddAnswerError("The answer is larger than any answer may be")
        chunks.append(chunk)
    return b"".join(chunks)


def joined_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Lower-case names; a header sent twice is joined by a comma, as RFC 9110 has it."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def decoded(body: bytes, headers: dict[str, str]) -> bytes:
    """The body without its compression, which was not asked for but may come; bounded."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate", "x-gzip"):
        raise _OddAnswerError("The answer is compressed in a way that was not asked for")
    inflater = zlib.decompressobj(wbits=47)
    plain = inflater.decompress(body, MAX_BODY)
    if inflater.unconsumed_tail:
        raise _OddAnswerError("The answer inflates to more than any answer may be")
    if not inflater.eof:
        raise _OddAnswerError("The compressed answer is cut off")
    return plain


def _reason(error: OSError) -> str:
    """The system's words alone: an exception's own may hold addresses."""
    return os.strerror(error.errno) if error.errno else "no connection could be made"


def _words(error: BaseException, sent: bool) -> str:
    """What broke, without a byte of what the other side wrote."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "Could not connect: the server's certificate is not trusted"
        case aiohttp.ClientConnectorSSLError() | aiohttp.ClientSSLError():
            return "Could not connect: the server does not speak TLS as it should"
        case aiohttp.ClientConnectorDNSError():
            return "Could not connect: the host cannot be found"
        case aiohttp.ClientConnectorError():
            return f"Could not connect: {_reason(error.os_error)}"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "The connection's address is not usable"
        case aiohttp.ServerDisconnectedError():
            return "The connection was closed before an answer came"
        case aiohttp.ClientPayloadError() | zlib.error():
            return "The answer broke off or is not framed as it should be"
        case aiohttp.ClientResponseError():
            return "The answer is not HTTP, or its headers are too large or too many"
        case OSError() if error.errno:
            return f"The connection broke: {_reason(error)}"
    return f"The connection broke{'' if sent else ' before the request left'}"
