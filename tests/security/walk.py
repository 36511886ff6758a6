"""The team Support's things, marked so that a leak of any of them is seen, and requests to routes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from jobs.models import JobStatus, Notice, NoticeCopy, NoticeKind, Reconciliation, Replay, Webhook
from jobs.notices.posting import new_secret
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.crypto import encrypt
from tests.cast import make_connection
from tests.security.bodies import bodies
from tests.security.routes import Route
from tests.web.work import Work

LONG_AGO = 62  # days: a month that can be closed
MARK = "zq7marked"  # in every name and text of the team, and nowhere else


@dataclass
class Walk:
    """Objects of each kind in one team, and the ids by which routes ask for them."""

    work: Work
    ids: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        work, team = self.work, self.work.cast.team
        for thing in (team, work.dataset, work.version.template, work.connection):
            thing.name = f"{MARK} {thing.name}"
            thing.save()
        for column in work.dataset.columns:
            column.update(nulls=0, examples=[MARK])
        work.dataset.save()
        self.job = work.job(succeeded=1, failed=2, status=JobStatus.PAUSED, name=f"{MARK} job")
        self.replay = Replay.objects.create(job=self.job, key="k", created_by=work.cast.olivia)
        self.token_text = work.cast.token(work.cast.alice)
        self.token = work.cast.alice.api_tokens.get()
        work.priced()
        # A replay offers other connections than the job's own.
        self.second = make_connection(team, name=f"{MARK} second")
        work.spent(self.job, days_ago=LONG_AGO)
        record(self.actor(work.cast.alice), "job.pause", self.job, name=MARK)
        self.notice = Notice.objects.create(
            team=team,
            kind=NoticeKind.JOB_PAUSED,
            key="k",
            title=f"{MARK} paused",
            body=MARK,
            link=f"/jobs/{self.job.public_id}/",
            created_at=timezone.now(),
        )
        for person in (work.cast.alice, work.cast.bob, work.cast.olivia):
            NoticeCopy.objects.create(notice=self.notice, user=person)
        self.webhook = Webhook.objects.create(
            team=team,
            url=f"http://127.0.0.1:9/{MARK}",
            secret_encrypted=encrypt(new_secret()),
            kinds=NoticeKind.values,
        )
        self.account = Reconciliation.objects.create(
            team=team,
            connection=work.connection,
            name=f"{MARK} account",
            lines=1,
            doubts=1,
            bad=[[2, MARK]],
            bad_lines=1,
        )
        self.ids = {
            "notice_id": self.notice.public_id,
            "webhook_id": self.webhook.public_id,
            "team_id": team.public_id,
            "dataset_id": work.dataset.public_id,
            "template_id": work.version.template.public_id,
            "job_id": self.job.public_id,
            "replay_id": self.replay.public_id,
            "connection_id": work.connection.public_id,
            "reconciliation_id": self.account.public_id,
            "username": "olivia",
            "n": 1,
            "row": 1,
            "before": 1,
            "after": 1,
            "month": f"{timezone.now() - timedelta(LONG_AGO):%Y-%m}",
        }

    def actor(self, user: User) -> Actor:
        return self.work.cast.actor(user)

    def path(self, route: Route) -> str:
        ids = self.ids
        if "public_id" in route.parameters:
            token = route.name.startswith("settings_token")
            ids = ids | {"public_id": (self.token if token else self.work.connection).public_id}
        return route.path(ids)

    @property
    def query(self) -> dict[str, Any]:
        """All ids by every name that a query string knows, to be taken for filters."""
        return {
            "dataset": self.work.dataset.public_id,
            "template": self.work.version.template.public_id,
            "connection": self.work.connection.public_id,
            "job": self.job.public_id,
            "clone": self.job.public_id,
            "team": self.work.cast.team.public_id,
            "replay": self.replay.public_id,
            "owner": "olivia",
            "person": "olivia",
            "version": 1,
            "q": "",
        }

    def ask(
        self,
        client: Client,
        route: Route,
        method: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        then: Callable[[], None] = lambda: None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer. `then` looks at what the request changed; after that it is taken back.

        An operation gets a body that is right for it unless another one is given.
        """
        path = self.path(route)
        content, kind = b"", "application/json"
        if route.is_operation:
            query = {name: value for name, value in (query or {}).items() if name in route.query}
            content = json.dumps(body or bodies(self.ids).get(route.name, {})).encode()
        elif body is not None:
            content = urlencode(body, doseq=True).encode()
            kind = "application/x-www-form-urlencoded"
        with transaction.atomic():
            answer = client.generic(
                method, path, content, content_type=kind, query_params=query, headers=headers
            )
            answer.text_seen = read(answer)
            then()
            transaction.set_rollback(True)
        return answer


def read(answer: Any) -> str:
    """Body and headers, streamed or not."""
    if getattr(answer, "streaming", False):
        body = b"".join(answer.streaming_content)
    else:
        body = answer.content
    return f"{answer.headers}\n{body.decode(errors='replace')}"
