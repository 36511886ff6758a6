"""The output schema: checked when it is written, compiled, and held against each answer."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import orjson

from jobs.errors import FieldError
from jobs.failures import FailureClass
from jobs.prompts.rules import PATTERNS, Rule, compile_rules
from jobs.prompts.schema_cost import check_references

MAX_SCHEMA_BYTES = 64_000
MAX_SCHEMA_DEPTH = 20
_SHOWN_ERRORS = 5
_LONG_NUMBER = re.compile(r"\d{19}")

FORM_TYPES = ("string", "integer", "number", "boolean", "array of strings")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`output` is what is stored for the record: compact JSON where a schema is set, else the text."""

    failure: FailureClass | None
    message: str
    output: str


@dataclass(frozen=True, slots=True)
class FormField:
    """One line of the plain schema form."""

    name: str
    type: str
    enum: tuple[str, ...] = ()
    required: bool = True
    description: str = ""


class OutputCheck:
    """A schema and rules, compiled. Threads may share one."""

    def __init__(
        self, validator: "jsonschema_rs.Draft202012Validator | None", rules: Sequence[Rule]
    ) -> None:
        self._validator = validator
        self._rules = rules

    @classmethod
    def compile(cls, schema: Mapping[str, Any] | None, rules: Sequence[Any] = ()) -> "OutputCheck":
        """Raises ValueError, in words, where `check_schema` or `check_rules` would complain."""
        validator = None
        if schema is not None:
            problems = check_schema(schema)
            if problems:
                raise ValueError(problems[0].msg)
            validator = _validator(schema)
        return cls(validator, compile_rules(rules))

    def check(self, text: str, values: Mapping[str, Any]) -> Verdict:
        """Judge an answer to the row `values`. Never raises."""
        if not text.strip():
            return Verdict(FailureClass.EMPTY_OUTPUT, "The answer is empty", "")
        if self._validator is None:
            return self._rule_verdict(text, text, values)
        try:
            inside = _unfenced(text)
            value = orjson.loads(inside)
        except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
            return Verdict(FailureClass.INVALID_JSON, f"The answer is not JSON: {error}", "")
        try:
            output = orjson.dumps(value).decode()
        except TypeError:  # what can be read can be nested deeper than what can be written
            return Verdict(FailureClass.SCHEMA_VIOLATION, "The answer nests too deep", "")
        if not self._validator.is_valid(value):
            return Verdict(FailureClass.SCHEMA_VIOLATION, self._complaint(value), "")
        if _LONG_NUMBER.search(inside) and (number := _inexact(inside)):
            told = f"The number {number} is too long to be kept exactly; ask for a text instead"
            return Verdict(FailureClass.SCHEMA_VIOLATION, told, "")
        return self._rule_verdict(value, output, values)

    def _rule_verdict(self, value: Any, output: str, values: Mapping[str, Any]) -> Verdict:
        broken = [message for rule in self._rules if (message := rule(value, values))]
        if broken:
            return Verdict(FailureClass.RULE_VIOLATION, "; ".join(broken), "")
        return Verdict(None, "", output)

    def _complaint(self, value: Any) -> str:
        assert self._validator is not None
        errors = []
        for error in self._validator.iter_errors(value):
            where = ".".join(str(step) for step in error.instance_path) or "answer"
            errors.append(f"{where}: {error.message[:300]}")
            if len(errors) == _SHOWN_ERRORS:
                break
        return "; ".join(errors)


def _unfenced(text: str) -> str:
    """The text inside a code fence, when the whole answer is exactly one fenced block.

    Many models wrap the JSON they were asked for; nothing but the fence is forgiven.
    """
    stripped = text.strip()
    if not (stripped.startswith("```") and stripped.endswith("```") and len(stripped) > 6):
        return stripped
    first, _, rest = stripped[3:-3].partition("\n")
    return rest if first.strip().lower() in ("", "json") else stripped


def _inexact(text: str) -> str:
    """The first whole number of a JSON text that does not fit into 64 bits; blank if there is none."""
    found: list[str] = []

    def keep(digits: str) -> int:
        if len(digits) > 18 and not -(2**63) <= int(digits[:25]) < 2**64:
            found.append(digits[:40])
        return 0

    json.loads(text, parse_int=keep)
    return found[0] if found else ""


