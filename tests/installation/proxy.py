"""What stands between an installation and its PostgreSQL, and breaks connections as networks do."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_COMMIT = b"COMMIT\0"


class Proxy:
    """Forwards each connection to the server's socket. Ends with the process."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.commits_cut = 0
        self._to_cut = 0
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_commits(self, number: int) -> None:
        """Of the next so many the server is told, and its answer is lost with the connection."""
        with self._lock:
            self._to_cut += number

    def fall_silent(self) -> int:
        """From now on nothing comes through the connections that are there, and no end of them either.
        Returns how many they were."""
        with self._lock:
            for pair in self._pairs:
                pair.silent = True
            return len(self._pairs)

    def close(self) -> None:
        self._listener.close()

    def take_cut(self) -> bool:
        with self._lock:
            if not self._to_cut:
                return False
            self._to_cut -= 1
            self.commits_cut += 1
            return True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.upstream)
            except OSError:
                client.close()  # the server is down
                continue
            pair = _Pair(client, server, self.take_cut, self._forget)
            with self._lock:
                self._pairs.add(pair)
            pair.start()

    def _forget(self, pair: "_Pair") -> None:
        with self._lock:
            self._pairs.discard(pair)


class _Pair:
    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        take_cut: Callable[[], bool],
        forget: Callable[["_Pair"], None],
    ) -> None:
        self.client = client
        self.server = server
        self.take_cut = take_cut
        self.forget = forget
        self.silent = False
        self.cut = False

    def start(self) -> None:
        for run in (self._to_server, self._to_client):
            threading.Thread(target=run, daemon=True).start()

    def _to_server(self) -> None:
        with suppress(OSError):
            while data := self.client.recv(65536):
                if self.silent:
                    continue
                if _COMMIT in data and self.take_cut():
                    self.cut = True
                self.server.sendall(data)
        self._end()

    def _to_client(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(65536):
                if self.cut:
                    break  # the commit is done, and nobody hears of it
                if not self.silent:
                    self.client.sendall(data)
        if not self.silent:
            self._end()

    def _end(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.forget(self)
