"""A JSON Schema as a function from a prompt to a value that follows it.

Known: type (also a list of types), enum, const, properties, required, additionalProperties,
items, prefixItems, minItems, maxItems, uniqueItems, minLength, maxLength, pattern (simple ones),
format, the bounds of numbers, multipleOf, local $ref, anyOf, oneOf, allOf. Not known, and passed
over: not, if, dependent…, contains, patternProperties, remote references.
"""

from collections.abc import Callable
from typing import Any

from jobs.simulator.draws import digest
from jobs.simulator.values import boolean_maker, number_maker, string_maker
from jobs.simulator.words import VAGUE, Source, words_of

type Json = Any
type Maker = Callable[[Source, int], Json]  # from a prompt and the depth reached to a value

DEEP = 6  # from here on, what may be left out is left out
TOO_DEEP = 40  # a schema that demands endless nesting gets null


def compile_schema(schema: Json) -> Maker:
    """Work a schema out once. What is no schema at all yields strings."""
    return _Compiler(schema).make(schema, "answer")


class _Compiler:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._references: dict[str, Maker] = {}

    def make(self, schema: Json, name: str) -> Maker:
        """The maker of a schema that stands at the property `name`."""
        if not isinstance(schema, dict):
            return string_maker({}, name)
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]), name)
        if "const" in schema:
            constant = schema["const"]
            return lambda source, depth: constant
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return _enum(schema["enum"])
        if isinstance(schema.get("allOf"), list):
            return self.make(self._merged(schema), name)
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and schema[word]:
                base = {key: value for key, value in schema.items() if key != word}
                options = [_overlaid(base, option) for option in schema[word]]
                return self._choice(options, name)
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            return self._choice([{**schema, "type": one} for one in kind], name)
        return self._typed(schema, kind, name)

    def _typed(self, schema: dict[str, Json], kind: Json, name: str) -> Maker:
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema)
        if kind == "array" or (kind is None and "items" in schema):
            return self._array(schema, name)
        if kind in ("integer", "number"):
            return number_maker(schema, name, whole=kind == "integer")
        if kind is None and ("minimum" in schema or "maximum" in schema):
            return number_maker(schema, name, whole=False)
        if kind == "boolean":
            return boolean_maker(name)
        if kind == "null":
            return lambda source, depth: None
        return string_maker(schema, name)

    def _reference(self, reference: str, name: str) -> Maker:
        if reference not in self._references:
            target = self._root
            for part in reference.removeprefix("#").split("/")[1:]:
                part = part.replace("~1", "/").replace("~0", "~")
                target = target.get(part) if isinstance(target, dict) else None
            made: list[Maker] = []
            # Known before it is made, so that a schema may refer to itself.
            self._references[reference] = lambda source, depth: (
                made[0](source, depth + 1) if depth < TOO_DEEP else None
            )
            made.append(self.make(target, name))
        return self._references[reference]

    def _resolved(self, schema: Json) -> Json:
        """The schema behind a reference; a chain of references is followed ten times."""
        for _ in range(10):
            if not isinstance(schema, dict) or not str(schema.get("$ref", "")).startswith("#/"):
                break
            target = self._root
            for part in str(schema["$ref"]).split("/")[1:]:
                target = target.get(part) if isinstance(target, dict) else None
            schema = target
        return schema

    def _merged(self, schema: dict[str, Json]) -> dict[str, Json]:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            part = self._resolved(part)
            if isinstance(part, dict):
                merged = _overlaid(merged, part)
        return merged

    def _choice(self, options: list[Json], name: str) -> Maker:
        makers = [self.make(option, name) for option in options]
        nullable = [isinstance(option, dict) and option.get("type") == "null" for option in options]
        if len(makers) == 1:
            return makers[0]
        weights = [1 if is_null else 7 for is_null in nullable]
        # Scalars end a recursion; null does so best.
        closing = min(
            range(len(options)), key=lambda index: (not nullable[index], _nests(options[index]))
        )

        def make(source: Source, depth: int) -> Json:
            index = closing if depth > DEEP else source.draws.weighted(weights)
            return makers[index](source, depth)

        return make

    def _object(self, schema: dict[str, Json]) -> Maker:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = {str(name) for name in schema.get("required") or ()}
        always_all = schema.get("minProperties", 0) > len(required)
        makers = [
            (name, self.make(part, name), always_all or name in required)
            for name, part in properties.items()
        ]
        extra = schema.get("additionalProperties", True)
        extra_maker = self.make(extra, "value") if isinstance(extra, dict) else None
        for name in sorted(required - properties.keys()):
            makers.append((name, extra_maker or string_maker({}, name), True))
        extras = max(schema.get("minProperties", 0) - len(makers), 0 if makers else 2)
        if extra is False or (extra_maker is None and "minProperties" not in schema):
            extras = 0

        def make(source: Source, depth: int) -> Json:
            made: dict[str, Json] = {}
            for name, maker, needed in makers:
                if needed or (depth <= DEEP and source.draws.below(10) < 7):
                    made[name] = maker(source, depth + 1)
            for index in range(extras):
                value = extra_maker(source, depth + 1) if extra_maker else source.opening(3)
                made[f"{source.name()}_{index + 1}"] = value
            return made

        return make

    def _array(self, schema: dict[str, Json], name: str) -> Maker:
        first = [self.make(part, name) for part in schema.get("prefixItems") or ()]
        items = schema.get("items", True)
        rest = None if items is False else self.make(items, name.removesuffix("s"))
        low = int(schema.get("minItems", 0))
        high = int(schema.get("maxItems", max(low, len(first), 1) + (2 if rest else 0)))
        high = min(high, max(low, len(first)) + 3) if rest else min(high, len(first))
        unique = schema.get("uniqueItems") is True
        options = list(items.get("enum") or ()) if isinstance(items, dict) else []

        def make(source: Source, depth: int) -> Json:
            wanted = low if depth > DEEP else source.draws.between(min(max(low, 1), high), high)
            made: list[Json] = []
            for _ in range(wanted * (20 if unique else 1)):
                if len(made) == wanted:
                    break
                maker = first[len(made)] if len(made) < len(first) else rest
                if maker is None:
                    break
                value = maker(source, depth + 1)
                if not (unique and value in made):
                    made.append(value)
            # A prompt that speaks for one option would yield it again and again.
            spare = [option for option in options if option not in made]
            while unique and spare and len(made) < wanted:
                made.append(spare.pop(source.draws.below(len(spare))))
            return made

        return make


