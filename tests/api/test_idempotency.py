"""Idempotency-Key"""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection as database

from jobs.models import Dataset, IdempotencyKey, Job, PromptTemplate
from tests.api.caller import CSV, Caller, work
from tests.cast import Cast

NOWHERE = "http://127.0.0.1:9"
DRAFT = {"name": "Sort", "user": "{{ text }}"}


@pytest.mark.django_db
def test_it_answers_every_kind_of_post_again(api: Caller) -> None:
    parts = api.parts(NOWHERE)
    job = api.post("/jobs", parts, 201)["id"]
    posts: list[tuple[str, Any, int]] = [
        ("/templates", {**DRAFT, "name": "New"}, 200),
        (f"/templates/{parts['template']}/preview", {"dataset": parts["dataset"]}, 200),
        ("/connections", {"name": "New", "kind": "simulator", "base_url": NOWHERE}, 201),
        ("/prices", {"model": "m", "input": 1, "output": 1}, 201),
        ("/jobs", parts, 201),
        (f"/jobs/{job}/pause", None, 200),
        (f"/jobs/{job}/resume", None, 200),
        (f"/jobs/{job}/cancel", None, 200),
    ]
    for path, body, status in posts:
        sent = b"" if body is None else json.dumps(body)
        first = api.ask("POST", path, sent, key=path)
        again = api.ask("POST", path, sent, key=path)
        assert first.status_code == again.status_code == status, first.content
        assert again.json() == first.json()
        assert again["Idempotent-Replayed"] == "true"
    assert Job.objects.count() == 2


@pytest.mark.django_db
def test_it_answers_an_upload_again_by_the_content_of_the_file(api: Caller) -> None:
    first = api.upload(CSV, key="k")
    assert api.upload(CSV, key="k") == first
    assert Dataset.objects.count() == 1
    same_size = CSV.replace("late", "lost")
    (error,) = api.upload(same_size, key="k", status=422)["errors"]
    assert error["loc"] == ["Idempotency-Key"]
    api.upload(CSV, key="k", name="other", status=422)


@pytest.mark.django_db
def test_it_refuses_a_key_for_another_request(api: Caller) -> None:
    template = api.post("/templates", DRAFT, key="k")["id"]
    again = api.ask("POST", "/templates", json.dumps({**DRAFT, "user": "x"}), key="k")
    assert again.status_code == 422
    assert again.json()["errors"][0]["loc"] == ["Idempotency-Key"]
    elsewhere = api.ask("POST", "/prices", json.dumps(DRAFT | {"model": "m"}), key="k")
    assert elsewhere.status_code == 422
    assert PromptTemplate.objects.get().public_id == template


@pytest.mark.django_db
def test_it_keeps_the_keys_of_tokens_apart(api: Caller, cast: Cast, stranger: Caller) -> None:
    parts, theirs = api.parts(NOWHERE), stranger.parts(NOWHERE)
    colleague = Caller(cast.token(cast.bob))
    first = api.post("/jobs", parts, 201, key="k")
    second = colleague.post("/jobs", {**parts, "name": "bob's"}, 201, key="k")
    third = stranger.post("/jobs", theirs, 201, key="k")
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert second["name"] == "bob's"


@pytest.mark.django_db
def test_it_tells_long_keys_apart(api: Caller) -> None:
    parts = api.parts(NOWHERE)
    keys = ("k" * 199 + "a", "k" * 199 + "b")
    assert len({api.post("/jobs", parts, 201, key=key)["id"] for key in keys}) == 2
    too_long = api.ask("POST", "/jobs", json.dumps(parts), key="k" * 201)
    assert too_long.json()["errors"][0]["loc"] == ["Idempotency-Key"]


@pytest.mark.django_db
def test_it_does_not_burn_the_key_of_a_request_that_failed(api: Caller) -> None:
    parts = api.parts(NOWHERE)
    api.post("/jobs", {**parts, "mode": "batch"}, 422, key="k")
    api.post("/jobs", {**parts, "dataset": "none"}, 404, key="k")
    api.ask("POST", "/jobs", "{", key="k")
    assert api.post("/jobs", parts, 201, key="k")["status"] == "queued"


@pytest.mark.django_db
def test_it_gives_the_job_again_where_the_answer_was_lost_with_its_process(api: Caller) -> None:
    parts = api.parts(NOWHERE)
    job = api.post("/jobs", parts, 201, key="k")["id"]
    # As it stands after a kill between the launch and the note of its answer.
    entry = IdempotencyKey.objects.get()
    long_ago = entry.created_at - timedelta(minutes=2)
    IdempotencyKey.objects.update(status=0, body="", created_at=long_ago)
    assert api.post("/jobs", parts, 201, key="k")["id"] == job
    assert Job.objects.count() == 1
    assert IdempotencyKey.objects.get().status == 201


@pytest.mark.django_db
def test_it_says_that_a_request_is_still_being_worked_on(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.api.idempotency.PATIENCE_S", 0)
    api.post("/templates", DRAFT, key="k")
    IdempotencyKey.objects.update(status=0, body="")
    problem = api.post("/templates", DRAFT, 409, key="k")
    assert "worked on" in problem["detail"]
    assert problem["errors"] == [{"loc": ["Idempotency-Key"], "msg": problem["detail"]}]


@pytest.mark.django_db(transaction=True)
def test_it_launches_one_job_for_requests_at_the_same_moment(api: Caller, cast: Cast) -> None:
    parts = api.parts(NOWHERE)
    token = cast.token(cast.alice)
    together = Barrier(6)

    def launch(_: int) -> tuple[int, Any]:
        try:
            together.wait()
            answer = Caller(token).ask("POST", "/jobs", json.dumps(parts), key="k")
            return answer.status_code, answer.json()
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(launch, range(6)))
    assert {status for status, _ in answers} == {201}
    assert len({job["id"] for _, job in answers}) == 1
    assert Job.objects.count() == 1
    Job.objects.update(status="cancelled")
    work()
