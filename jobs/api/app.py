"""The API object: its routers, its bearer authentication, its errors, its document."""

from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI, Swagger
from ninja.renderers import BaseRenderer

from jobs.api import (
    budgets,
    connections,
    costs,
    datasets,
    jobs,
    ledger,
    months,
    problems,
    templates,
)
from jobs.api.actor import Bearer
from jobs.api.document import complete
from jobs.api.parsing import JsonParser
from jobs.api.queries import refuse_unknown
from jobs.written import as_json


class Renderer(BaseRenderer):
    """JSON in which the numbers of rows stand as they were written."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return as_json(data)


class Api(NinjaAPI):
    def get_openapi_schema(self, **options: Any) -> Any:
        document = super().get_openapi_schema(**options)
        complete(document)
        return document


api = Api(
    title="batchllm",
    version="1",
    description=(
        "Upload a dataset, save a template, launch a job, watch it, replay what failed, download "
        "the results. Errors are problem details (RFC 9457); lists are `{items, next}`; money is a "
        "decimal string in USD; every POST takes an `Idempotency-Key`."
    ),
    auth=Bearer(),
    parser=JsonParser(),
    renderer=Renderer(),
    docs=Swagger(settings={"persistAuthorization": False, "deepLinking": True}),
    urls_namespace="api",
)
api.add_router("/datasets", refuse_unknown(datasets.router))
api.add_router("/templates", refuse_unknown(templates.router))
api.add_router("/connections", refuse_unknown(connections.router))
api.add_router("/prices", refuse_unknown(connections.prices))
api.add_router("/jobs", refuse_unknown(jobs.router))
api.add_router("/jobs", refuse_unknown(ledger.router))
api.add_router("/budgets", refuse_unknown(budgets.router))
api.add_router("/reconciliations", refuse_unknown(ledger.reconciliations))
api.add_router("/costs", refuse_unknown(costs.router))
api.add_router("/costs", refuse_unknown(months.router))
problems.install(api)
