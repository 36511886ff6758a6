"""Faults below JSON: silence, resets, wrong lengths, endless bodies, bombs, answers said twice."""

import gzip
import zlib
from collections.abc import Iterator
from functools import lru_cache

from jobs.simulator.connection import Ending, Step
from jobs.simulator.effects import JSON_TYPE, Case, Effect
from jobs.simulator.http import head
from jobs.simulator.stats import Billing

_MEGABYTE = 1024 * 1024


def timeout(case: Case) -> Effect:
    """Accepted, then silence until the client leaves."""
    return case.unseen("silent", Ending.SILENCE)


def silent_body(case: Case) -> Effect:
    """Headers, then silence."""
    return case.unseen("silent", head(200, [JSON_TYPE], 1000), Ending.SILENCE)


def late(case: Case) -> Effect:
    """The right answer, late; parameter `seconds`, default 5."""
    steps: Iterator[Step] = iter((case.number("seconds", 5.0), case.message(case.body())))
    return Effect(steps, "200", Billing.BILLED, case.answer.usage)


def slow_bytes(case: Case) -> Effect:
    """The right answer, a byte at a time; parameter `seconds_per_byte`, default 1."""
    pause = case.number("seconds_per_byte", 1.0)
    body = case.body()

    def steps() -> Iterator[Step]:
        yield case.message(body)[: -len(body)]
        for at in range(len(body)):
            yield pause
            yield body[at : at + 1]

    return Effect(steps(), "200", Billing.BILLED, case.answer.usage)


def reset_before(case: Case) -> Effect:
    """The connection is reset before any byte."""
    return case.unseen("reset", Ending.RESET)


def close_before(case: Case) -> Effect:
    """The connection is closed before any byte."""
    return case.unseen("closed", Ending.CLOSE)


