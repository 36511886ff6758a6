"""No secret that this installation is given comes out of it again, whatever fails."""

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from django.utils import timezone
from django_q.models import OrmQ

from jobs.datasets.tasks import ingest
from jobs.engine import tasks as engine_tasks
from jobs.failures import FailureClass as F
from jobs.models import (
    Attempt,
    Connection,
    Dataset,
    Job,
    KeepAnswers,
    NoticeCopy,
    NoticeKind,
    Reconciliation,
    Record,
    Team,
    Webhook,
)
from jobs.notices.delivering import deliver_due
from jobs.notices.spread import spread_notices
from jobs.simulator.fault_echoes import PLACES
from jobs.simulator.faults import KINDS
from tests.cast import Cast, cast  # noqa: F401
from tests.engine.drive import run_slice
from tests.security.canaries import database_files, hits, parquet_text, tables
from tests.security.routes import operations, pages
from tests.security.walk import read
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

KEY = 'sk-canary/7Qf3e+9bZ"c1d4=a6&Xw<t8'  # written otherwise in JSON, URLs and HTML
PASSWORD = "canary-Password/9vT&4kQ"
MODEL = "sim-small"
# Whose Retry-After holds the connection back for longer than a test may last, or which are slow.
TOO_LONG = {
    "retry_after", "retry_after_huge", "retry_after_text", "retry_after_twice",
    "retry_after_future_date", "endless_body", "huge_body", "slow_bytes", "late",
}  # fmt: skip
PAUSING = ("authentication", "permission", "quota_exhausted", "model_not_found")
# What ends a call without any provider's doing, or belongs to other modes of a job.
NOT_OF_A_CALL = {F.BUDGET_EXHAUSTED, F.BATCH_EXPIRED, F.WORKER_LOST, F.CANCELLED, F.UNKNOWN}


