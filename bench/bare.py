"""The ceiling: bare clients that ask the same question as fast as they can and keep nothing.

python -m bench.bare aiohttp http://127.0.0.1:40123 20000 128
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import orjson
import uvloop

from bench.data import MODEL, SCHEMA, SYSTEM, text_of

Ask = Callable[[int], Awaitable[None]]


def question(n: int) -> dict[str, object]:
    schema = {"name": "bench", "strict": True, "schema": SCHEMA}
    return {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": text_of(n)},
        ],
        "max_completion_tokens": 200,
        "response_format": {"type": "json_schema", "json_schema": schema},
    }


async def with_aiohttp(url: str, calls: int, in_flight: int) -> None:
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(n: int) -> None:
            async with session.post(
                f"{url}/v1/chat/completions",
                data=orjson.dumps(question(n)),
                headers={"content-type": "application/json"},
            ) as response:
                assert response.status == 200
                orjson.loads(await response.read())

        await _all(ask, calls, in_flight)


async def with_openai(url: str, calls: int, in_flight: int) -> None:
    """The way of most scripts: `AsyncOpenAI` as it comes, a gather over a semaphore."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:

        async def ask(n: int) -> None:
            await client.chat.completions.create(**question(n))  # type: ignore[call-overload]

        await _all(ask, calls, in_flight)


async def _all(ask: Ask, calls: int, in_flight: int) -> None:
    numbers = iter(range(1, calls + 1))

    async def worker() -> None:
        for n in numbers:
            await ask(n)

    await asyncio.gather(*(worker() for _ in range(in_flight)))


def main() -> None:
    client, url, calls, in_flight = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    session = {"aiohttp": with_aiohttp, "openai": with_openai}[client]
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    asyncio.run(session(url, calls, in_flight), loop_factory=uvloop.new_event_loop)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_kb": after.ru_maxrss}))


if __name__ == "__main__":
    main()
