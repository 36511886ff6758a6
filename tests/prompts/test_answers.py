"""Answers held against schema and rules: what is stored, what is refused, and why."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.failures import FailureClass
from jobs.prompts.schema import OutputCheck

OPEN: dict[str, Any] = {"type": "object", "properties": {}}
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {"category": {"enum": ["a", "b"]}, "n": {"type": "integer"}},
    "required": ["category"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ('{"x": 1}', '{"x":1}'),
        ('\n {"x":\t1}\r\n', '{"x":1}'),
        ('```json\n{"x": 1}\n```', '{"x":1}'),
        ('```\n{"x": 1}\n```', '{"x":1}'),
        ('```JSON\n{"x": "```"}\n```', '{"x":"```"}'),
        ('{"x": 1, "x": 2}', '{"x":2}'),  # as every JSON reader takes it
        ('{"x": 18446744073709551615}', '{"x":18446744073709551615}'),
        ('{"x": -9223372036854775808}', '{"x":-9223372036854775808}'),
        ('{"x": "12345678901234567890123"}', '{"x":"12345678901234567890123"}'),
        ('{"x": 0.12345678901234567890}', '{"x":0.12345678901234568}'),
        ('{"x": "é\\u00e9\\u0000"}', '{"x":"éé\\u0000"}'),
    ],
)
def test_it_stores_compact_json(text: str, stored: str) -> None:
    verdict = OutputCheck.compile(OPEN).check(text, {})
    assert (verdict.failure, verdict.message, verdict.output) == (None, "", stored)


@pytest.mark.parametrize(
    ("text", "failure", "words"),
    [
        ("", FailureClass.EMPTY_OUTPUT, "empty"),
        (" \n\t", FailureClass.EMPTY_OUTPUT, "empty"),
        ("Sure! Here it is.", FailureClass.INVALID_JSON, "not JSON"),
        ('{"category": "a"} Hope that helps!', FailureClass.INVALID_JSON, "line 1 column 19"),
        ('```json\n{"category": "a"}\n``` Done.', FailureClass.INVALID_JSON, "not JSON"),
        ('```python\n{"category": "a"}\n```', FailureClass.INVALID_JSON, "not JSON"),
        ("``````", FailureClass.INVALID_JSON, "not JSON"),
        ('{"category": "a"', FailureClass.INVALID_JSON, "not JSON"),
        ('{"n": NaN}', FailureClass.INVALID_JSON, "not JSON"),
        ('{"n": -Infinity}', FailureClass.INVALID_JSON, "not JSON"),
        ('{"n": 1e999}', FailureClass.INVALID_JSON, "infinity"),
        ('{"n": 01}', FailureClass.INVALID_JSON, "not JSON"),
        ("{'category': 'a'}", FailureClass.INVALID_JSON, "not JSON"),
        ('{"category": "a",}', FailureClass.INVALID_JSON, "not JSON"),
        ('{"category": "\\ud800"}', FailureClass.INVALID_JSON, "surrogate"),
        ('{"category": "\ud800"}', FailureClass.INVALID_JSON, "not JSON"),
        ("[" * 100_000 + "]" * 100_000, FailureClass.INVALID_JSON, "depth"),
        ('{"x":' * 900 + "1" + "}" * 900, FailureClass.SCHEMA_VIOLATION, "nests too deep"),
        ("[]", FailureClass.SCHEMA_VIOLATION, 'answer: [] is not of type "object"'),
        ("null", FailureClass.SCHEMA_VIOLATION, "not of type"),
        ('{"category": "c"}', FailureClass.SCHEMA_VIOLATION, "category: "),
        ("{}", FailureClass.SCHEMA_VIOLATION, '"category" is a required property'),
        ('{"category": "a", "more": 1}', FailureClass.SCHEMA_VIOLATION, "more"),
        ('{"category": "a", "n": 1.5}', FailureClass.SCHEMA_VIOLATION, "n: 1.5"),
        ('{"category": "a", "n": 1' + "0" * 30 + "}", FailureClass.SCHEMA_VIOLATION, "too long"),
        ('{"category": "' + "x" * 1_000_000 + '"}', FailureClass.SCHEMA_VIOLATION, "category"),
    ],
)
def test_it_says_why_an_answer_is_refused(text: str, failure: FailureClass, words: str) -> None:
    verdict = OutputCheck.compile(STRICT).check(text, {})
    assert (verdict.failure, verdict.output) == (failure, "")
    assert words in verdict.message
    assert len(verdict.message) < 2_000


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "9" * 300])
def test_a_number_that_cannot_be_kept_is_not_rounded(number: str) -> None:
    verdict = OutputCheck.compile(OPEN).check(f'{{"id": [{number}]}}', {})
    assert verdict.failure is FailureClass.SCHEMA_VIOLATION
    assert f"The number {number[:40]} is too long to be kept exactly" in verdict.message


def test_what_can_be_read_but_not_written_is_refused() -> None:
    text = '{"x":' + "[" * 300 + "]" * 300 + "}"
    verdict = OutputCheck.compile(OPEN).check(text, {})
    assert (verdict.failure, verdict.message) == (
        FailureClass.SCHEMA_VIOLATION,
        "The answer nests too deep",
    )


def test_plain_text_is_kept_as_it_comes() -> None:
    check = OutputCheck.compile(None)
    for text in ("  Hello ```\n", '{"x": 1e5}', "007"):
        assert check.check(text, {}).output == text
    assert check.check(" ", {}).failure is FailureClass.EMPTY_OUTPUT


def test_every_broken_rule_is_told() -> None:
    rules = [
        {"field": "n", "min": 3},
        {"field": "q", "evidence_in": "body"},
        {"field": "n", "max": 9},
    ]
    check = OutputCheck.compile(OPEN, rules)
    verdict = check.check('{"n": 1, "q": "never said"}', {"body": "All is well."})
    assert verdict.failure is FailureClass.RULE_VIOLATION
    assert verdict.message == (
        'n: 1 is below 3; q: "never said" does not occur in the column “body”'
    )
    assert check.check('{"n": 4, "q": "ALL  is"}', {"body": "All is well."}).failure is None
    plain = OutputCheck.compile(None, [{"max_length": 5}])
    assert plain.check("too long", {}).failure is FailureClass.RULE_VIOLATION


@given(st.text())
def test_it_never_falls_over_an_answer(text: str) -> None:
    rules = [{"field": "a", "pattern": "x"}, {"evidence_in": "a"}]
    for check in (OutputCheck.compile(OPEN, rules), OutputCheck.compile(STRICT, rules)):
        for answer in (text, f'{{"a": {text}}}', f"```json\n{json.dumps({'a': text})}\n```"):
            verdict = check.check(answer, {"a": text})
            assert (verdict.failure is None) == bool(verdict.output)