class Story:
    """One team's life with its secrets. All that was answered to anybody is in `seen`."""

    def __init__(self, cast: Cast, simulator: SimulatorProcess) -> None:  # noqa: F811
        self.cast, self.simulator = cast, simulator
        self.seen: dict[str, str] = {}
        self.browser = Client()
        self.secrets = {
            "the provider's key": KEY,
            "a password": PASSWORD,
            "SECRET_KEY": settings.SECRET_KEY,
            "the encryption key": settings.FIELD_ENCRYPTION_KEYS[0],
        }

    def keep(self, what: str, answer: Any) -> Any:
        self.seen[f"{len(self.seen)} {what}"] = (
            f"{answer.status_code} {answer.headers} {answer.cookies}\n{read(answer)}"
        )
        return answer

    def post(self, path: str, fields: dict[str, Any], expected: int = 302) -> Any:
        answer = self.keep(f"POST {path}", self.browser.post(path, fields))
        assert answer.status_code == expected, (path, self.seen[list(self.seen)[-1]][-2000:])
        return answer

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content = json.dumps(body).encode() if body is not None else b""
        headers = {"Authorization": f"Bearer {self.secrets['an API token']}", **headers}
        answer = Client().generic(
            method, f"/api/v1{path}", content, content_type="application/json", headers=headers
        )
        return self.keep(f"{method} {path}", answer)

    # --- what happens -----------------------------------------------------------------------
    def log_in(self) -> None:
        alice = self.cast.alice
        alice.set_password(PASSWORD)
        alice.save()
        given = {"username": "nobody", "password": PASSWORD}
        self.post("/accounts/login/", given, expected=422)
        self.post("/accounts/login/", given | {"username": "alice"})
        Team.objects.update(keep_answers=KeepAnswers.ALL)

    def make_secrets(self) -> None:
        """Shown in these two answers alone, which are therefore not kept."""
        given = {"name": "nightly", "role": "admin"}
        way = self.browser.post("/settings/tokens/new/", given)
        kept = json.dumps(dict(self.browser.session))
        shown = self.browser.get(way["Location"])
        assert shown.context["raw"] not in kept
        self.secrets["an API token"] = shown.context["raw"]
        shown = self.browser.post("/settings/members/new/", {"username": "dora", "role": "lead"})
        self.secrets["a first password"] = shown.context["password"]
        given = {"url": self.simulator.url, "kinds": NoticeKind.values}
        way = self.browser.post("/settings/webhooks/new/", given)
        shown = self.browser.get(way["Location"])
        self.secrets["a webhook's secret"] = shown.context["secret"]

    def connect(self) -> None:
        form = {"name": "Canary", "api": "openai_chat", "base_url": self.simulator.url}
        faulty = form | {"rpm": "-1", "api_key": KEY}
        self.post("/settings/connections/new/?kind=simulator", faulty, expected=422)
        self.post("/settings/connections/new/?kind=simulator", form | {"api_key": KEY})
        self.connection = Connection.objects.get()
        change = f"/settings/connections/{self.connection.public_id}/change/"
        self.post(change, faulty, expected=422)
        body: dict[str, Any] = {"name": "Other", "kind": "simulator", "api_key": KEY}
        body |= {"base_url": self.simulator.url, "api": "anthropic_messages"}
        for wrong in ({"api_key": {"is": KEY}}, {"api_key": KEY + "\n"}, {"limits": KEY}, {KEY: 1}):
            if not (wrong.keys() & {KEY}):  # a field's name is said, to say that it is unknown
                assert self.ask("POST", "/connections", body | wrong).status_code in (201, 422)
        body["name"] = "Third"
        for _ in range(2):
            self.ask("POST", "/connections", body, **{"Idempotency-Key": "once"})

    def read_account(self) -> None:
        account = {"connection": self.connection.public_id, "content": "request_id,cost\nx,1\n"}
        assert self.ask("POST", "/reconciliations", account).status_code == 201

    def test_connections(self) -> None:
        for connection in Connection.objects.filter(removed_at=None):
            path = f"/settings/connections/{connection.public_id}/"
            for place in PLACES:
                self.simulator.set_faults({"echo_key": {"share": 1, "place": place}})
                self.post(f"{path}test/", {"model": MODEL})
                self.keep(path, self.browser.get(path))
            with override_settings(TRANSPORT="sdk"):
                self.ask("POST", f"/connections/{connection.public_id}/test", {"model": MODEL})
        for fault in (*PAUSING, "server_error", "invalid_request", "html_200", "refusal"):
            self.simulator.set_faults({fault: 1})
            self.post(f"/settings/connections/{self.connection.public_id}/test/", {"model": MODEL})
        self.simulator.set_faults({})

    def upload(self) -> Dataset:
        left_out = {*TOO_LONG, *PAUSING, "payment_required"}
        rows = [{"text": f"[[fault:{kind}:1]]"} for kind in KINDS if kind not in left_out]
        rows += [{"text": f"[[fault:echo_key:3]] number {n}"} for n in range(20)]
        rows += [{"text": f"plain {n}"} for n in range(3)] + [{"other": "renders not"}]
        file = "\n".join(json.dumps(row) for row in rows).encode()
        answer = Client().post(
            "/api/v1/datasets",
            {"file": SimpleUploadedFile("canary.jsonl", file), "name": "Canary"},
            headers={"Authorization": f"Bearer {self.secrets['an API token']}"},
        )
        self.keep("upload", answer)
        made = Dataset.objects.get()
        ingest(made.pk)
        made.refresh_from_db()
        assert made.rows == len(rows), made.errors
        return made

    def save_template(self, name: str, rules: list[Any]) -> str:
        schema = {
            "type": "object",
            "properties": {"label": {"type": "string"}, "score": {"type": "integer"}},
            "required": ["label", "score"],
            "additionalProperties": False,
        }
        body = {"name": name, "user": "{{ text }}", "output_schema": schema, "rules": rules}
        return str(self.ask("POST", "/templates", body).json()["id"])

    def try_out(self, dataset: Dataset, template: str) -> None:
        echoing = range(dataset.rows - 10, dataset.rows - 5)
        fields = {
            "action": "try", "name": "Canary", "user": "{{ text }}", "mode": "none",
            "try_connection": self.connection.public_id, "try_model": MODEL,
            "try_rows": ", ".join(map(str, echoing)), "dataset": dataset.public_id,
        }  # fmt: skip
        self.post(f"/templates/{template}/edit/", fields, expected=200)

    def launch(self, dataset: Dataset, template: str, **more: Any) -> Job:
        body = {
            "dataset": dataset.public_id, "template": template, "model": MODEL,
            "connection": self.connection.public_id, "max_attempts": 1,
            "parameters": {"max_tokens": 200, "timeout": 1}, "tolerated_failure_rate": 1,
        } | more  # fmt: skip
        answer = self.ask("POST", "/jobs", body)
        assert answer.status_code == 201, answer.content
        job = Job.objects.get(public_id=answer.json()["id"])
        engine_tasks.expand(job.pk)
        return job

    def run(self, dataset: Dataset, template: str, strict: str) -> Job:
        for fault in PAUSING:
            self.simulator.set_faults({fault: 1})
            job = self.launch(dataset, template, rows={"limit": 1})
            run_slice()
            job.refresh_from_db()
            assert job.status_reason == fault
            self.ask("POST", f"/jobs/{job.public_id}/cancel", {})
            engine_tasks.cancel(job.pk)
        self.simulator.set_faults({})
        self.launch(dataset, strict, rows={"sample": 3, "seed": 4})
        job = self.launch(dataset, template)
        run_slice()
        job.refresh_from_db()
        assert job.state.is_terminal, (job.status, job.status_detail)
        answer = self.ask("POST", f"/jobs/{job.public_id}/replay", {})
        assert answer.json()["records"] > 20
        engine_tasks.apply_replay(job.replays.get().pk)
        run_slice()
        return job

    def be_told(self) -> None:
        """By mail and webhook, by a receiver that echoes what it was sent."""
        spread_notices(timezone.now())
        deliver_due(lambda: False)
        hook = Webhook.objects.get()
        assert hook.tried_at
        self.post(f"/settings/webhooks/{hook.public_id}/test/", {})

    def look_everywhere(self, job: Job) -> None:
        """Every page and every read operation, and for a record's, every row."""
        ids: dict[str, Any] = {
            "dataset_id": job.dataset.public_id,
            "template_id": job.template_version.template.public_id,
            "job_id": job.public_id,
            "replay_id": job.replays.get().public_id,
            "connection_id": self.connection.public_id,
            "webhook_id": Webhook.objects.get().public_id,
            "notice_id": NoticeCopy.objects.filter(user=self.cast.alice).last().notice.public_id,
            "public_id": self.connection.public_id,
            "username": "dora",
            "month": f"{timezone.now():%Y-%m}",
            "reconciliation_id": Reconciliation.objects.get().public_id,
            "before": 1,
            "after": 1,
        }
        base = f"/jobs/{job.public_id}/"
        paths = [f"{base}?{query}" for query in ("tab=activity", "tab=config", "status=failed")]
        paths += [f"{base}results/?format={form}&include=all" for form in ("csv", "jsonl")]
        for route in pages():
            rows = range(1, job.total + 1) if "n" in route.parameters else [1]
            paths += [route.path(ids | {"n": n}) for n in rows]
        for path in paths:
            self.keep(path, self.browser.get(path))
        for route in operations():
            if "GET" in route.methods:
                rows = range(1, job.total + 1) if "row" in route.parameters else [1]
                for n in rows:
                    self.ask("GET", route.path(ids | {"row": n}).removeprefix("/api/v1"))
        file = self.browser.get(f"{base}results/?format=parquet&include=all")
        self.seen["parquet"] = parquet_text(b"".join(file.streaming_content))


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(seed=5, markers=True) as process:
        yield process


