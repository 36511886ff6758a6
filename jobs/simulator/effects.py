"""What a call comes to on the wire: a status, headers and a body, and how they are written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from jobs.simulator.connection import Step
from jobs.simulator.draws import Draws
from jobs.simulator.http import head
from jobs.simulator.stats import Billing
from jobs.simulator.wire import Answer, ApiError, Question, Shape, Usage

type Json = Any
type Headers = list[tuple[str, str]]

JSON_TYPE = ("content-type", "application/json")


@dataclass(slots=True)
class Effect:
    """The steps that are written, what they are called in the statistics, and what they cost."""

    steps: Iterator[Step]
    status: str
    billing: Billing = Billing.FREE
    usage: Usage | None = None


@dataclass(slots=True)
class Case:
    """A call that a fault may be worked on: the question, its true answer, and the shape."""

    question: Question
    shape: Shape
    answer: Answer
    identity: str
    headers: Headers  # of the vendor, without content type and length
    draws: Draws
    params: dict[str, Json] = field(default_factory=dict)
    key: str = ""  # the caller's

    def number(self, name: str, default: float) -> float:
        """A parameter of the fault as a number; the default where it is none."""
        value = self.params.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def body(self, answer: Answer | None = None) -> bytes:
        """The JSON body of an answer, by default the true one."""
        return orjson.dumps(self.shape.answer(self.question, answer or self.answer))

    def message(self, body: bytes, status: int = 200, extra: Headers | None = None) -> bytes:
        """A whole HTTP answer of JSON."""
        return head(status, [JSON_TYPE, *self.headers, *(extra or [])], len(body)) + body

    def answered(self, answer: Answer, billing: Billing = Billing.BILLED) -> Effect:
        """A 200 with this answer."""
        return self.written(self.body(answer), billing, answer.usage)

    def written(
        self, body: bytes, billing: Billing = Billing.BILLED, usage: Usage | None = None
    ) -> Effect:
        """A 200 with this body."""
        steps: Iterator[Step] = iter((self.message(body),))
        return Effect(steps, "200", billing, usage or self.answer.usage)

    def unseen(self, status: str, *steps: Step) -> Effect:
        """Charged, but written in such a way that the client cannot see it whole."""
        return Effect(iter(steps), status, Billing.UNSEEN, self.answer.usage)

    def refused(self, error: ApiError) -> Effect:
        """An error in the vendor's shape."""
        return refusal(self.shape, error, self.identity, self.headers)


def refusal(shape: Shape, error: ApiError, identity: str, headers: Headers) -> Effect:
    """An error in a vendor's shape; it costs nothing."""
    body = orjson.dumps(shape.error(error, identity))
    lines = [JSON_TYPE, *headers, *error.headers]
    return Effect(iter((head(error.status, lines, len(body)) + body,)), str(error.status))
