"""The API's document, and answers held against it."""

import re
from functools import cache
from typing import Any

import jsonschema_rs
from django.test import Client

from jobs.api.problems import CONTENT_TYPE

PREFIX = "/api/v1"


@cache
def document() -> dict[str, Any]:
    """As it is served."""
    found: dict[str, Any] = Client().get(f"{PREFIX}/openapi.json").json()
    return found


@cache
def _routes() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(re.sub(r"{\w+}", "[^/]+", path) + "$"), path) for path in document()["paths"]
    ]


@cache
def _validator(reference: str) -> "jsonschema_rs.Draft202012Validator":
    schema = {"$ref": reference, "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def check(method: str, path: str, answer: Any) -> None:
    """The status is one the document names, and the body is what it says of it."""
    known = next((known for shape, known in _routes() if shape.match(path)), None)
    operation = document()["paths"].get(known, {}).get(method.lower())
    status = str(answer.status_code)
    if operation is None:
        assert status in ("404", "405"), (method, path, status)
        responses = {"4XX": {"content": {CONTENT_TYPE: {"schema": problem_schema()}}}}
    else:
        responses = operation["responses"]
    found = responses.get(status) or responses.get(f"{status[0]}XX")
    assert found is not None, f"{method} {path} answers {status}, which the document does not know"
    kind = answer["Content-Type"].partition(";")[0]
    content = found["content"]
    assert kind in content, f"{method} {path} answers {kind}; the document has {list(content)}"
    if kind in ("application/json", CONTENT_TYPE):
        for error in _validator(content[kind]["schema"]["$ref"]).iter_errors(answer.json()):
            raise AssertionError(f"{method} {path}: {error.instance_path}: {error.message}")


def problem_schema() -> dict[str, str]:
    return {"$ref": "#/components/schemas/Problem"}