def test_it_lets_no_secret_out(
    cast: Cast,  # noqa: F811
    simulator: SimulatorProcess,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    story = Story(cast, simulator)
    story.log_in()
    story.make_secrets()
    story.connect()
    story.read_account()
    story.test_connections()
    dataset, template = story.upload(), story.save_template("Canary", [])
    strict = story.save_template("Strict", [{"field": "label", "min_length": 10_000}])
    story.try_out(dataset, template)
    job = story.run(dataset, template, strict)
    story.be_told()
    story.look_everywhere(job)

    # It was a whole run: every class of failure, and the key came back in every place.
    told = set(Record.objects.values_list("failure_class", flat=True))
    told |= set(Attempt.objects.values_list("failure_class", flat=True))
    assert {failure.value for failure in F if failure not in NOT_OF_A_CALL} <= told
    stored = " ".join(tables().values())
    assert stored.count("Bearer [key]") > 10
    assert OrmQ.objects.exists()
    assert mail.outbox
    assert len(story.seen) > 250

    places = story.seen | tables() | dict(database_files())
    places["logs"] = caplog.text + str([record.args for record in caplog.records])
    places["standard output"] = str(capfd.readouterr())
    places["mail"] = str([message.message() for message in mail.outbox])
    assert hits(story.secrets, places) == []


def test_it_would_have_found_them() -> None:
    """The search itself: a secret in any writing, in any surroundings, is a hit."""
    for before in ("", "x", "xx"):
        coded = base64.b64encode(f"{before}{KEY}!".encode()).decode()
        for text in (KEY, json.dumps(KEY), quote(KEY), coded, coded[::-1], KEY[::-1]):
            assert hits({"key": KEY}, {"there": f"before {text} after"})
    assert hits({"key": KEY}, {"there": KEY[:-1]}) == []
