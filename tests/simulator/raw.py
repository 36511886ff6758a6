"""A client that sees bytes: what was written, and how the connection ended."""

import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.simulator.schemas import TICKET, output_config, response_format, said, text_format
from tests.simulator_process import SimulatorProcess

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"


@dataclass(frozen=True)
class Seen:
    """Bytes received, and whether the connection was then "open", "closed" or "reset"."""

    data: bytes
    ending: str

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0].lower()

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request_for(path: str, prompt: str, *, model: str = "sim-small", **extra: Any) -> bytes:
    """A whole request for a ticket's answer in the format of `path`."""
    body: dict[str, Any] = {"model": model, **extra}
    if path == RESPONSES:
        body |= {"input": prompt, "text": text_format(TICKET)}
    elif path == CHAT:
        body |= {"messages": said(prompt), "response_format": response_format(TICKET)}
    else:
        body |= {"messages": said(prompt), "max_tokens": 500}
        body |= {"output_config": output_config(TICKET)}
    return posted(path, json.dumps(body).encode())


def posted(path: str, body: bytes, *headers: str) -> bytes:
    """A POST of a body of JSON."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: simulator",
        "anthropic-version: 2023-06-01",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def connect(simulator: SimulatorProcess) -> socket.socket:
    """An open connection that waits at most ten seconds for a byte."""
    address = urlsplit(simulator.url)
    assert address.hostname is not None
    assert address.port is not None
    return socket.create_connection((address.hostname, address.port), timeout=10)


def read_message(connection: socket.socket, data: bytes = b"") -> Seen:
    """Reads until an answer is whole by its own length, or the connection ends."""
    while not _whole(data):
        try:
            more = connection.recv(1 << 20)
        except ConnectionResetError:
            return Seen(data, "reset")
        if not more:
            return Seen(data, "closed")
        data += more
    return Seen(data, "open")


def read_on(connection: socket.socket, data: bytes, size: int, patience: float = 0.3) -> Seen:
    """Reads until `size` bytes are there, the connection ends, or nothing comes for a while."""
    connection.settimeout(patience)
    while len(data) < size:
        try:
            more = connection.recv(1 << 20)
        except TimeoutError:
            return Seen(data, "open")
        except ConnectionResetError:
            return Seen(data, "reset")
        if not more:
            return Seen(data, "closed")
        data += more
    return Seen(data, "open")


def exchange(simulator: SimulatorProcess, request: bytes) -> Seen:
    """Sends a request on a connection of its own and reads one answer."""
    with connect(simulator) as connection:
        connection.sendall(request)
        return read_message(connection)


def settled(simulator: SimulatorProcess) -> dict[str, Any]:
    """The statistics once no call is in flight any more."""
    for _ in range(2000):
        stats = simulator.stats()
        if stats["in_flight"] == 0:
            return stats
    raise AssertionError(f"still in flight: {stats}")


def _whole(data: bytes) -> bool:
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        return False
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return len(body) >= int(value)
    return body.endswith(b"0\r\n\r\n")
