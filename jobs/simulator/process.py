"""The simulator as a process: listens, says that it is ready, ends on a signal."""

import asyncio
import os
import signal
import sys

import uvloop

from jobs.simulator.connection import Connection
from jobs.simulator.server import Simulator
from jobs.simulator.settings import Settings


def run(settings: Settings, *, host: str, port: int, until_stdin_closes: bool) -> None:
    """Serves until SIGTERM or SIGINT. Prints its address as its first line, once it listens.

    Ends the process with a sentence when the address is taken.
    """
    try:
        uvloop.run(_serve(settings, host, port, until_stdin_closes))
    except OSError as error:
        sys.exit(f"simulator: cannot serve on {host}:{port}: {os.strerror(error.errno or 0)}")


async def _serve(settings: Settings, host: str, port: int, until_stdin_closes: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        _watch_stdin(loop, stop)
    simulator = Simulator(settings)
    open_ones: set[Connection] = set()
    server = await loop.create_server(
        lambda: Connection(simulator.answer, open_ones), host, port, backlog=1024
    )
    bound = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"simulator listening on http://{host}:{bound}\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()
    for connection in list(open_ones):
        connection.abort()
    await asyncio.sleep(0)


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop.set()

    loop.add_reader(descriptor, read)
