"""The template editor's form: texts, output fields (or raw JSON), rules and default parameters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import QueryDict

from jobs.errors import FieldError
from jobs.models import TemplateVersion
from jobs.prompts.schema import FORM_TYPES, FormField, fields_to_schema, schema_to_fields
from jobs.web.parameter_fields import ParameterFields, parameter_initial, parameters_of
from jobs.web.textareas import typed

BLANK_FIELDS = 1  # empty lines offered below the filled ones
MODES = ("none", "fields", "json")


@dataclass(slots=True)
class EditorForm:
    """What stands in the editor, kept as typed whatever is wrong with it."""

    name: str
    system: str
    user: str
    mode: str  # how the output is described: none | fields | json
    fields: list[FormField]
    schema_text: str
    rules_text: str
    parameters: ParameterFields
    errors: dict[str, list[str]]

    @classmethod
    def from_version(cls, version: TemplateVersion | None) -> "EditorForm":
        schema = version.output_schema if version else None
        fields = _to_fields(schema)
        return cls(
            name=version.template.name if version else "",
            system=version.system if version else "",
            user=version.user if version else "",
            mode="none" if schema is None else "fields" if fields is not None else "json",
            fields=fields or [],
            schema_text=_pretty(schema) if schema else "",
            rules_text=_pretty(version.rules) if version and version.rules else "",
            parameters=ParameterFields(
                initial=parameter_initial(version.defaults if version else {})
            ),
            errors={},
        )

    @classmethod
    def from_post(cls, post: QueryDict, version: TemplateVersion | None) -> "EditorForm":
        """`version` is what the editor was filled with."""
        mode = post.get("mode", "none")
        before = cls.from_version(version)
        return cls(
            name=post.get("name", ""),
            system=typed(post.get("system", ""), before.system),
            user=typed(post.get("user", ""), before.user),
            mode=mode if mode in MODES else "none",
            fields=_posted_fields(post),
            schema_text=post.get("schema", ""),
            rules_text=post.get("rules", ""),
            parameters=ParameterFields(post),
            errors={},
        )

    # --- what it says -----------------------------------------------------------------------
    def schema(self) -> dict[str, Any] | None:
        """The output schema; a fault of it goes to `errors`."""
        if self.mode == "fields":
            names = [field.name for field in self.fields]
            if not names:
                self.fault("schema", "Name a field, or choose “Plain text”")
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                self.fault("schema", f"The field “{min(twice)}” stands here twice")
            try:
                return fields_to_schema(self.fields)
            except ValueError as error:
                self.fault("schema", str(error))
                return None
        if self.mode == "json":
            if not self.schema_text.strip():
                self.fault("schema", "Write a JSON Schema, or choose “Plain text”")
                return None
            value = self._json("schema", self.schema_text)
            if value is not None and not isinstance(value, dict):
                self.fault("schema", "A schema is a JSON object")
                return None
            return value
        return None

    def rules(self) -> list[Any]:
        if not self.rules_text.strip():
            return []
        value = self._json("rules", self.rules_text)
        if value is not None and not isinstance(value, list):
            self.fault("rules", "Rules are a list: [ {…}, {…} ]")
            return []
        return value or []

    def defaults(self) -> dict[str, Any]:
        if not self.parameters.is_valid():
            for name, messages in self.parameters.errors.items():
                self.fault(name, " ".join(str(message) for message in messages))
        return parameters_of(self.parameters.cleaned_data)

    def _json(self, where: str, text: str) -> Any:
        try:
            # The strict parser: no NaN, no nesting that ends the process.
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            self.fault(where, f"This is not JSON: {error}")
            return None

    # --- the two ways of writing a schema ----------------------------------------------------
    def to_json(self) -> None:
        """Go on in JSON, from what the fields say; as it was where they say nothing sound."""
        self.mode = "fields"
        schema = self.schema()
        if schema is not None and not self.errors:
            self.mode, self.schema_text = "json", _pretty(schema)

    def to_fields(self) -> None:
        """Go on with fields, from what the JSON says, where they can say it."""
        self.mode = "json"
        schema = self.schema()
        if schema is None:
            return
        fields = _to_fields(schema)
        if fields is None:
            self.fault("schema", "This schema says more than fields can: it stays as JSON")
        else:
            self.mode, self.fields = "fields", fields

    # --- faults -----------------------------------------------------------------------------
    def fault(self, where: str, message: str) -> None:
        if message not in self.errors.setdefault(where, []):
            self.errors[where].append(message)

    def take(self, errors: list[FieldError]) -> None:
        """Faults found by a service, beside the fields they belong to."""
        for error in errors:
            where = {"output_schema": "schema"}.get(str(error.loc[0]), str(error.loc[0]))
            rule = f"Rule {int(error.loc[1]) + 1}: " if where == "rules" and error.loc[1:] else ""
            self.fault(where, rule + error.msg)

    def error(self) -> Mapping[str, str]:
        """One text for each place, for the template."""
        return {where: " ".join(messages) for where, messages in self.errors.items()}

    def lines(self) -> list[FormField]:
        """The filled fields and some blank ones."""
        blank = FormField(name="", type=FORM_TYPES[0])
        return [*self.fields, *[blank] * BLANK_FIELDS]


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _to_fields(schema: Mapping[str, Any] | None) -> list[FormField] | None:
    """None also where the page's lines would bring a text back otherwise than it is."""
    fields = schema_to_fields(schema)
    if fields is None or all(map(_fits_a_line, fields)):
        return fields
    return None


def _fits_a_line(field: FormField) -> bool:
    texts = (field.name, field.description, *field.enum)
    if any(text != text.strip() or "\n" in text or "\r" in text for text in texts):
        return False
    return all(item and "," not in item for item in field.enum)


def _posted_fields(post: QueryDict) -> list[FormField]:
    columns = [
        post.getlist(name)
        for name in (
            "field_name",
            "field_type",
            "field_enum",
            "field_required",
            "field_description",
        )
    ]
    found = []
    for name, kind, enum, required, description in zip(*columns, strict=False):
        if not name.strip():
            continue
        found.append(
            FormField(
                name=name.strip(),
                type=kind if kind in FORM_TYPES else FORM_TYPES[0],
                enum=tuple(item.strip() for item in enum.split(",") if item.strip()),
                required=required != "no",
                description=description.strip(),
            )
        )
    return found
