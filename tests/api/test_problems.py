"""Errors: problem details with the place of the fault, whatever is wrong; never a 500."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from jobs.api.problems import CONTENT_TYPE
from jobs.models import Connection
from tests.api.caller import CSV, Caller
from tests.api.openapi import PREFIX, document
from tests.security.bodies import bodies

pytestmark = pytest.mark.django_db
MULTIPART = "multipart/form-data; boundary=B"


def part(name: str, value: str, filename: str = "") -> str:
    file = f'; filename="{filename}"' if filename else ""
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n{value}\r\n'


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "place"),
    [
        ("POST", "/templates", "{", "application/json", 400, "body"),
        ("POST", "/templates", b"\xff\xfe", "application/json", 400, "body"),
        ("POST", "/templates", '{"name": NaN}', "application/json", 400, "body"),
        ("POST", "/templates", '{"name": "\\ud800"}', "application/json", 400, "body"),
        ("POST", "/templates", '{"rules":' * 500 + "}" * 500, "application/json", 400, "body"),
        ("POST", "/templates", "[" * 150 + "]" * 150, "application/json", 400, "body"),
        ("POST", "/templates", "[]", "application/json", 422, "body"),
        ("POST", "/templates", '"text"', "application/json", 422, "body"),
        ("POST", "/templates", "null", "application/json", 422, "body"),
        ("POST", "/templates", "", "application/json", 422, "body"),
        ("POST", "/templates", "name=x", "application/x-www-form-urlencoded", 415, "Content-Type"),
        ("POST", "/templates", "{}", "text/plain", 415, "Content-Type"),
        ("POST", "/templates", "--B--", MULTIPART, 415, "Content-Type"),
        ("POST", "/datasets", "{}", "application/json", 415, "Content-Type"),
        ("POST", "/datasets", "a=b", "application/x-www-form-urlencoded", 415, "Content-Type"),
        ("POST", "/datasets", "--B--", "multipart/form-data", 400, "body"),
        ("POST", "/datasets", "no parts at all", MULTIPART, 422, "file"),
        ("POST", "/datasets", part("file", CSV, "a.csv"), MULTIPART, 422, "file"),  # cut off
        ("POST", "/datasets", part("file", CSV) + "--B--", MULTIPART, 422, "file"),
        ("POST", "/datasets", part("x", CSV, "a.csv") + "--B--", MULTIPART, 422, "x"),
        ("GET", "/nowhere", "", "", 404, "path"),
        ("GET", "/jobs/", "", "", 404, "path"),
        ("POST", "/nothing", "{}", "application/json", 404, "path"),
        ("GET", "/jobs/%00", "", "", 400, "path"),
        ("GET", "/jobs?q=%00", "", "", 400, "query"),
        ("GET", "/jobs/%ff%fe", "", "", 404, "path"),
        ("DELETE", "/jobs", "", "", 405, "method"),
        ("PUT", "/jobs/x", "{}", "application/json", 405, "method"),
        ("GET", "/jobs/x/pause", "", "", 405, "method"),
        ("GET", "/jobs?cursor=%F0%9F%98%80", "", "", 422, "cursor"),
        ("GET", "/datasets?cursor=nonsense", "", "", 422, "cursor"),
        ("GET", "/templates?cursor=azEyMzQ1Njc4OTAxMjM0NTY3ODkw", "", "", 422, "cursor"),
        ("GET", "/costs?group_by=mood", "", "", 422, "group_by"),
        ("GET", "/costs?from=yesterday", "", "", 422, "from"),
        ("GET", "/costs?from=2026-02-01&to=2026-01-01", "", "", 422, "from"),
        ("GET", "/templates/x?version=0", "", "", 422, "version"),
        ("GET", "/jobs?status=zz", "", "", 422, "status"),
        ("GET", "/jobs?state=failed", "", "", 422, "state"),
        ("GET", "/jobs?status=running&status=paused", "", "", 422, "status"),
        ("GET", "/jobs?template=nope", "", "", 404, "template"),
        ("GET", "/jobs?dataset=nope", "", "", 404, "dataset"),
        ("GET", "/connections?limit=5", "", "", 422, "limit"),
        ("POST", "/templates?dry=1", '{"name": "x", "user": "y"}', "application/json", 422, "dry"),
    ],
)
def test_it_names_the_place_of_the_fault(
    api: Caller, method: str, path: str, body: str | bytes, kind: str, status: int, place: str
) -> None:
    answer = api.ask(method, path, body, kind)
    assert answer.status_code == status, answer.content
    problem = answer.json()
    assert answer["Content-Type"] == CONTENT_TYPE
    assert set(problem) == {"type", "title", "status", "detail", "errors"}
    assert problem["status"] == status
    assert problem["detail"]
    assert {error["loc"][0] for error in problem["errors"]} >= {place}
    assert all(error["msg"] for error in problem["errors"])
    assert "In" not in {word[-2:] for error in problem["errors"] for word in error["msg"].split()}


def test_it_says_which_methods_there_are(api: Caller) -> None:
    allowed = api.ask("DELETE", "/connections")["Allow"]
    assert sorted(allowed.split(", ")) == ["GET", "POST"]


def test_it_refuses_a_body_that_is_too_large(api: Caller) -> None:
    answer = api.ask("POST", "/templates", b'{"user": "' + b"x" * 11_000_000 + b'"}')
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["loc"] == ["body"]


def test_it_refuses_too_many_fields(api: Caller, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 3
    body = "".join(part(f"f{n}", "x") for n in range(5)) + "--B--"
    answer = api.ask("POST", "/datasets", body, MULTIPART)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (400, ["body"])


# --- no 500, ever -------------------------------------------------------------------------------
ODD: tuple[Any, ...] = (
    None, True, -1, 1.5, 10**30, "", "\0", "🦥\u202e" * 1_000, "NaN", "9999-12-31T23:59:59-14:00",
    [None], {"x": {"": None}},
)  # fmt: skip


def changed(body: Any) -> Iterator[Any]:
    """The body with an odd value in each place, one at a time."""
    for name, value in body.items():
        for odd in ODD:
            yield {**body, name: odd}
        if isinstance(value, dict):
            for inner in changed(value):
                yield {**body, name: inner}


def _ids(api: Caller, parts: dict[str, Any]) -> dict[str, Any]:
    account = {"connection": parts["connection"], "content": "request_id,cost\nx,1\n"}
    return {
        **{f"{name}_id": parts[name] for name in ("dataset", "template", "connection")},
        "reconciliation_id": api.post("/reconciliations", account, 201)["id"],
        "team_id": Connection.objects.get(public_id=parts["connection"]).team.public_id,
        "month": "2026-01",
    }


def test_it_has_an_answer_to_odd_bodies(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = api.parts("http://127.0.0.1:9")
    job = api.post("/jobs", parts, 201)["id"]
    ids = _ids(api, parts)
    whole = {
        **bodies(ids),
        "template_save": {
            "name": "n", "kind": "generate", "system": "", "user": "x", "rules": [], "defaults":
            {"max_tokens": 5, "stop": "x"}, "output_schema": {"type": "object", "properties": {}},
        },
        "job_launch": {
            **parts, "template_version": 1, "parameters": {"temperature": 1}, "budget": "1",
            "rows": {"sample": 1, "seed": 1}, "tags": {"a": "b"}, "priority": 1, "max_attempts": 1,
            "max_repairs": 1, "tolerated_failure_rate": 0.5, "name": "n",
            "deadline": None, "reuse": False, "mode": "realtime",
        },
        "price_set": {
            "model": "m", "input": "1", "output": "1", "cached_input": "1", "cache_write": "1",
            "batch_discount": "1", "effective_from": "2026-01-01T00:00:00Z", "connection": None,
        },
        "connection_create": {
            "name": "n", "kind": "simulator", "api": None, "base_url": "http://127.0.0.1:9",
            "api_key": "k", "limits": {"rpm": 1, "input_tpm": 1, "output_tpm": 1},
        },
        "job_replay": {
            "failure_class": "refusal", "fingerprint": "f", "rows": [1], "edits": {"1": {"text": ""}},
            "overrides": {
                "template": parts["template"], "template_version": 1, "model": "m",
                "connection": parts["connection"], "parameters": {"top_p": 1},
            },
        },
    }  # fmt: skip
    # A call that leaves for a real address would be slow, and is tested elsewhere.
    del whole["connection_test"]
    asked = 0
    for pattern, methods in document()["paths"].items():
        for method, operation in methods.items():
            body = whole.get(operation["operationId"])
            if body is None:
                continue
            path = pattern.removeprefix(PREFIX).format(**ids, job_id=job)
            for odd in changed(body):
                api.ask(method.upper(), path, json.dumps(odd))  # fails on a 500
                asked += 1
    assert asked > 600


def test_it_has_an_answer_to_odd_queries(api: Caller) -> None:
    parts = api.parts("http://127.0.0.1:9")
    ids = _ids(api, parts)
    ids |= {"job_id": api.post("/jobs", parts, 201)["id"], "row": "1"}
    odd = [quote(str(value)) for value in ODD if not isinstance(value, list | dict)]
    odd += ["azE", "k1", "%FF", "0001-01-01", "9999-12-31", "azk5OTk5OTk5OTk5OTk5OTk5"]
    for pattern, methods in document()["paths"].items():
        if "get" not in methods:
            continue
        path = pattern.removeprefix(PREFIX).format(**ids)
        for parameter in methods["get"]["parameters"]:
            for value in odd:
                if parameter["in"] == "query":
                    api.ask("GET", f"{path}?{parameter['name']}={value}")
                elif value.strip("%20"):
                    wrong = {**ids, parameter["name"]: value.replace("/", "")}
                    api.ask("GET", pattern.removeprefix(PREFIX).format(**wrong))
