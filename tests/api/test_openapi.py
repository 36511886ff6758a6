"""The OpenAPI document and its page"""

import json
import re

import pytest
from django.test import Client

from tests.api.openapi import PREFIX, document

# interface.md's routes, as far as they are offered.
ROUTES = {
    ("post", "/datasets"),
    ("get", "/datasets/{dataset_id}"),
    ("get", "/datasets/{dataset_id}/rows"),
    ("post", "/templates"),
    ("post", "/templates/{template_id}/preview"),
    ("get", "/connections"),
    ("post", "/connections"),
    ("post", "/connections/{connection_id}/test"),
    ("get", "/prices"),
    ("post", "/prices"),
    ("post", "/jobs"),
    ("get", "/jobs"),
    ("get", "/jobs/{job_id}"),
    ("post", "/jobs/{job_id}/pause"),
    ("post", "/jobs/{job_id}/resume"),
    ("post", "/jobs/{job_id}/cancel"),
    ("get", "/jobs/{job_id}/records"),
    ("get", "/jobs/{job_id}/records/{row}"),
    ("get", "/jobs/{job_id}/failures"),
    ("post", "/jobs/{job_id}/replay"),
    ("get", "/jobs/{job_id}/results"),
    ("get", "/costs"),
}  # fmt: skip


def operations() -> dict[tuple[str, str], dict[str, object]]:
    return {
        (method, path.removeprefix(PREFIX)): operation
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }


def test_it_describes_every_route() -> None:
    assert document()["openapi"].startswith("3.1")
    assert set(operations()) >= ROUTES
    for route, operation in operations().items():
        assert operation["summary"], route
        assert operation["security"] == [{"Bearer": []}], route


def test_it_describes_errors_everywhere_and_the_key_of_every_post() -> None:
    for (method, path), operation in operations().items():
        assert {"4XX", "5XX"} <= set(operation["responses"]), path  # type: ignore[call-overload]
        names = [parameter["name"] for parameter in operation["parameters"]]  # type: ignore[attr-defined]
        assert ("Idempotency-Key" in names) == (method == "post"), path


def test_its_references_lead_somewhere() -> None:
    text = json.dumps(document())
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in document()["components"]["schemas"]


@pytest.mark.django_db
def test_its_page_loads_nothing_from_elsewhere() -> None:
    page = Client().get(f"{PREFIX}/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("</", "").replace("<!--", "").split("swagger-settings")[0]
    assert "<script>" not in page.text
