"""A server on a raw socket that answers exactly the bytes a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from jobs.providers.types import HttpRequest

Writer = asyncio.StreamWriter
# Writes the answer to a request; the connection stays open for the next one unless it is closed.
Script = Callable[["Asked", Writer], Awaitable[None]]


@dataclass
class Asked:
    """A request as it came over the wire. Header names are lower-case."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int  # which of the server's connections it came on, from 0


@dataclass
class StandIn:
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0

    def request(self, name: str = "one", path: str = "/v1/chat/completions") -> HttpRequest:
        headers = {"x-client-request-id": name, "content-type": "application/json"}
        return HttpRequest("POST", self.url + path, headers, b"{}")


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def saying(*chunks: bytes, close: bool = False) -> Script:
    async def script(_: Asked, writer: Writer) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        if close:
            writer.close()

    return script


async def silence(_: Asked, __: Writer) -> None:
    """Never answers; ends when the server is closed."""
    await asyncio.Event().wait()


@asynccontextmanager
async def standing_in(*scripts: Script) -> AsyncIterator[StandIn]:
    """The first request is answered by the first script, and so on; the last one serves the rest."""
    there = StandIn()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
        number = there.connections
        there.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while not writer.is_closing():
                asked = await _read(reader, number)
                there.asked.append(asked)
                await scripts[min(len(there.asked), len(scripts)) - 1](asked, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    there.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield there
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader, connection: int) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(head[0], headers, body, connection)
