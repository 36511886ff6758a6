"""An id of another team inside a body leads as little there as one in an address."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from jobs.models import (
    Budget,
    Connection,
    Dataset,
    DatasetStatus,
    DirectCall,
    Job,
    Price,
    PromptTemplate,
    Replay,
    Team,
    TemplateVersion,
)
from tests.cast import make_connection
from tests.security.bodies import bodies, documented_bodies, id_paths, with_value
from tests.security.routes import operations, pages
from tests.security.walk import Walk

pytestmark = pytest.mark.django_db
FOREIGN = "zq8foreign"


@dataclass
class Foreign:
    """What the team Search has, for the admin of Support to reach for."""

    team: Team
    dataset: Dataset
    template: PromptTemplate
    version: TemplateVersion
    connection: Connection

    def id_of(self, name: str) -> str:
        return str(getattr(self, name).public_id)

    def touched(self) -> list[str]:
        """What refers to any of it; nothing may."""
        by = {
            "a job": Job.objects.filter(dataset=self.dataset)
            | Job.objects.filter(connection=self.connection)
            | Job.objects.filter(template_version=self.version),
            "a replay": Replay.objects.filter(connection=self.connection)
            | Replay.objects.filter(template_version=self.version),
            "a budget": Budget.objects.filter(connection=self.connection)
            | Budget.objects.filter(team=self.team),
            "a price": Price.objects.filter(connection=self.connection),
            "a call": DirectCall.objects.filter(connection=self.connection),
        }
        found = [what for what, rows in by.items() if rows.exists()]
        self.connection.refresh_from_db()
        self.dataset.refresh_from_db()
        if (
            self.connection.removed_at
            or self.connection.tested_at
            or FOREIGN not in str([self.connection.name, self.dataset.name])
        ):
            found.append("a change")
        return found


@pytest.fixture
def foreign(walk: Walk) -> Foreign:
    team = walk.work.cast.other_team
    template = PromptTemplate.objects.create(team=team, name=f"{FOREIGN} t", latest_version=1)
    return Foreign(
        team=team,
        dataset=Dataset.objects.create(
            team=team,
            name=f"{FOREIGN} d",
            status=DatasetStatus.READY,
            rows=1,
            columns=[{"name": FOREIGN, "type": "string", "nulls": 0, "examples": [FOREIGN]}],
        ),
        template=template,
        version=TemplateVersion.objects.create(
            template=template, version=1, system=FOREIGN, user=FOREIGN
        ),
        connection=make_connection(team, name=f"{FOREIGN} c"),
    )


@pytest.fixture
def bearer(walk: Walk) -> dict[str, str]:
    return {"Authorization": f"Bearer {walk.token_text}"}


def test_it_has_a_body_for_every_operation_that_takes_one(walk: Walk) -> None:
    assert set(bodies(walk.ids)) == set(documented_bodies())


def test_it_takes_those_bodies(walk: Walk, bearer: dict[str, str]) -> None:
    """Otherwise the refusals below would prove nothing."""
    for route in operations():
        if route.name in bodies(walk.ids):
            answer = walk.ask(Client(), route, route.methods[0], headers=bearer)
            assert answer.status_code in (200, 201, 202), (str(route), answer.text_seen)


def test_it_follows_no_foreign_id_in_a_body(
    walk: Walk, foreign: Foreign, bearer: dict[str, str]
) -> None:
    followed, tried, touched = [], 0, []
    for route in operations():
        schema = documented_bodies().get(route.name)
        for path in id_paths(schema) if schema else ():
            body = with_value(bodies(walk.ids)[route.name], path, foreign.id_of(path[-1]))
            answer = walk.ask(
                Client(),
                route,
                route.methods[0],
                body=body,
                then=lambda: touched.extend(foreign.touched()),
                headers=bearer,
            )
            tried += 1
            if answer.status_code not in (404, 422) or FOREIGN in answer.text_seen:
                followed.append(f"{route} {path}: {answer.status_code}")
    assert followed == []
    assert touched == []
    assert tried >= 7  # dataset, template and connection of a launch; and four more


def page_fields(walk: Walk, swapped: dict[str, str]) -> dict[str, Any]:
    """Fields of all forms, with the own team's objects but for the swapped ones."""
    own = {
        "dataset": walk.work.dataset.public_id,
        "template": walk.work.version.template.public_id,
        "connection": walk.second.public_id,
    }
    ids = own | swapped
    return {
        **ids,
        **{f"try_{name}": value for name, value in ids.items()},
        "from": ids["template"],
        "name": "New",
        "model": "sim-mini",
        "try_model": "sim-mini",
        "try_rows": "1",
        "system": "x",
        "user": "{{ subject }}",
        "rows": "all",
        "max_attempts": "3",
        "max_repairs": "1",
        "tolerated": "30",
        "priority": "0",
        "input": "1",
        "output": "1",
        "intent": "start",
    }


def test_it_takes_those_fields(walk: Walk) -> None:
    """Otherwise the refusals below would prove nothing."""
    client = walk.work.cast.client(walk.work.cast.alice)
    fields = page_fields(walk, {})
    for path in ("/jobs/new/", f"/jobs/{walk.job.public_id}/replay/", "/settings/prices/new/"):
        assert client.post(path, fields | {"action": "launch"}).status_code == 302, path


@pytest.mark.parametrize("action", ["", "try", "check", "launch", "save", "pilot"])
def test_it_follows_no_foreign_id_in_a_form(walk: Walk, foreign: Foreign, action: str) -> None:
    client = walk.work.cast.client(walk.work.cast.alice)
    leaks: list[str] = []
    touched: list[str] = []
    for chosen in ("dataset", "template", "connection"):
        fields = page_fields(walk, {chosen: foreign.id_of(chosen)}) | {"action": action}
        for route in pages():
            for method in ("POST", "GET"):
                answer = walk.ask(
                    client,
                    route,
                    method,
                    body=fields if method == "POST" else None,
                    query=fields if method == "GET" else None,
                    then=lambda: touched.extend(foreign.touched()),
                )
                if FOREIGN in answer.text_seen:
                    leaks.append(f"{method} {route} with a foreign {chosen}")
    assert leaks == []
    assert touched == []
