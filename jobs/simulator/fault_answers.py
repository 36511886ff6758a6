"""Faults in what the model says. All are charged, and their usage is what the body reports."""

from typing import Any

import orjson

from jobs.simulator.effects import Case, Effect
from jobs.simulator.stats import Billing
from jobs.simulator.wire import Answer, Usage, count_tokens

type Json = Any

_STAND_IN = "\ue000"  # takes the place of bytes that no JSON writer would write
DEPTH = 100_000


def _said(case: Case, text: str, finish: str = "stop") -> Effect:
    """An answer with another text; its output tokens are counted anew, 0 for nothing."""
    output = count_tokens(text) if text else 0
    usage = Usage(
        case.answer.usage.input_tokens,
        output,
        case.answer.usage.cached_input_tokens,
        case.answer.usage.cache_write_tokens,
    )
    return case.answered(Answer(text, usage, finish, case.identity))


def refusal(case: Case) -> Effect:
    """The model declines."""
    return _said(case, "I'm sorry, but I can't help with that request.", "refusal")


def truncated(case: Case) -> Effect:
    """Half of the answer, ended by the length limit."""
    return _said(case, case.answer.text[: len(case.answer.text) // 2], "length")


def empty_output(case: Case) -> Effect:
    """An answer of nothing."""
    return _said(case, "")


def blank_output(case: Case) -> Effect:
    """An answer of white space."""
    return _said(case, " \n\n ")


def prose_json(case: Case) -> Effect:
    """The answer with talk around it."""
    return _said(case, f"Sure! Here is what you asked for:\n\n{case.answer.text}\n\nGood luck!")


def fenced_json(case: Case) -> Effect:
    """The answer in a code fence."""
    return _said(case, f"```json\n{case.answer.text}\n```")


def broken_json(case: Case) -> Effect:
    """The answer without its end, as if it were whole."""
    return _said(case, case.answer.text[: max(1, len(case.answer.text) * 2 // 3)].rstrip("}]"))


def invalid_json(case: Case) -> Effect:
    """One of prose, fence and broken JSON."""
    return (prose_json, fenced_json, broken_json)[case.draws.below(3)](case)


def nan_output(case: Case) -> Effect:
    """JSON with a NaN inside."""
    text = case.answer.text
    return _said(case, text[:-1] + ',"simulated":NaN}' if text.endswith('"}') else "[NaN]")


def deep_output(case: Case) -> Effect:
    """JSON nested deeper than any parser's stack; parameter `depth`."""
    depth = int(case.number("depth", DEPTH))
    return _said(case, "[" * depth + "]" * depth)


def nul_output(case: Case) -> Effect:
    """A NUL character in the answer."""
    return _said(case, _with_inside(case.answer.text, "\x00"))


def missing_field(case: Case) -> Effect:
    """The answer lacks a required property."""
    value = _parsed(case.answer.text)
    if not isinstance(value, dict):
        return wrong_type(case)
    schema = case.question.schema
    required = schema.get("required") if isinstance(schema, dict) else None
    value.pop(next(iter(required or value), ""), None)
    return _said(case, orjson.dumps(value).decode())


def wrong_enum(case: Case) -> Effect:
    """A property has a value its enum does not know; a wrong type where there is no enum."""
    value, schema = _parsed(case.answer.text), case.question.schema
    properties = schema.get("properties") if isinstance(schema, dict) else None
    for name, part in (properties or {}).items():
        if isinstance(part, dict) and "enum" in part and isinstance(value, dict):
            value[name] = "none-of-the-options"
            return _said(case, orjson.dumps(value).decode())
    return wrong_type(case)


def wrong_type(case: Case) -> Effect:
    """The first property, or the whole answer, is of another type."""
    value = _parsed(case.answer.text)
    if isinstance(value, dict) and value:
        first = next(iter(value))
        value[first] = [value[first]]
        return _said(case, orjson.dumps(value).decode())
    return _said(case, orjson.dumps([value]).decode())


def extra_field(case: Case) -> Effect:
    """The answer has a property nobody asked for."""
    value = _parsed(case.answer.text)
    if not isinstance(value, dict):
        return wrong_type(case)
    return _said(case, orjson.dumps({**value, "unasked_for": "surprise"}).decode())


def schema_violation(case: Case) -> Effect:
    """One of a missing field, a wrong enum value and a wrong type."""
    return (missing_field, wrong_enum, wrong_type)[case.draws.below(3)](case)


def lone_surrogate(case: Case) -> Effect:
    """Half of a surrogate pair, escaped, in the answer: many parsers refuse the body."""
    return _replaced(case, b"\\ud800")


def bad_utf8(case: Case) -> Effect:
    """Bytes in the answer that are no UTF-8."""
    return _replaced(case, b"\xff\xfe\xc0")


def _replaced(case: Case, written: bytes) -> Effect:
    answer = Answer(
        _with_inside(case.answer.text, _STAND_IN), case.answer.usage, "stop", case.identity
    )
    body = case.body(answer).replace(_STAND_IN.encode(), written)
    return case.written(body, Billing.UNREPORTED)


def _parsed(text: str) -> Json:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _with_inside(text: str, infix: str) -> str:
    """The text with something put into its longest string, or into itself if it is not JSON."""
    value = _parsed(text)
    if isinstance(value, dict):
        names = [name for name, part in value.items() if isinstance(part, str)]
        if names:
            name = max(names, key=lambda one: len(value[one]))
            value[name] = f"{value[name][:3]}{infix}{value[name][3:]}"
        else:
            value["simulated"] = infix
        return orjson.dumps(value).decode()
    return f"{text[:3]}{infix}{text[3:]}"
