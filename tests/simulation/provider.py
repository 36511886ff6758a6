"""The provider: a transport that answers by chance, and its own books, which bear witness."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.failures import FailureClass
from jobs.providers.shared import REQUEST_ID
from jobs.providers.transport import Deadline, TransportError
from jobs.providers.types import HttpRequest, HttpResponse
from tests.engine.build import INPUT_PRICE, OUTPUT_PRICE

_ROW = re.compile(rb"job (\d+) row \d+")
# The jobs' own timeout; and what no call waits for.
TIMEOUT_S = 8.0
_EVER = 10_000.0

# What an answer may be, beside the right one: status, error's code and type, or text and finish.
ERRORS = {
    "rate_limited": (429, "rate_limit_exceeded"),
    "overloaded": (503, "overloaded"),
    "server_error": (500, "server_error"),
    "authentication": (401, "invalid_api_key"),
    "quota": (429, "insufficient_quota"),
    "invalid_request": (400, "invalid_value"),
    "context_length": (400, "context_length_exceeded"),
}
TEXTS = {
    "truncated": ('{"label": "a', "length"),
    "filtered": ("", "content_filter"),
    "empty": ("", "stop"),
    "no_json": ("I would say: a", "stop"),
    "schema": ('{"label": 1}', "stop"),
}
# The wire: never sent; sent and broken; silent until the deadline; answered late, but answered.
WIRE = ("refused", "broken", "silent", "slow")
FAULTS = (*ERRORS, *TEXTS, *WIRE)


@dataclass(frozen=True, slots=True)
class Counted:
    """One call as the provider saw it."""

    at: float
    billed: int  # pico-USD


class Provider:
    """`faults` maps a fault to its share of calls; `jobs` are those that rows name by their place in it;
    `arrived` is told of each call."""

    def __init__(
        self,
        rng: random.Random,
        faults: dict[str, float],
        reached: Counter[str],
        jobs: list[int],
        arrived: Callable[[int], None],
    ) -> None:
        self.rng = rng
        self.faults = faults
        self.reached = reached
        self.jobs = jobs
        self.arrived = arrived
        self.calls: dict[tuple[int, int, int], Counted] = {}  # job, n, number
        self.twice: list[tuple[int, int, int]] = []

    def _draw(self) -> str:
        at = self.rng.random()
        for fault, share in self.faults.items():
            at -= share
            if at < 0:
                self.reached[f"provider {fault}"] += 1
                return fault
        return ""

    async def send(self, request: HttpRequest, deadline: Deadline) -> HttpResponse:
        assert isinstance(deadline, asyncio.Timeout)
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        began = loop.time()
        try:
            async with deadline:
                return await self._exchange(request, arrived)
        except TimeoutError as error:
            early = loop.time() - began < TIMEOUT_S
            self.reached["call given up early" if early else "call timed out"] += 1
            raise TransportError(
                FailureClass.TIMEOUT, "No whole answer", sent=arrived.is_set()
            ) from error

    async def _exchange(self, request: HttpRequest, arrived: asyncio.Event) -> HttpResponse:
        fault, took = self._draw(), self.rng.choice((0.1, 0.5, 2.0, 6.0)) * self.rng.random()
        if fault == "refused":
            await asyncio.sleep(took)
            raise TransportError(FailureClass.CONNECTION, "Could not connect", sent=False)
        found = _ROW.search(request.body)
        assert found is not None
        job_id = self.jobs[int(found[1])]
        # Not what the text says: rows may ask the same.
        n, number = map(int, request.headers[REQUEST_ID].rsplit("-", 2)[1:])
        tokens = (20 + n, 5 + self.rng.randrange(50))
        billed = tokens[0] * INPUT_PRICE + tokens[1] * OUTPUT_PRICE
        if fault in ERRORS:
            billed = 0
        if (job_id, n, number) in self.calls:
            self.twice.append((job_id, n, number))
        self.calls[(job_id, n, number)] = Counted(asyncio.get_running_loop().time(), billed)
        self.arrived(job_id)
        arrived.set()
        slowly = {"silent": _EVER, "slow": TIMEOUT_S * 0.95}
        await asyncio.sleep(slowly.get(fault, took))
        if fault == "broken":
            raise TransportError(FailureClass.CONNECTION, "The connection broke", sent=True)
        if fault in ERRORS:
            return self._error(*ERRORS[fault])
        right = f'{{"label": "a", "score": {number}}}'  # says to which call it belongs
        return _answer(*TEXTS.get(fault, (right, "stop")), *tokens)

    def _error(self, status: int, code: str) -> HttpResponse:
        headers = {}
        if status in (429, 503) and self.rng.random() < 0.5:
            headers["retry-after"] = self.rng.choice(("0", "1", "3", "-5", "soon"))
        error = {"message": "The provider's words.", "type": code, "code": code, "param": None}
        return HttpResponse(status, headers, json.dumps({"error": error}).encode())

    async def close(self) -> None:
        pass


def _answer(text: str, finish: str, input_tokens: int, output_tokens: int) -> HttpResponse:
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "model": "sim-small-2026",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": input_tokens, "completion_tokens": output_tokens},
    }
    return HttpResponse(200, {}, json.dumps(body).encode())
