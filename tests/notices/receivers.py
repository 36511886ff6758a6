"""Receivers of notices: a mail server that keeps what it is given, and one that serves raw answers."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.providers.stand_in import Script, standing_in


@contextmanager
def in_a_thread[T](opened: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """A server on a loop of its own, while the test's thread does what the product does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    try:
        server = run(opened.__aenter__())
        try:
            yield server
        finally:
            run(opened.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def receiving(*scripts: Script) -> Any:
    """A webhook's receiver that answers by these scripts, one a request."""
    return in_a_thread(standing_in(*scripts))


@dataclass
class MailServer:
    """As much of SMTP as takes mail; `refuse` answers each recipient."""

    port: int = 0
    taken: list[str] = field(default_factory=list)
    refuse: Callable[[str], str] = lambda recipient: "250 ok"

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(words: str) -> None:
            writer.write(f"{words}\r\n".encode())
            await writer.drain()

        await say("220 here")
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "RCPT":
                await say(self.refuse(line))
            elif verb == "DATA":
                await say("354 go on")
                self.taken.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                await say("250 taken")
            elif verb == "QUIT":
                await say("221 bye")
                break
            else:
                await say("250 ok")
        writer.close()


class _Serving:
    def __init__(self, server: MailServer) -> None:
        self._mail = server

    async def __aenter__(self) -> MailServer:
        self._server = await asyncio.start_server(self._mail.talk, "127.0.0.1", 0)
        self._mail.port = self._server.sockets[0].getsockname()[1]
        return self._mail

    async def __aexit__(self, *_: object) -> None:
        self._server.close()


def mail_server(**options: Any) -> Any:
    return in_a_thread(_Serving(MailServer(**options)))
