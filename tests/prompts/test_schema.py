"""Output schemas: the plain form, what is refused, and what a hostile one cannot do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.prompts.schema import (
    FORM_TYPES,
    FormField,
    OutputCheck,
    check_schema,
    fields_to_schema,
    schema_to_fields,
)

PLAIN: dict[str, Any] = {"type": "object", "properties": {}}


def with_property(described: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": described}, **more}


def test_the_form_makes_a_schema() -> None:
    fields = [
        FormField("category", "string", ("a", "b"), description="Which one"),
        FormField("score", "integer", ("1", "2"), required=False),
        FormField("share", "number", ("0.5", "1")),
        FormField("tags", "array of strings", ("x",)),
        FormField("urgent", "boolean"),
    ]
    assert fields_to_schema(fields) == {
        "type": "object",
        "properties": {
            "category": {"type": "string", "enum": ["a", "b"], "description": "Which one"},
            "score": {"type": "integer", "enum": [1, 2]},
            "share": {"type": "number", "enum": [0.5, 1]},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["x"]}},
            "urgent": {"type": "boolean"},
        },
        "required": ["category", "share", "tags", "urgent"],
        "additionalProperties": False,
    }
    assert schema_to_fields(fields_to_schema(fields)) == fields
    check = OutputCheck.compile(fields_to_schema(fields))
    answer = '{"category":"a","score":2,"share":0.5,"tags":[],"urgent":false}'
    assert check.check(answer, {}).failure is None
    assert fields_to_schema([]) is None
    assert schema_to_fields(None) == []


@pytest.mark.parametrize(
    ("kind", "item"), [("integer", "1.5"), ("integer", "a"), ("number", "true"), ("boolean", "yes")]
)
def test_the_form_refuses_values_that_no_answer_could_have(kind: str, item: str) -> None:
    with pytest.raises(ValueError, match="“x”"):
        fields_to_schema([FormField("x", kind, (item,))])


FIELDS = st.lists(
    st.builds(
        FormField,
        name=st.text(min_size=1, max_size=20),
        type=st.sampled_from(FORM_TYPES),
        required=st.booleans(),
        description=st.text(max_size=20),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda field: field.name,
)


@given(FIELDS)
def test_the_form_and_its_schema_are_the_same_thing(fields: list[FormField]) -> None:
    schema = fields_to_schema(fields)
    assert schema is not None
    assert check_schema(schema) == []
    assert schema_to_fields(schema) == fields


@pytest.mark.parametrize(
    "schema",
    [
        PLAIN,
        with_property({"type": ["string", "null"]}, required=["x"], additionalProperties=False),
        with_property({"$ref": "#/$defs/a"}, **{"$defs": {"a": {"type": "string"}}}),
        with_property({"type": "string", "maxLength": 3}, required=[], additionalProperties=False),
        with_property(True, required=[], additionalProperties=False),
    ],
)
def test_the_form_leaves_alone_what_it_cannot_say(schema: dict[str, Any]) -> None:
    assert check_schema(schema) == []
    assert schema_to_fields(schema) is None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "A schema is a JSON object"),
        ({"type": "string"}, "must describe an object"),
        ({"type": "object", "properties": []}, "must describe an object"),
        (with_property({"type": "strin"}), "properties.x.type"),
        (with_property(5), "properties.x"),
        (with_property({"pattern": "("}), "properties.x.pattern"),
        (with_property({"pattern": "(?=a)"}), "properties.x.pattern"),
        (with_property({"pattern": "(a{1000}){1000}"}), "properties.x.pattern"),
        (with_property({}, required="x"), "required"),
        (with_property({}, minProperties=float("inf")), "Not JSON"),
        (with_property({"const": float("nan")}), "Not JSON"),
        (with_property({"const": {1, 2}}), "Not JSON"),
        (with_property({"$ref": "https://evil.example/x"}), "schemas may only refer to themselves"),
        (with_property({"$ref": "file:///etc/passwd"}), "schemas may only refer to themselves"),
        (with_property({"allOf": [{"$ref": "other.json"}]}), "may only refer to themselves"),
        (with_property({"$ref": "#/$defs/none"}), "does not exist"),
        (with_property({"$ref": 5}), "may only refer to themselves"),
        (with_property({"$id": "https://a.example/", "$ref": "#"}), "“$id” is not offered"),
        (with_property({"$dynamicRef": "#m"}), "“$dynamicRef” is not offered"),
        ({**PLAIN, "$schema": "https://evil.example/draft"}, "Not a valid JSON Schema"),
        (with_property({"description": "x" * 70_000}), "at most 64,000"),
    ],
)
def test_it_says_what_is_wrong_with_a_schema(schema: Any, words: str) -> None:
    problems = check_schema(schema)
    assert [problem.loc for problem in problems] == [("output_schema",)]
    assert words in problems[0].msg
    assert len(problems[0].msg) < 1_000
    with pytest.raises(ValueError):
        OutputCheck.compile(schema)


def doubling(levels: int, word: str) -> dict[str, Any]:
    twice = {f"d{n}": {word: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    defs: dict[str, Any] = {**twice, f"d{levels}": {"type": "string"}}
    return with_property({"$ref": "#/$defs/d0"}, **{"$defs": defs})


def test_references_that_multiply_are_refused() -> None:
    for word in ("allOf", "anyOf", "oneOf"):
        assert check_schema(doubling(4, word)) == []
        assert (
            "definitions that refer to one another multiply"
            in check_schema(doubling(40, word))[0].msg
        )
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(1_000)}
    defs = {**chain, "d1000": {}}
    long = with_property({"$ref": "#/$defs/d0"}, **{"$defs": defs})
    assert OutputCheck.compile(long).check('{"x":1}', {}).failure is None
    deep: Any = {"type": "string"}
    for _ in range(60):
        deep = with_property(deep)
    assert "nests deeper" in check_schema(deep)[0].msg


def test_references_in_a_circle_end() -> None:
    tree = with_property({"type": "array", "items": {"$ref": "#"}})
    itself = {**PLAIN, "allOf": [{"$ref": "#"}]}
    two = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
    for schema in (tree, itself, with_property({"$ref": "#/$defs/a"}, **{"$defs": two})):
        assert check_schema(schema) == []
        check = OutputCheck.compile(schema)
        assert check.check('{"x":[{"x":[{"x":[]}]}]}', {}).failure is None
    assert OutputCheck.compile(tree).check('{"x":[{"x":5}]}', {}).failure is not None
