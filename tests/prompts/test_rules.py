"""Rules beyond the schema: range, choice, pattern, length, evidence, conditions."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.prompts.rules import MAX_RULES, check_rules, compile_rules
from jobs.written import Written


def broken(rule: dict[str, Any], answer: Any, row: dict[str, Any] | None = None) -> str | None:
    assert check_rules([rule]) == []
    return compile_rules([rule])[0](answer, row or {})


BODY = {"body": "Please  refund\nmy Order 5, it broke."}


@pytest.mark.parametrize(
    ("rule", "good", "bad", "words"),
    [
        ({"field": "n", "min": 0, "max": 5}, [0, 5, 2.5, None], -1, "n: -1 is below 0"),
        ({"field": "n", "max": 5}, [], 5.1, "n: 5.1 is above 5"),
        ({"field": "n", "min": 0}, [], "7", 'n: "7" is not a number'),
        ({"field": "n", "min": 0}, [], True, "n: true is not a number"),
        ({"field": "n", "in": ["a", 1]}, ["a", 1, None], "b", 'n: "b" is not one of "a", 1'),
        ({"field": "n", "in": [1]}, [1.0], True, "n: true is not 1"),
        ({"field": "n", "equals": True}, [True], 1, "n: 1 is not true"),
        ({"field": "n", "pattern": "^[A-Z]{2}"}, ["DE12"], "de", 'n: "de" does not match ^[A-Z]{2}'),
        ({"field": "n", "pattern": r"\d"}, [5, "a5"], "a", r"does not match \d"),
        ({"field": "n", "max_length": 3}, ["abc", [1]], "äöüß", "has 4 characters, at most 3"),
        ({"field": "n", "min_length": 2}, ["ab"], [1], "has 1 characters, at least 2"),
        ({"field": "n", "evidence_in": "body"}, ["REFUND my order 5", ["it", "broke."]], "refunds",
         'n: "refunds" does not occur in the column “body”'),
        ({"field": "n", "evidence_in": "body"}, [], ["it", "fell"], '"fell" does not occur'),
        ({"field": "n", "evidence_in": "gone"}, [], "it", "does not occur in the column “gone”"),
    ],
)  # fmt: skip
def test_it_judges_a_field(rule: dict[str, Any], good: list[Any], bad: Any, words: str) -> None:
    for value in good:
        assert broken(rule, {"n": value}, BODY) is None
    told = broken(rule, {"n": bad}, BODY)
    assert told is not None
    assert words in told


def test_evidence_is_looked_for_in_what_the_prompt_shows() -> None:
    rule, row = {"field": "n", "evidence_in": "body"}, {"body": [Written("2.50"), None, True]}
    assert broken(rule, {"n": ["2.50", "null", "true"]}, row) is None
    assert broken(rule, {"n": "none"}, {"body": None}) is not None


def test_it_reaches_into_the_answer_and_passes_what_is_not_there() -> None:
    rule = {"field": "a.b", "min": 1}
    assert broken(rule, {"a": {"b": 0}}) == "a.b: 0 is below 1"
    for answer in ({}, {"a": None}, {"a": {}}, {"a": "text"}, "text", [1], None):
        assert broken(rule, answer) is None
    assert broken({"max_length": 3}, "four") is not None


def test_a_condition_asks_for_more_only_where_it_holds() -> None:
    rule = {"if": {"field": "refund", "equals": True}, "then": {"field": "amount", "min": 0.01}}
    assert broken(rule, {"refund": True, "amount": 0}) == "amount: 0 is below 0.01"
    assert broken(rule, {"refund": False, "amount": 0}) is None
    assert broken(rule, {"refund": True, "amount": 5}) is None


@pytest.mark.parametrize(
    "pattern", ["(a|aa)+$", "(a+)+$", "(.*)*x", "(.*)(.*)(.*)(.*)(.*)x", "(a?){99}a{99}$"]
)
def test_no_pattern_takes_longer_than_its_text(pattern: str) -> None:
    start = time.process_time()
    assert broken({"pattern": pattern}, "a" * 50_000 + "b") is not None
    assert time.process_time() - start < 5


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_a_rule_judges_any_value_without_falling_over(value: Any) -> None:
    rules = [
        {"min": 0}, {"max_length": 3}, {"in": ["a"]}, {"equals": 1}, {"pattern": "a"},
        {"evidence_in": "a"}, {"field": "a.b", "max": 1},
    ]  # fmt: skip
    for rule in compile_rules(rules):
        told = rule(value, {"a": value})
        assert told is None or len(told) < 500


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("x", "Rules are a list"),
        ([1], "A rule is a JSON object"),
        ([{}], "A rule needs one of"),
        ([{"field": "a"}], "A rule needs one of equals, evidence_in, in, max"),
        ([{"field": 5, "min": 1}], "“field” takes a path"),
        ([{"min": "1"}], "“min” takes a number"),
        ([{"max": True}], "“max” takes a number"),
        ([{"max_length": -1}], "whole number"),
        ([{"in": []}], "a list of values"),
        ([{"in": "abc"}], "a list of values"),
        ([{"pattern": "("}], "is not a regular expression"),
        ([{"pattern": "(?=a)b"}], "look-around"),
        ([{"pattern": "(a{1000}){1000}"}], "is not a regular expression"),
        ([{"pattern": "a" * 201}], "up to 200 characters"),
        ([{"evidence_in": 1}], "the name of a column"),
        ([{"mni": 1}], "Unknown in a rule: mni"),
        ([{"if": {"min": 1}}], "exactly"),
        ([{"min": 1}] * (MAX_RULES + 1), "At most 50 rules"),
        ([{"in": ["x" * 70_000]}], "at most 64,000"),
        ([{"min": 2**80}], "Not JSON"),
    ],
)
def test_it_says_what_is_wrong_with_a_rule(rules: Any, words: str) -> None:
    problems = check_rules(rules)
    assert words in problems[0].msg
    assert problems[0].loc[0] == "rules"


def test_it_finds_every_wrong_rule_and_refuses_endless_conditions() -> None:
    assert [problem.loc for problem in check_rules([{"min": 1}, {}, {"max": "x"}])] == [
        ("rules", 1),
        ("rules", 2),
    ]
    rule: dict[str, Any] = {"min": 1}
    for _ in range(200):
        rule = {"if": rule, "then": {"min": 1}}
    assert "nest at most" in check_rules([rule])[0].msg
