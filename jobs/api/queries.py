"""Query parameters: one that is not known is refused by name, as are fields of bodies, and so is one
given twice. A misspelt or overridden filter would otherwise answer with what was not asked for."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from ninja import Router

from jobs.errors import FieldError, Invalid


def refuse_unknown(router: Router) -> Router:
    """Have all operations of the router look at the names in the query."""
    for paths in router.path_operations.values():
        for operation in paths.operations:
            known = [
                name
                for model in operation.models
                if model.__ninja_param_source__ == "query"
                for name in model.__ninja_flatten_map__
            ]
            operation.view_func = _looked_at(operation.view_func, known)
    return router


def _looked_at(view: Callable[..., Any], known: list[str]) -> Callable[..., Any]:
    words = f"Unknown; there are {', '.join(known)}" if known else "Unknown; there are none"

    @wraps(view)
    def looked_at(request: HttpRequest, **values: Any) -> Any:
        errors = [FieldError((name,), words) for name in request.GET if name not in known]
        errors += [
            FieldError((name,), "Given more than once; one value is taken")
            for name, given in request.GET.lists()
            if name in known and len(given) > 1
        ]
        if errors:
            raise Invalid(errors)
        return view(request, **values)

    return looked_at