def _validator(schema: Mapping[str, Any]) -> "jsonschema_rs.Draft202012Validator":
    return jsonschema_rs.Draft202012Validator(
        dict(schema), pattern_options=PATTERNS, retriever=_refuse_remote
    )


def _refuse_remote(uri: str) -> Any:
    raise ValueError(f"“$ref” to {uri}: schemas may only refer to themselves")


def check_schema(schema: Any) -> list[FieldError]:
    """What is wrong with a schema; empty when it can be used."""

    def fault(message: str) -> list[FieldError]:
        return [FieldError(("output_schema",), message)]

    if not isinstance(schema, Mapping):
        return fault("A schema is a JSON object")
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), Mapping):
        return fault('The schema must describe an object: {"type": "object", "properties": {…}}')
    try:
        size = len(orjson.dumps(schema))
        json.dumps(schema, allow_nan=False)  # which the other writes as null
    except (TypeError, ValueError) as error:
        return fault(f"Not JSON: {error}")
    if size > MAX_SCHEMA_BYTES:
        return fault(f"The schema has {size:,} bytes; at most {MAX_SCHEMA_BYTES:,} are allowed")
    if _depth(schema) > MAX_SCHEMA_DEPTH:
        return fault(f"The schema nests deeper than {MAX_SCHEMA_DEPTH}")
    if refused := check_references(schema):
        return fault(refused)
    try:
        jsonschema_rs.meta.validate(dict(schema))
        _validator(schema)
    except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        first = str(getattr(error, "message", error)).split("\n", 1)[0]
        path = ".".join(str(step) for step in getattr(error, "instance_path", ()))
        return fault(f"Not a valid JSON Schema: {path + ': ' if path else ''}{first}")
    return []


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= MAX_SCHEMA_DEPTH * 3 + 3:
        deepest += 1
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below
    # A schema alternates between keywords and names: three levels of JSON make one of schema.
    return deepest // 3


def fields_to_schema(fields: Sequence[FormField]) -> dict[str, Any] | None:
    """The schema that the plain form describes; None for an empty form. Raises ValueError, in words."""
    if not fields:
        return None
    properties = {}
    for field in fields:
        enum = [_typed(field, item) for item in field.enum]
        schema: dict[str, Any] = {"type": field.type}
        if field.type == "array of strings":
            schema = {"type": "array", "items": {"type": "string"}}
        if enum:
            schema.get("items", schema)["enum"] = enum
        if field.description:
            schema["description"] = field.description
        properties[field.name] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }


def _typed(field: FormField, item: str) -> str | int | float:
    """An allowed value as the field's type has it: "1" would match no integer."""
    if field.type in ("string", "array of strings"):
        return item
    if field.type == "boolean":
        raise ValueError(f"“{field.name}” is true or false: it takes no list of values")
    try:
        value = orjson.loads(item)
    except orjson.JSONDecodeError:
        value = None
    kinds = (int,) if field.type == "integer" else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ValueError(f"“{field.name}”: “{item}” is not of the type {field.type}")
    return value


def schema_to_fields(schema: Mapping[str, Any] | None) -> list[FormField] | None:
    """The plain form of a schema; None when it says more than the form can hold."""
    if schema is None:
        return []
    fields = []
    for name, described in schema.get("properties", {}).items():
        if not isinstance(described, Mapping):
            return None
        kind, enum = described.get("type"), described.get("enum", [])
        if kind == "array" and isinstance(described.get("items"), Mapping):
            kind, enum = "array of strings", described["items"].get("enum", [])
        if kind not in FORM_TYPES or not all(isinstance(item, str | int | float) for item in enum):
            return None
        fields.append(
            FormField(
                name=name,
                type=kind,
                enum=tuple(item if isinstance(item, str) else str(item) for item in enum),
                required=name in schema.get("required", []),
                description=described.get("description", ""),
            )
        )
    try:
        return fields if fields_to_schema(fields) == dict(schema) else None
    except ValueError:
        return None
