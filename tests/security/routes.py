"""Every route there is, read from the URL patterns and the API's document, never from a list."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from jobs.api.app import api
from jobs.teams.policy import DOCUMENTS, OPERATIONS, PAGES, Rule

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|{(\w+)}")


@dataclass(frozen=True)
class Route:
    """A page (by URL name) or an operation of the API (by operation id)."""

    name: str
    pattern: str  # "/jobs/<slug:job_id>/" or "/api/v1/jobs/{job_id}"
    methods: tuple[str, ...]  # to be tried: all of them for a page, its own for an operation
    view: Callable[..., Any] | None = None  # of a page
    query: frozenset[str] = frozenset()  # the names an operation knows; it refuses others

    @property
    def is_operation(self) -> bool:
        return self.view is None

    @property
    def rule(self) -> Rule | None:
        """As the policy table declares it; None where it does not."""
        table = OPERATIONS if self.is_operation else PAGES | DOCUMENTS
        return table.get(self.name)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(page or api for page, api in _PARAMETER.findall(self.pattern))

    def path(self, ids: Mapping[str, Any]) -> str:
        """Raises KeyError for a parameter that the walk knows no id for."""
        return _PARAMETER.sub(lambda found: str(ids[found[1] or found[2]]), self.pattern)

    def __str__(self) -> str:
        return f"{self.name} ({self.pattern})"


def url_patterns() -> Iterator[tuple[str, URLPattern]]:
    """(whole pattern, leaf) for everything that the resolver knows."""
    yield from _leaves(get_resolver(), "/")


def _leaves(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        whole = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _leaves(one, whole)
        else:
            yield whole, one


def pages() -> list[Route]:
    """Everything outside the API, and the API's document and its page."""
    return [
        Route(str(leaf.name), whole, METHODS, leaf.callback)
        for whole, leaf in url_patterns()
        if not whole.startswith("/api/") or leaf.name in ("openapi-json", "openapi-view")
    ]


def operations() -> list[Route]:
    paths = api.get_openapi_schema()["paths"]
    return [
        Route(operation["operationId"], path, (method.upper(),), query=_query_names(operation))
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]


def _query_names(operation: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(p["name"] for p in operation.get("parameters", ()) if p["in"] == "query")


def routes() -> list[Route]:
    return [*pages(), *operations()]
