"""Faults of the JSON that carries the answer: usage that is wrong, texts no parser likes."""

from collections.abc import Callable
from typing import Any

import orjson

from jobs.simulator.effects import Case, Effect
from jobs.simulator.http import head
from jobs.simulator.stats import Billing
from jobs.simulator.wire import ApiError

type Json = Any


def _with_usage(case: Case, change: Callable[[dict[str, Json]], Json]) -> Effect:
    body: dict[str, Json] = case.shape.answer(case.question, case.answer)
    usage = change(body.pop("usage"))
    if usage is not None:
        body["usage"] = usage
    return case.written(orjson.dumps(body), Billing.UNREPORTED)


def _counts(usage: dict[str, Json], change: Callable[[int], Json]) -> dict[str, Json]:
    """The usage with each count at its top changed."""
    return {
        name: change(value) if isinstance(value, int) else value for name, value in usage.items()
    }


def usage_missing(case: Case) -> Effect:
    """No usage at all."""
    return _with_usage(case, lambda usage: None)


def usage_negative(case: Case) -> Effect:
    """Counts below zero."""
    return _with_usage(case, lambda usage: _counts(usage, lambda count: -1 - count))


def usage_string(case: Case) -> Effect:
    """Counts as text."""
    return _with_usage(case, lambda usage: _counts(usage, lambda count: f"about {count}"))


def usage_huge(case: Case) -> Effect:
    """Counts no model could have."""
    return _with_usage(case, lambda usage: _counts(usage, lambda count: 10**15 + count))


def usage_zero(case: Case) -> Effect:
    """All counts are 0."""
    return _with_usage(case, lambda usage: _counts(usage, lambda count: 0))


def _opened(case: Case, extra: bytes, billing: Billing = Billing.UNREPORTED) -> Effect:
    """The body with one more property in front."""
    return case.written(b'{"simulated":' + extra + b"," + case.body()[1:], billing)


def nan_json(case: Case) -> Effect:
    """A NaN, which JSON does not know."""
    return _opened(case, b"NaN")


def infinity_json(case: Case) -> Effect:
    """An Infinity, which JSON does not know."""
    return _opened(case, b"-Infinity")


def exponent_json(case: Case) -> Effect:
    """1e400, which is no double."""
    return _opened(case, b"1e400")


def huge_integer(case: Case) -> Effect:
    """An integer of 100,000 digits."""
    return _opened(case, b"9" * 100_000)


def deep_json(case: Case) -> Effect:
    """Nesting of 100,000 levels; parameter `depth`."""
    depth = int(case.number("depth", 100_000))
    return _opened(case, b"[" * depth + b"]" * depth)


def duplicate_keys(case: Case) -> Effect:
    """A property twice; the last one is right, as parsers take it."""
    return _opened(case, b'1,"model":"another-model"', Billing.BILLED)


def byte_order_mark(case: Case) -> Effect:
    """A UTF-8 byte order mark before the JSON."""
    return case.written(b"\xef\xbb\xbf" + case.body(), Billing.UNREPORTED)


def cut_json(case: Case) -> Effect:
    """Half of the JSON, in a body whose length is right."""
    body = case.body()
    return case.written(body[: len(body) // 2], Billing.UNSEEN)


def empty_body(case: Case) -> Effect:
    """A 200 of no bytes."""
    return case.written(b"", Billing.UNSEEN)


def null_body(case: Case) -> Effect:
    """A 200 that says null."""
    return case.written(b"null", Billing.UNSEEN)


def no_choices(case: Case) -> Effect:
    """An answer without any content, with its usage."""
    body = case.shape.answer(case.question, case.answer)
    for name in ("choices", "output", "content"):
        if name in body:
            body[name] = []
    return case.written(orjson.dumps(body))


def html_200(case: Case) -> Effect:
    """A proxy's page with status 200; the provider was never asked."""
    body = b"<!doctype html><html><body><h1>Sign in to continue</h1></body></html>"
    lines = [("content-type", "text/html; charset=utf-8")]
    return Effect(iter((head(200, lines, len(body)) + body,)), "200")


def error_in_200(case: Case) -> Effect:
    """An error object with status 200; nothing is charged."""
    message = "The upstream provider failed to answer."
    error = ApiError(500, "server_error", message, code="upstream_error")
    body = orjson.dumps(case.shape.error(error, case.identity))
    return case.written(body, Billing.FREE)


def plain_type(case: Case) -> Effect:
    """The right answer, said to be text/plain."""
    body = case.body()
    lines = [("content-type", "text/plain"), *case.headers]
    written = head(200, lines, len(body)) + body
    return Effect(iter((written,)), "200", Billing.BILLED, case.answer.usage)
