"""A right body for each operation that takes one, and where ids stand in them."""

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.api.app import api

# What a body may call an object by. A field of another name that holds an id belongs in here.
ID_NAMES = frozenset({"dataset", "template", "connection", "job", "replay", "team", "token"})

type Path = tuple[str, ...]


def bodies(ids: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By operation id. Multipart operations are left out: they take no ids."""
    job = {
        "dataset": ids["dataset_id"],
        "template": ids["template_id"],
        "connection": ids["connection_id"],
        "model": "sim-mini",
    }
    return {
        "template_save": {"name": "New", "system": "", "user": "Ticket: {{ subject }}"},
        "template_preview": {"dataset": ids["dataset_id"], "rows": [1]},
        "connection_create": {
            "name": "New",
            "kind": "simulator",
            "base_url": "http://127.0.0.1:9",
        },
        "connection_test": {"model": "sim-mini"},
        "price_set": {
            "connection": ids["connection_id"],
            "model": "sim-mini",
            "input": "0.25",
            "output": "2",
        },
        "budget_set": {
            "team": ids["team_id"],
            "connection": ids["connection_id"],
            "warn_at": "1.5",
            "stop_at": "2",
        },
        "job_budget": {"budget": "3"},
        "job_launch": job,
        "launch_estimate": job,
        "job_revalue": {"from": "2026-11-01"},
        "reconciliation_read": {
            "connection": ids["connection_id"],
            "content": "request_id,cost\nx,1\n",
        },
        "job_replay": {
            "overrides": {
                "template": ids["template_id"],
                "template_version": 1,
                "connection": ids["connection_id"],
            }
        },
    }


def documented_bodies() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each operation's body, references resolved."""
    document = api.get_openapi_schema()
    found = {}
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                schema = content["application/json"]["schema"]
                found[operation["operationId"]] = _resolved(schema, document)
    return found


def _resolved(schema: Any, document: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            target: Any = document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            return _resolved(target, document)
        return {name: _resolved(value, document) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_resolved(value, document) for value in schema]
    return schema


def id_paths(schema: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    """Where in a body of this schema an id stands: ("overrides", "connection")."""
    for name, inner in schema.get("properties", {}).items():
        if name in ID_NAMES:
            yield (*at, name)
        else:
            for way in (inner, *inner.get("allOf", ()), *inner.get("anyOf", ())):
                yield from id_paths(way, (*at, name))


def with_value(body: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy of the body in which `path` holds `value`."""
    head, *rest = path
    inner = with_value(body.get(head, {}), tuple(rest), value) if rest else value
    return {**body, head: inner}
