"""One client's connection: reads requests, plays one reply at a time, in order."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import cast

from jobs.simulator.http import BadRequestError, Request, RequestReader, head

MAX_PIPELINED = 1024 * 1024  # bytes read ahead while a reply is still being written


class Ending(Enum):
    """How a reply ends when it does not end well."""

    RESET = "reset"  # the peer sees ECONNRESET
    CLOSE = "close"  # the connection ends as if all had been said
    HALF_CLOSE = "half_close"  # nothing more is written, but the socket stays open
    SILENCE = "silence"  # nothing is ever written again


type Step = bytes | float | Ending  # write, wait that many seconds, or end the connection


@dataclass(slots=True)
class Reply:
    """What is written for one request, and whom to tell how that went.

    `ended(True)` is called once all steps are played, `ended(False)` when the client left first.
    """

    steps: Iterator[Step]
    ended: Callable[[bool], None]


class Connection(asyncio.Protocol):
    """Plays what `answer` returns for each request; never two replies at once."""

    def __init__(self, answer: Callable[[Request], Reply], open_ones: set["Connection"]) -> None:
        self._answer = answer
        self._open_ones = open_ones
        self._reader = RequestReader()
        self._reply: Reply | None = None
        self._keep_alive = True
        self._blocked = False  # the socket takes no more for now
        self._ended = False  # the reply in play ends the connection in its own way
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # With no buffer allowed, "resumed" means that the kernel has taken all that was written.
        self._transport.set_write_buffer_limits(high=0)
        self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_ones.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.ended(False)

    def abort(self) -> None:
        """Drops the connection at once."""
        self._transport.abort()

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        if self._reply is not None and self._timer is None and not self._ended:
            self._resume()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._reply is None:
            self._serve()
        elif self._reader.buffered() > MAX_PIPELINED:
            self._transport.pause_reading()

    def _serve(self) -> None:
        """Answers the requests that are whole, until one takes its time."""
        while self._reply is None and not self._transport.is_closing():
            try:
                request = self._reader.next()
            except BadRequestError as error:
                body = f"{error}\n".encode()
                headers = [("content-type", "text/plain"), ("connection", "close")]
                self._transport.write(head(error.status, headers, len(body)) + body)
                self._transport.close()
                return
            if request is None:
                if self._reader.expects_continue:
                    self._reader.expects_continue = False
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            self._keep_alive = request.keep_alive
            self._reply = self._answer(request)
            self._play()

    def _play(self) -> None:
        self._timer = None
        reply = self._reply
        if reply is None:
            return
        while not self._blocked and not self._transport.is_closing():
            step = next(reply.steps, None)
            if step is None:
                self._finish(reply)
                return
            if isinstance(step, float):
                self._timer = asyncio.get_running_loop().call_later(step, self._resume)
                return
            if isinstance(step, Ending):
                self._end(step, reply)
                return
            self._transport.write(step)

    def _resume(self) -> None:
        self._play()
        if self._reply is None:
            self._serve()

    def _finish(self, reply: Reply) -> None:
        self._reply = None
        reply.ended(True)
        if not self._keep_alive:
            self._transport.close()
        elif self._reader.buffered() <= MAX_PIPELINED and not self._transport.is_reading():
            self._transport.resume_reading()

    def _end(self, ending: Ending, reply: Reply) -> None:
        self._ended = True
        if ending is Ending.SILENCE:
            return
        if ending is Ending.HALF_CLOSE:
            self._transport.write_eof()
            return
        self._reply = None
        reply.ended(True)
        if ending is Ending.CLOSE:
            self._transport.close()
            return
        raw: socket.socket | None = self._transport.get_extra_info("socket")
        if raw is not None:
            # Without lingering the kernel sends RST instead of FIN.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
