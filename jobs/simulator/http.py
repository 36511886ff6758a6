"""HTTP/1.1 from the server's side, as little of it as a provider's API needs, but that correctly.

`RequestReader` turns bytes into requests: keep-alive, pipelined requests, Content-Length and
chunked bodies, all of bounded size. It knows no socket.
"""

from dataclasses import dataclass

MAX_HEAD = 64 * 1024
MAX_HEADERS = 200
MAX_BODY = 64 * 1024 * 1024

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Payload Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    529: "Overloaded",
}

_NAME = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class BadRequestError(Exception):
    """What was sent is not HTTP, or too much of it; the connection cannot be used further."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Request:
    """A whole request. Header names are lower-case; of a repeated header the last one counts."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes
    keep_alive: bool

    def header(self, name: bytes) -> str:
        """The value of a header, decoded as Latin-1; empty where there is none."""
        return self.headers.get(name, b"").decode("latin-1")


def head(status: int, headers: list[tuple[str, str]], length: int | None) -> bytes:
    """The first lines of an answer; `length` is left out when it is None."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if length is not None:
        lines.append(f"content-length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _valid_name(name: bytes) -> bool:
    return bool(name) and _NAME.issuperset(name)


class RequestReader:
    """Feed it bytes, ask it for the next whole request. `next` returns None until there is one."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Request | None = None
        self._length = 0  # of the body; -1 for a chunked one
        self._chunks = bytearray()
        self.expects_continue = False  # set when the client waits for "100 Continue"

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def buffered(self) -> int:
        """Bytes held that belong to no request returned yet."""
        return len(self._buffer)

    def next(self) -> Request | None:
        """The next request, whole. Raises `BadRequestError`; the reader is of no use after that."""
        if self._head is None:
            self._head = self._read_head()
            if self._head is None:
                return None
        request = self._head
        if self._length < 0:
            if not self._read_chunks():
                return None
            request.body = bytes(self._chunks)
            self._chunks.clear()
        elif len(self._buffer) < self._length:
            return None
        elif self._length:
            request.body = bytes(self._buffer[: self._length])
            del self._buffer[: self._length]
        self._head = None
        self.expects_continue = False
        return request

    def _read_head(self) -> Request | None:
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # an empty line before the request line is allowed
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(buffer) > MAX_HEAD):
            raise BadRequestError(431, "the headers are too long")
        if end < 0:
            return None
        text = bytes(buffer[:end])
        lines = text.split(b"\r\n")
        del buffer[: end + 4]
        if len(lines) > MAX_HEADERS:
            raise BadRequestError(431, "there are too many headers")
        if not text.count(b"\n") == text.count(b"\r") == len(lines) - 1:
            raise BadRequestError(400, "a line ends without CR LF")
        headers: dict[bytes, bytes] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            name = name.lower()
            if not colon or not _valid_name(name):
                raise BadRequestError(400, "a header line is malformed")
            value = value.strip(b" \t")
            if name in headers and name in (b"content-length", b"transfer-encoding", b"host"):
                raise BadRequestError(400, f"repeated {name.decode()}")
            headers[name] = value
        return self._framed(*self._request_line(lines[0]), headers)

    @staticmethod
    def _request_line(line: bytes) -> tuple[str, str, str, bytes]:
        parts = line.split(b" ")
        if len(parts) != 3 or not _valid_name(parts[0]):
            raise BadRequestError(400, "the request line is malformed")
        if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise BadRequestError(505, "only HTTP/1.1 is spoken here")
        target = parts[1].decode("latin-1")
        if target.startswith(("http://", "https://")):
            target = "/" + target.split("/", 3)[3] if target.count("/") >= 3 else "/"
        path, _, query = target.partition("?")
        return parts[0].decode("ascii"), path, query, parts[2]

    def _framed(
        self, method: str, path: str, query: str, version: bytes, headers: dict[bytes, bytes]
    ) -> Request:
        if version == b"HTTP/1.1" and b"host" not in headers:
            raise BadRequestError(400, "the Host header is missing")
        connection = headers.get(b"connection", b"").lower()
        keep_alive = b"close" not in connection and (
            version == b"HTTP/1.1" or b"keep-alive" in connection
        )
        coding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
        if coding is not None:
            if length is not None:
                raise BadRequestError(400, "both Content-Length and Transfer-Encoding are given")
            if coding.lower() != b"chunked":
                raise BadRequestError(501, "only the chunked transfer coding is known")
            self._length = -1
        elif length is not None:
            if not length.isdigit() or len(length) > 15:
                raise BadRequestError(400, "Content-Length is not a number")
            self._length = int(length)
            if self._length > MAX_BODY:
                raise BadRequestError(413, "the body is too long")
        else:
            self._length = 0
        self.expects_continue = headers.get(b"expect", b"").lower() == b"100-continue"
        return Request(method, path, query, headers, b"", keep_alive)

    def _read_chunks(self) -> bool:
        """Moves whole chunks out of the buffer; True once the last one and its trailers are in."""
        buffer = self._buffer
        while True:
            end = buffer.find(b"\r\n")
            if end < 0:
                if len(buffer) > 1024:
                    raise BadRequestError(400, "a chunk's size line is too long")
                return False
            digits = bytes(buffer[:end]).partition(b";")[0].strip()
            if not digits or len(digits) > 12 or not digits.isalnum():
                raise BadRequestError(400, "a chunk's size is malformed")
            try:
                size = int(digits, 16)
            except ValueError:
                raise BadRequestError(400, "a chunk's size is malformed") from None
            if len(self._chunks) + size > MAX_BODY:
                raise BadRequestError(413, "the body is too long")
            if size == 0:
                return self._read_trailers(end)
            if len(buffer) < end + size + 4:
                return False
            self._chunks += buffer[end + 2 : end + 2 + size]
            if buffer[end + 2 + size : end + 4 + size] != b"\r\n":
                raise BadRequestError(400, "a chunk is longer than its size says")
            del buffer[: end + 4 + size]

    def _read_trailers(self, end: int) -> bool:
        """Drops the trailers after the last chunk, whose size line ends at `end`."""
        buffer = self._buffer
        if buffer[end + 2 : end + 4] == b"\r\n":
            del buffer[: end + 4]
            return True
        stop = buffer.find(b"\r\n\r\n", end)
        if stop < 0:
            if len(buffer) > MAX_HEAD:
                raise BadRequestError(431, "the trailers are too long")
            return False
        del buffer[: stop + 4]
        return True
