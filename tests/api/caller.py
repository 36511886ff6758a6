"""A program that calls the API with a token, and the workers behind it, in the test's process."""

import io
import json
from typing import Any

from django.test import Client
from django.utils.module_loading import import_string
from django_q.models import OrmQ

from jobs.queue import SHORT, SLICES
from tests.api.openapi import PREFIX, check
from tests.engine.drive import run_slice

MODEL = "sim-small"
SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "enum": ["billing", "delivery", "other"]},
        "urgent": {"type": "boolean"},
    },
    "required": ["label", "urgent"],
    "additionalProperties": False,
}
CSV = "id,text\n" + "".join(f"{n:03d},Parcel {n} is late\n" for n in range(1, 13))


class Caller:
    """Every answer is held against the OpenAPI document before it is handed on."""

    def __init__(self, token: str = "") -> None:
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str = b"",
        kind: str = "application/json",
        *,
        key: str = "",
        **headers: str,
    ) -> Any:
        """The whole answer to any request."""
        sent = {**self._headers, **({"Idempotency-Key": key} if key else {}), **headers}
        answer = self._client.generic(
            method, f"{PREFIX}{path}", body, content_type=kind, headers=sent
        )
        assert answer.status_code != 500, (method, path, body[:200])
        check(method, f"{PREFIX}{path}".partition("?")[0], answer)
        return answer

    def get(self, path: str, status: int = 200) -> Any:
        return self._json(self.ask("GET", path), status)

    def post(self, path: str, body: Any = None, status: int = 200, *, key: str = "") -> Any:
        sent = b"" if body is None else json.dumps(body)
        return self._json(self.ask("POST", path, sent, key=key), status)

    def upload(
        self,
        content: str | bytes = CSV,
        filename: str = "tickets.csv",
        status: int = 202,
        key: str = "",
        **fields: str,
    ) -> Any:
        file = io.BytesIO(content.encode() if isinstance(content, str) else content)
        file.name = filename
        answer = self._client.post(
            f"{PREFIX}/datasets",
            {"file": file, **fields},
            headers={**self._headers, **({"Idempotency-Key": key} if key else {})},
        )
        check("POST", f"{PREFIX}/datasets", answer)
        return self._json(answer, status)

    def download(self, path: str) -> bytes:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.content
        return b"".join(answer.streaming_content)

    def refused(self, path: str, body: Any, *, status: int = 422, method: str = "POST") -> Any:
        """The places of the faults, with their words."""
        answer = self.ask(method, path, json.dumps(body))
        assert answer.status_code == status, answer.content
        return {tuple(error["loc"]): error["msg"] for error in answer.json()["errors"]}

    def items(self, path: str) -> list[Any]:
        """All pages of a list."""
        found, cursor, join = [], "", "&" if "?" in path else "?"
        while True:
            page = self.get(f"{path}{join}cursor={cursor}" if cursor else path)
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    @staticmethod
    def _json(answer: Any, status: int) -> Any:
        assert answer.status_code == status, (answer.status_code, answer.content)
        return answer.json()

    # --- what most tests begin with ---------------------------------------------------------
    def dataset(self, content: str | bytes = CSV, filename: str = "tickets.csv", **f: str) -> str:
        made: str = self.upload(content, filename, **f)["id"]
        work()
        assert self.get(f"/datasets/{made}")["status"] == "ready"
        return made

    def template(self, user: str = "Sort: {{ text }}", name: str = "Sort", **fields: Any) -> str:
        body = {"name": name, "system": "You sort tickets.", "user": user, **fields}
        made: str = self.post("/templates", body)["id"]
        return made

    def connection(self, url: str, name: str = "Simulator", **limits: int) -> str:
        body = {"name": name, "kind": "simulator", "base_url": url, "limits": limits}
        made: str = self.post("/connections", body, 201)["id"]
        return made

    def price(self, connection: str | None = None, **fields: str) -> Any:
        body = {"connection": connection, "model": MODEL, "input": "0.15", "output": "0.60"}
        return self.post("/prices", {**body, **fields}, 201)

    def parts(self, url: str, *, schema: Any = SCHEMA, **dataset: Any) -> dict[str, Any]:
        """What a launch names: a dataset, a template, a priced connection, a model."""
        connection = self.connection(url)
        self.price(connection)
        return {
            "dataset": self.dataset(**dataset),
            "template": self.template(output_schema=schema),
            "connection": connection,
            "model": MODEL,
        }


def work() -> None:
    """What queue clusters do: carry out all messages that the API left, until there are none."""
    while OrmQ.objects.exists():
        for message in OrmQ.objects.filter(key=SHORT).order_by("id"):
            task = message.task
            message.delete()
            import_string(task["func"])(*task["args"])
        if OrmQ.objects.filter(key=SLICES).exists():
            OrmQ.objects.filter(key=SLICES).delete()
            run_slice()