def _half(case: Case) -> bytes:
    message = case.message(case.body())
    return message[: len(message) - len(case.body()) // 2]


def reset_mid_body(case: Case) -> Effect:
    """Reset after half of the body."""
    # A moment lets the half leave before the reset throws away what is unsent.
    return case.unseen("reset", _half(case), 0.02, Ending.RESET)


def half_body(case: Case) -> Effect:
    """Closed after half of the body."""
    return case.unseen("half_body", _half(case), Ending.CLOSE)


def half_close(case: Case) -> Effect:
    """Half of the body, then the end of what is written, with the socket left open."""
    return case.unseen("half_body", _half(case), Ending.HALF_CLOSE)


def connection(case: Case) -> Effect:
    """One of the ways in which a connection breaks."""
    ways = (reset_before, close_before, reset_mid_body, half_body)
    return ways[case.draws.below(len(ways))](case)


def wrong_content_length(case: Case) -> Effect:
    """More is promised than comes, and the connection stays open."""
    body = case.body()
    lines = [JSON_TYPE, *case.headers]
    return case.unseen("half_body", head(200, lines, len(body) + 100) + body, Ending.SILENCE)


def short_content_length(case: Case) -> Effect:
    """Less is promised than comes: the rest runs into the next answer."""
    body = case.body()
    lines = [JSON_TYPE, *case.headers]
    return case.unseen("half_body", head(200, lines, len(body) - 30) + body)


def two_content_lengths(case: Case) -> Effect:
    """Two lengths that contradict each other."""
    body = case.body()
    lines = [JSON_TYPE, ("content-length", str(len(body) + 7))]
    return case.unseen("malformed", head(200, lines, len(body)) + body, Ending.CLOSE)


def duplicate_headers(case: Case) -> Effect:
    """Harmless headers twice, with different values."""
    extra = [("x-request-id", "req_other"), ("content-type", "application/json; charset=utf-8")]
    steps: Iterator[Step] = iter((case.message(case.body(), extra=extra),))
    return Effect(steps, "200", Billing.BILLED, case.answer.usage)


def many_headers(case: Case) -> Effect:
    """10,000 headers; parameter `count`."""
    extra = [(f"x-filler-{n}", "x" * 20) for n in range(int(case.number("count", 10_000)))]
    return case.unseen("malformed", case.message(case.body(), extra=extra))


def huge_header(case: Case) -> Effect:
    """One header of a megabyte."""
    extra = [("x-filler", "x" * _MEGABYTE)]
    return case.unseen("malformed", case.message(case.body(), extra=extra))


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def chunked(case: Case) -> Effect:
    """The right answer in chunks: no fault, but what some servers do."""
    body = case.body()
    lines = [JSON_TYPE, *case.headers, ("transfer-encoding", "chunked")]
    message = head(200, lines, None) + _chunk(body[:50]) + _chunk(body[50:]) + b"0\r\n\r\n"
    steps: Iterator[Step] = iter((message,))
    return Effect(steps, "200", Billing.BILLED, case.answer.usage)


def broken_chunk(case: Case) -> Effect:
    """A chunk whose size is no number."""
    lines = [JSON_TYPE, *case.headers, ("transfer-encoding", "chunked")]
    message = head(200, lines, None) + _chunk(case.body()[:50]) + b"zz\r\n{}\r\n"
    return case.unseen("malformed", message, Ending.CLOSE)


def huge_body(case: Case) -> Effect:
    """A body of 2 GB; parameter `megabytes`, 0 for one without end."""
    blocks = int(case.number("megabytes", 2048)) * 16
    body = case.body()[:-1]

    def steps() -> Iterator[Step]:
        yield head(200, [JSON_TYPE, ("transfer-encoding", "chunked")], None) + _chunk(body)
        block = _chunk(b" " * 65536)
        written = 0
        while blocks == 0 or written < blocks:
            yield block
            # Other connections get their turn between the blocks.
            yield 0.0
            written += 1
        yield _chunk(b"}") + b"0\r\n\r\n"

    return Effect(steps(), "huge_body", Billing.UNSEEN, case.answer.usage)


def endless_body(case: Case) -> Effect:
    """A body without end."""
    case.params["megabytes"] = 0
    return huge_body(case)


@lru_cache(maxsize=4)
def _bomb(megabytes: int) -> bytes:
    """Gzip of that many megabytes of spaces; a thousandth of it in size."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = b" " * _MEGABYTE
    # After a full flush a block depends on nothing before it, so that it may be repeated.
    data = squeeze.compress(block) + squeeze.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(megabytes):
        check = zlib.crc32(block, check)
    trailer = check.to_bytes(4, "little") + (megabytes * _MEGABYTE % 2**32).to_bytes(4, "little")
    start = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return start + data * megabytes + squeeze.flush() + trailer


def gzip_bomb(case: Case) -> Effect:
    """A small gzip body that inflates to 256 MB; parameter `megabytes`."""
    body = _bomb(max(1, int(case.number("megabytes", 256))))
    extra = [("content-encoding", "gzip")]
    return case.unseen("gzip_bomb", case.message(body, extra=extra))


def gzipped(case: Case) -> Effect:
    """The right answer, compressed: no fault, but what proxies do."""
    body = gzip.compress(case.body())
    steps: Iterator[Step] = iter((case.message(body, extra=[("content-encoding", "gzip")]),))
    return Effect(steps, "200", Billing.BILLED, case.answer.usage)


def duplicate_answer(case: Case) -> Effect:
    """The right answer twice on a connection that stays open; charged once."""
    message = case.message(case.body())
    steps: Iterator[Step] = iter((message + message,))
    return Effect(steps, "200", Billing.BILLED, case.answer.usage)


def stale_connection(case: Case) -> Effect:
    """The right answer, after which the connection is closed without a word."""
    steps: Iterator[Step] = iter((case.message(case.body()), Ending.CLOSE))
    return Effect(steps, "200", Billing.BILLED, case.answer.usage)
