"""The audit log: every change that anybody makes is in it, and nothing in it changes."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from jobs.models import AuditEvent, JobStatus
from tests.security.bodies import bodies
from tests.security.routes import Route, routes
from tests.security.test_ids_in_bodies import page_fields
from tests.security.walk import Walk

pytestmark = pytest.mark.django_db
LOCAL = "http://127.0.0.1:9"
SAFE = {"GET", "HEAD", "OPTIONS"}
# What succeeds without a line in a team's log, and why.
NOT_LOGGED = {
    "login": "django-axes keeps the log-ins",
    "logout": "changes nothing but the session",
    "team_switch": "changes nothing but the session",
    "notices_read": "changes nothing but what one has read",
    "notice_read": "changes nothing but what one has read",
    "job_estimate": "changes nothing",
    "launch_estimate": "changes nothing",
    "template_preview": "changes nothing",
    "openapi-json": "a document, whatever the method",
    "openapi-view": "a document, whatever the method",
}


def upload() -> dict[str, Any]:
    return {"file": SimpleUploadedFile("a.csv", b"a,b\n1,2\n"), "name": "New"}


def account(walk: Walk) -> dict[str, Any]:
    file = SimpleUploadedFile("account.csv", b"request_id,cost\nx,1\n")
    return {"file": file, "connection": walk.work.connection.public_id}


def fields_of(walk: Walk) -> dict[str, Callable[[], dict[str, Any]]]:
    """For each page that changes something, a form that it takes."""
    forms = page_fields(walk, {})
    password = {"old_password": "correct-horse-battery-staple-9"}
    password |= dict.fromkeys(("new_password1", "new_password2"), "violet-Tram-77-north")
    found: dict[str, dict[str, Any]] = {
        "login": {"username": "bob", "password": "correct-horse-battery-staple-9"},
        "password": password,
        "team_switch": {"team": walk.work.cast.team.public_id},
        "template_new": forms | {"action": "save"},
        "template_edit": forms | {"action": "save", "name": "", "user": "Changed {{ subject }}"},
        "template_archive": {"archived": "1"},
        "job_new": forms | {"action": "launch"},
        "settings_connection_new": {"name": "New", "api": "openai_chat", "base_url": LOCAL},
        "settings_connection_change": {"name": "New", "api": "openai_chat", "base_url": LOCAL},
        "settings_budget_set": {"stop_at": "2"},
        "job_budget": {"budget": "3"},
        "settings_member_new": {"username": "dora", "role": "operator"},
        "settings_member_role": {"role": "lead"},
        "settings_token_new": {"name": "New", "role": "admin"},
        "notice_preferences": {"email": "a@example.com", "end_after_minutes": "5"},
        "settings_webhook_new": {"url": LOCAL, "kinds": ["job.failed"]},
        "settings_webhook_kinds": {"kinds": ["job.failed", "job.paused"]},
        "settings_team": {"keep_answers": "all"},
        "settings_teams": {"name": "New"},
        "job_revalue": {"from": "2026-01-01"},
    }
    named = {name: (lambda kept=kept: dict(kept)) for name, kept in found.items()}
    return named | {"dataset_upload": upload, "settings_reconciliation": partial(account, walk)}


def sent(walk: Walk, route: Route, method: str, ids: dict[str, Any]) -> Any:
    """The answer to a request that should change something; rolled back by whoever asks."""
    walk.ids, kept = walk.ids | ids, walk.ids
    try:
        path = walk.path(route)
    finally:
        walk.ids = kept
    if route.is_operation:
        headers = {"Authorization": f"Bearer {walk.token_text}"}
        if route.name == "dataset_create":
            return Client().post(path, upload(), headers=headers)
        body = json.dumps(bodies(walk.ids).get(route.name, {})).encode()
        return Client().generic(
            method, path, body, content_type="application/json", headers=headers
        )
    person = walk.work.cast.root if route.rule == "installation_admin" else walk.work.cast.alice
    client = Client() if route.name == "login" else walk.work.cast.client(person)
    fields = fields_of(walk).get(route.name, lambda: page_fields(walk, {}))()
    fields |= {"confirmed": "1"}  # to what asks first
    return client.generic(method, path) if method != "POST" else client.post(path, fields)


def test_every_change_leaves_who_did_what_to_what_from_where(walk: Walk) -> None:
    work = walk.work
    jobs = [
        work.job(pending=1).public_id,
        work.job(pending=1, failed=1, status=JobStatus.PAUSED).public_id,
        work.job(failed=2, status=JobStatus.COMPLETED_WITH_FAILURES).public_id,
    ]
    work.cast.client(work.cast.alice).post("/datasets/new/", upload())
    unused = work.cast.team.datasets.get(name="New")
    work.cast.team.datasets.filter(pk=unused.pk).update(status="failed")
    silent, never, wrong = [], [], []
    for route in routes():
        for method in sorted(set(route.methods) - SAFE):
            statuses, told = set(), 0
            for job in jobs:
                with transaction.atomic():
                    before = AuditEvent.objects.count()
                    answer = sent(
                        walk, route, method, {"job_id": job, "dataset_id": unused.public_id}
                    )
                    events = list(AuditEvent.objects.order_by("pk")[before:])
                    transaction.set_rollback(True)
                statuses.add(answer.status_code)
                told += len(events)
                wrong += [f"{method} {route}: {event}" for event in events if not whole(event)]
            if statuses == {405}:
                continue
            if min(statuses) >= 400:
                never.append(f"{method} {route}: {statuses}")
            # A job that is paused already is not paused again: one of the jobs is not.
            if not told and route.name not in NOT_LOGGED:
                silent.append(f"{method} {route}: {statuses}")
    assert silent == []
    assert wrong == []
    assert never == []  # otherwise it would prove nothing of these


def whole(event: AuditEvent) -> bool:
    who = event.actor_id and event.actor_name
    return bool(who and event.action and event.object_id and event.address == "127.0.0.1")


def test_nothing_in_it_changes(walk: Walk) -> None:
    event = AuditEvent.objects.get()
    event.action = "job.other"
    attempts: list[Callable[[], object]] = [
        event.save,
        event.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(action="job.other"),
        lambda: AuditEvent.objects.bulk_update([event], ["action"]),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError, match="append-only"), transaction.atomic():
            attempt()
    assert AuditEvent.objects.get().action == "job.pause"
    # Its person may go; their name stays.
    walk.work.cast.alice.delete()
    event.refresh_from_db()
    assert (event.actor, event.actor_name) == (None, "alice")


def test_it_is_for_the_admins_of_its_team(walk: Walk) -> None:
    cast = walk.work.cast
    assert "job.pause" in cast.client(cast.alice).get("/settings/audit/").content.decode()
    assert cast.client(cast.bob).get("/settings/audit/").status_code == 403
    assert "job.pause" not in cast.client(cast.charlie).get("/settings/audit/").content.decode()