def _overlaid(base: dict[str, Json], part: Json) -> Json:
    """Both schemas at once: properties and required are joined, else the part has the last word."""
    if not isinstance(part, dict):
        return base
    joined = {**base, **part}
    if "properties" in base and "properties" in part:
        joined["properties"] = {**base["properties"], **part["properties"]}
    if "required" in base and "required" in part:
        joined["required"] = [*base["required"], *part["required"]]
    return joined


def _nests(schema: Json) -> bool:
    return isinstance(schema, dict) and (
        "$ref" in schema or schema.get("type") in ("object", "array") or "properties" in schema
    )


def _enum(options: list[Json]) -> Maker:
    """Picks what the prompt speaks for; where nothing does, some options are likelier for all."""
    option_words = [
        tuple(word.lower() for word in words_of(str(option).replace("_", " ").replace("-", " ")))
        for option in options
    ]
    weights = [
        1 if option is None or VAGUE.intersection(words) else 2 + digest(str(option)) % 7
        for option, words in zip(options, option_words, strict=True)
    ]

    def make(source: Source, depth: int) -> Json:
        scores = [source.evidence_for(words) for words in option_words]
        best = max(scores)
        if best > min(scores):
            likely = [w if score == best else 0 for w, score in zip(weights, scores, strict=True)]
        else:
            likely = weights
        return options[source.draws.weighted(likely)]

    return make
