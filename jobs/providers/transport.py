"""Transports: they send what `build` made and return the whole answer, or say how it failed.

One deadline covers the whole call. Bodies are bounded, also when they arrive compressed. A connection
on which anything odd occurred is closed, never used for another call.
"""

import asyncio
import zlib
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from jobs.failures import FailureClass
from jobs.providers.guard import AddressRefused, GuardedResolver, check_address
from jobs.providers.types import HttpRequest, HttpResponse

# A page of output is kilobytes; whatever is larger is not an answer.
MAX_BODY = 16 * 1024 * 1024
CONNECT_TIMEOUT_S = 10.0


class TransportError(Exception):
    """No whole answer. `sent` says whether the provider may have seen the request."""

    def __init__(self, failure: FailureClass, message: str, *, sent: bool):
        self.failure = failure
        self.sent = sent
        super().__init__(message)


class Transport(Protocol):
    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Raises TransportError. `timeout` (seconds) covers everything."""
        ...

    async def close(self) -> None: ...


class LeanTransport:
    """Pooled keep-alive connections without the layers of an SDK. Make it inside the running loop."""

    def __init__(self, *, allow_private: bool, max_connections: int) -> None:
        self._allow_private = allow_private
        self._hosts: set[str] = set()  # of URLs whose literal address was looked at
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections,
                resolver=GuardedResolver(allow_private),
                ttl_dns_cache=60,
                keepalive_timeout=30,
            ),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"accept-encoding": "identity"},
        )

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        self._check_literal(request.url)
        sent = True  # unless the connection was never made
        try:
            async with asyncio.timeout(timeout):
                async with self._session.request(
                    request.method,
                    request.url,
                    data=request.body or None,
                    headers=request.headers,
                    allow_redirects=False,
                ) as response:
                    body = await _read(response)
                    headers = _joined(response)
                    return HttpResponse(response.status, headers, _decoded(body, headers))
        except TimeoutError as error:
            raise TransportError(
                FailureClass.TIMEOUT, f"No whole answer within {timeout:.0f} s", sent=sent
            ) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TransportError(
                FailureClass.CONNECTION, f"Could not connect: {_words(error)}", sent=False
            ) from error
        except AddressRefused as error:
            raise TransportError(FailureClass.CONNECTION, str(error), sent=False) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise TransportError(
                FailureClass.CONNECTION, "The connection's address is not usable", sent=False
            ) from error
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
            raise TransportError(
                FailureClass.CONNECTION, f"The connection broke: {_words(error)}", sent=True
            ) from error

    def _check_literal(self, url: str) -> None:
        """The resolver sees names only; an address written as such is judged here."""
        if url in self._hosts:
            return
        host = urlsplit(url).hostname or ""
        try:
            check_address(host, self._allow_private)
        except AddressRefused as error:
            raise TransportError(FailureClass.CONNECTION, str(error), sent=False) from error
        except ValueError:
            pass  # a name: the resolver's business
        if len(self._hosts) < 1_000:
            self._hosts.add(url)

    async def close(self) -> None:
        await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MAX_BODY:
        response.close()
        raise ValueError("the answer is larger than any answer may be")
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY:
            response.close()
            raise ValueError("the answer is larger than any answer may be")
        chunks.append(chunk)
    return b"".join(chunks)


def _joined(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Lower-case names; a header sent twice is joined by a comma, as RFC 9110 has it."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _decoded(body: bytes, headers: dict[str, str]) -> bytes:
    """The body without its compression, which was not asked for but may come; bounded."""
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding in ("identity", ""):
        return body
    if encoding not in ("gzip", "deflate", "x-gzip"):
        raise ValueError("the answer is compressed in a way that was not asked for")
    inflater = zlib.decompressobj(wbits=47)
    plain = inflater.decompress(body, MAX_BODY)
    if inflater.unconsumed_tail:
        raise ValueError("the answer inflates to more than any answer may be")
    return plain


def _words(error: BaseException) -> str:
    return str(error)[:300] or type(error).__name__
