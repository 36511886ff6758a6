"""Rules that an answer must keep beyond its schema. Each is a small JSON object:

    {"field": "amount", "min": 0, "max": 1000}          range of a number
    {"field": "category", "in": ["a", "b"]}             one of these
    {"field": "iban", "pattern": "^[A-Z]{2}"}           a regular expression, found anywhere
    {"field": "summary", "max_length": 300}             length in characters; also min_length
    {"field": "quote", "evidence_in": "body"}           the text occurs in that column of the row
    {"if": {"field": "refund", "equals": true}, "then": {"field": "amount", "min": 0.01}}

`field` is a path with dots; without it a rule is about the whole text. A missing or null field keeps
every rule: whether it must be there is the schema's business. Whitespace and case do not matter to
evidence; of a list, every item must occur.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonschema_rs
import orjson

from jobs.errors import FieldError
from jobs.prompts.values import as_text

# Judges an answer (the parsed value, or the text) against a row; a sentence when it is broken.
Rule = Callable[[Any, Mapping[str, Any]], str | None]

MAX_RULES = 50
MAX_RULES_BYTES = 64_000
MAX_RULE_DEPTH = 5  # conditions inside conditions
MAX_PATTERN_CHARS = 200
SHOWN_CHARS = 80  # of a value, in a message
# Patterns come from people and are held against answers of any length: an engine whose time grows with
# the text and no faster, so without look-around and back-references.
PATTERNS = jsonschema_rs.RegexOptions(size_limit=1_000_000)
_CHECKS = frozenset(
    {"min", "max", "in", "pattern", "min_length", "max_length", "evidence_in", "equals"}
)


def check_rules(rules: Any) -> list[FieldError]:
    """What is wrong with a list of rules; empty when it can be used."""
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        return [FieldError(("rules",), "Rules are a list of objects")]
    if len(rules) > MAX_RULES:
        return [FieldError(("rules",), f"At most {MAX_RULES} rules")]
    try:
        size = len(orjson.dumps(rules))
    except TypeError as error:
        return [FieldError(("rules",), f"Not JSON: {error}")]
    if size > MAX_RULES_BYTES:
        told = f"The rules have {size:,} bytes; at most {MAX_RULES_BYTES:,} are allowed"
        return [FieldError(("rules",), told)]
    problems = []
    for at, rule in enumerate(rules):
        try:
            _compile(rule)
        except ValueError as error:
            problems.append(FieldError(("rules", at), str(error)))
    return problems


def compile_rules(rules: Sequence[Any]) -> list[Rule]:
    """Raises ValueError, in words."""
    return [_compile(rule) for rule in rules]


def _compile(rule: Any, depth: int = 1) -> Rule:
    if depth > MAX_RULE_DEPTH:
        raise ValueError(f"Conditions nest at most {MAX_RULE_DEPTH} deep")
    if not isinstance(rule, Mapping):
        raise ValueError("A rule is a JSON object")
    if "if" in rule or "then" in rule:
        if set(rule) != {"if", "then"}:
            raise ValueError('A conditional rule has exactly "if" and "then"')
        condition = _compile(rule["if"], depth + 1)
        consequence = _compile(rule["then"], depth + 1)

        def conditional(answer: Any, row: Mapping[str, Any]) -> str | None:
            return None if condition(answer, row) else consequence(answer, row)

        return conditional
    unknown = set(rule) - _CHECKS - {"field"}
    if unknown:
        raise ValueError(f"Unknown in a rule: {', '.join(sorted(map(str, unknown)))}")
    checks = [_check(name, rule[name]) for name in sorted(_CHECKS & set(rule))]
    if not checks:
        raise ValueError(f"A rule needs one of {', '.join(sorted(_CHECKS))}")
    field = rule.get("field", "")
    if not isinstance(field, str):
        raise ValueError("“field” takes a path such as invoice.amount")
    path, label = (field.split("."), field) if field else ([], "answer")

    def judge(answer: Any, row: Mapping[str, Any]) -> str | None:
        value = answer
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is None:
            return None
        broken = next((said for check in checks if (said := check(value, row))), None)
        return f"{label}: {broken}" if broken else None

    return judge


def _check(name: str, bound: Any) -> Rule:
    if name in ("min", "max"):
        if not isinstance(bound, int | float) or isinstance(bound, bool):
            raise ValueError(f"“{name}” takes a number")
        return _range(name, bound)
    if name in ("min_length", "max_length"):
        if not isinstance(bound, int) or isinstance(bound, bool) or bound < 0:
            raise ValueError(f"“{name}” takes a whole number")
        return _length(name, bound)
    if name == "in":
        if not isinstance(bound, list) or not bound:
            raise ValueError("“in” takes a list of values")
        return _one_of(bound)
    if name == "equals":
        return lambda value, row: (
            None if _same(value, bound) else f"{_shown(value)} is not {_shown(bound)}"
        )
    if name == "pattern":
        return _pattern(bound)
    if not isinstance(bound, str):
        raise ValueError("“evidence_in” takes the name of a column")
    return _evidence(bound)


def _same(one: Any, other: Any) -> bool:
    """As in JSON: true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def _one_of(bound: list[Any]) -> Rule:
    allowed = ", ".join(_shown(item) for item in bound[:20]) + (", …" if len(bound) > 20 else "")

    def check(value: Any, row: Mapping[str, Any]) -> str | None:
        if any(_same(value, item) for item in bound):
            return None
        return f"{_shown(value)} is not {'one of ' if len(bound) > 1 else ''}{allowed}"

    return check


def _range(name: str, bound: float) -> Rule:
    def check(value: Any, row: Mapping[str, Any]) -> str | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return f"{_shown(value)} is not a number"
        if name == "min":
            return None if value >= bound else f"{value} is below {bound}"
        return None if value <= bound else f"{value} is above {bound}"

    return check


def _length(name: str, bound: int) -> Rule:
    def check(value: Any, row: Mapping[str, Any]) -> str | None:
        size = len(value) if isinstance(value, str | list) else len(str(value))
        if name == "min_length":
            return None if size >= bound else f"has {size} characters, at least {bound} are asked"
        return None if size <= bound else f"has {size} characters, at most {bound} are allowed"

    return check


def _pattern(bound: Any) -> Rule:
    if not isinstance(bound, str) or len(bound) > MAX_PATTERN_CHARS:
        raise ValueError(
            f"“pattern” takes a regular expression of up to {MAX_PATTERN_CHARS} characters"
        )
    try:
        matcher = jsonschema_rs.Draft202012Validator({"pattern": bound}, pattern_options=PATTERNS)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise ValueError(
            f"“pattern”: {bound} is not a regular expression, or uses look-around or "
            "back-references, which are not offered"
        ) from error

    def check(value: Any, row: Mapping[str, Any]) -> str | None:
        text = value if isinstance(value, str) else json.dumps(value)
        return None if matcher.is_valid(text) else f"{_shown(value)} does not match {bound}"

    return check


def _evidence(column: str) -> Rule:
    def squeeze(text: Any) -> str:
        return " ".join(str(text).lower().split())

    def check(value: Any, row: Mapping[str, Any]) -> str | None:
        source = squeeze(as_text(row.get(column)))  # as a prompt shows it
        for quote in value if isinstance(value, list) else [value]:
            if squeeze(quote) not in source:
                return f"{_shown(quote)} does not occur in the column “{column}”"
        return None

    return check
