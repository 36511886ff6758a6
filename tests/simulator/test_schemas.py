"""Answers follow the schema that was asked for, and look as if the prompt had been read."""

from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.simulator.answers import full_text
from jobs.simulator.patterns import UnknownPatternError, pattern_maker
from jobs.simulator.wire import Question
from tests.simulator.schemas import TICKET

LETTER = (
    "Dear shop, my parcel 4711 has been late for three weeks. Mail me at jane@example.org. "
    "This is urgent! I paid 49.90 on 2025-03-04 and I am very disappointed."
)


def answered(schema: Any, prompt: str = LETTER, *, seed: int = 0) -> Any:
    question = Question("sim-small", "", prompt, prompt, schema)
    return orjson.loads(full_text(question, seed))


TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "label": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["label", "children", "parent"],
            "additionalProperties": False,
        }
    },
}
INVOICE = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "pattern": "^[A-Z]{2}-\\d{4,6}$"},
        "issued": {"type": "string", "format": "date"},
        "sent_at": {"type": "string", "format": "date-time"},
        "contact": {"type": "string", "format": "email"},
        "reference": {"type": "string", "format": "uuid"},
        "site": {"type": "string", "format": "uri"},
        "total": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.05},
        "lines": {
            "type": "array",
            "minItems": 2,
            "maxItems": 4,
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string", "minLength": 40, "maxLength": 60}},
                "required": ["text"],
            },
        },
        "paid": {"type": ["boolean", "null"]},
        "tags": {
            "type": "array",
            "items": {"enum": ["late", "lost", "broken"]},
            "minItems": 3,
            "uniqueItems": True,
        },
    },
    "required": ["number", "issued", "contact", "total", "lines", "tags", "paid"],
}
MERGED = {
    "allOf": [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"properties": {"b": {"const": "fixed"}}, "required": ["b"]},
    ]
}
MAP = {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2}
TUPLE = {
    "type": "array",
    "prefixItems": [{"type": "string"}, {"type": "integer"}],
    "items": False,
    "minItems": 2,
}


@pytest.mark.parametrize("schema", [TICKET, TREE, INVOICE, MERGED, MAP, TUPLE])
@pytest.mark.parametrize("seed", range(10))
def test_it_follows_the_schemas_that_people_write(schema: dict[str, Any], seed: int) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    validator.validate(answered(schema, seed=seed))


def _bounded(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high)).map(
        lambda pair: (min(pair), max(pair))
    )


def _objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
    return st.dictionaries(names, parts, max_size=4).flatmap(
        lambda properties: st.builds(
            lambda required, closed: {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": not closed,
            },
            st.lists(st.sampled_from(sorted(properties)), unique=True)
            if properties
            else st.just([]),
            st.booleans(),
        )
    )


SCALARS = st.one_of(
    st.builds(
        lambda bounds: {"type": "string", "minLength": bounds[0], "maxLength": bounds[1]},
        _bounded(0, 60),
    ),
    st.builds(
        lambda bounds: {"type": "integer", "minimum": bounds[0], "maximum": bounds[1]},
        _bounded(-(10**6), 10**6),
    ),
    st.builds(
        lambda bounds, step: {
            "type": "number",
            "minimum": bounds[0],
            "maximum": bounds[1] + 1,
            **({"multipleOf": step} if step else {}),
        },
        _bounded(-1000, 1000),
        st.sampled_from([None, 0.5, 0.01, 1]),
    ),
    st.builds(
        lambda low, width: {
            "type": "number",
            "exclusiveMinimum": low,
            "exclusiveMaximum": low + width,
        },
        st.integers(-100, 100),
        st.sampled_from([0.005, 0.5, 3]),
    ),
    st.lists(st.text(min_size=1, max_size=8), min_size=1, unique=True).map(
        lambda options: {"type": "string", "enum": options}
    ),
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"const": 7},
            {"type": ["string", "null"]},
            {"type": "string", "pattern": "^\\w+(-\\d{2}){1,3}$"},
            {},
        ]
    ),
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda parts: st.one_of(
        _objects(parts),
        st.lists(parts, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        st.builds(
            lambda items, bounds: {
                "type": "array",
                "items": items,
                "minItems": bounds[0],
                "maxItems": bounds[1],
            },
            parts,
            _bounded(0, 4),
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, st.text(max_size=60), st.integers(0, 2**32))
def test_it_follows_any_schema_made_of_what_it_knows(schema: Any, prompt: str, seed: int) -> None:
    jsonschema_rs.validate(schema, answered(schema, prompt, seed=seed))


@pytest.mark.parametrize(
    ("prompt", "category"),
    [
        ("I want a refund for the last invoice.", "billing"),
        ("The app crashes with an error at login.", "technical"),
        ("My parcel was never delivered, the tracking is stuck.", "shipping"),
    ],
)
def test_it_picks_the_option_that_the_prompt_speaks_for(prompt: str, category: str) -> None:
    for seed in range(5):
        assert answered(TICKET, prompt, seed=seed)["category"] == category


def test_it_spreads_its_picks_where_the_prompt_says_nothing() -> None:
    picks = [answered(TICKET, f"Row {n}")["category"] for n in range(200)]
    assert set(picks) == {"billing", "technical", "shipping", "other"}
    assert picks.count("other") < 60


def test_it_takes_strings_and_numbers_from_the_prompt() -> None:
    value = answered(
        {
            "type": "object",
            "properties": {
                "summary": {"type": "string"},
                "evidence": {"type": "string"},
                "email": {"type": "string"},
                "amount": {"type": "number"},
            },
            "required": ["summary", "evidence", "email", "amount"],
        }
    )
    assert LETTER.startswith(value["summary"])
    assert value["evidence"] in LETTER
    assert value["email"] == "jane@example.org"
    assert value["amount"] == 49.9


def test_it_says_the_same_for_the_same_seed_model_and_prompt() -> None:
    assert answered(INVOICE, seed=3) == answered(INVOICE, seed=3)
    assert len({orjson.dumps(answered(INVOICE, seed=seed)) for seed in range(20)}) > 15
    assert answered(INVOICE, "one text") != answered(INVOICE, "another text")


@pytest.mark.parametrize("pattern", ["(?=a)b", "(a)\\1", "a{2,1}", "[", "(a", "*", "\\p{L}"])
def test_it_says_which_patterns_it_does_not_know(pattern: str) -> None:
    with pytest.raises(UnknownPatternError):
        pattern_maker(pattern)
