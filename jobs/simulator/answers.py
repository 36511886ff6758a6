"""A plausible answer to a question: the same for the same seed, model and prompt."""

import re
from functools import lru_cache
from typing import Any

import orjson

from jobs.simulator.draws import Draws, digest
from jobs.simulator.schema import Maker, compile_schema
from jobs.simulator.wire import Answer, Question, Usage, count_tokens, invalid
from jobs.simulator.words import Source

type Json = Any

_OPENINGS = (
    "The text begins with “{opening}”.",
    "In short: {opening}.",
    "This is about the following: {opening}.",
)
_CLOSINGS = (
    "It also says “{excerpt}”.",
    "What stands out is “{excerpt}”.",
    "The passage “{excerpt}” matters most.",
)


_LENGTH = re.compile(r"\[\[tokens:([1-9]\d{0,5})\]\]")


@lru_cache(maxsize=256)
def _compiled(schema: bytes) -> Maker:
    return compile_schema(orjson.loads(schema))


def full_text(question: Question, seed: int, *, markers: bool = False) -> str:
    """The whole answer, however long; JSON text where the question has a schema. With `markers` a free
    text is as long as the prompt asks for.

    Raises `ApiError` when the schema cannot be understood.
    """
    source = Source(question.prompt, Draws(digest(seed, question.model, question.text)))
    if question.schema is None:
        draws = source.draws
        opening = _OPENINGS[draws.below(len(_OPENINGS))].format(opening=source.opening(12))
        closing = _CLOSINGS[draws.below(len(_CLOSINGS))].format(excerpt=source.excerpt(4, 9))
        text = f"{opening} {closing}"
        asked = _LENGTH.search(question.prompt) if markers else None
        return _as_long(text, int(asked[1])) if asked else text
    try:
        value = _compiled(orjson.dumps(question.schema))(source, 0)
        return orjson.dumps(value).decode()
    except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        # Keywords of the wrong type, bounds that exclude everything: the sender's mistake.
        raise invalid(f"Invalid schema: {error}") from error


def _as_long(text: str, tokens: int) -> str:
    """The text said again and again, up to so many tokens of plain letters."""
    plain = text.encode("ascii", "replace").decode() + " "
    return (plain * (4 * tokens // len(plain) + 1))[: 4 * tokens]


def limited(question: Question, text: str) -> Answer:
    """The text as an answer, cut where `max_tokens` ends it."""
    output, finish = count_tokens(text), "stop"
    if question.max_tokens is not None and output > question.max_tokens:
        text = text.encode()[: 4 * question.max_tokens].decode(errors="ignore")
        output, finish = question.max_tokens, "length"
    return Answer(text, Usage(question.input_tokens, output), finish)
