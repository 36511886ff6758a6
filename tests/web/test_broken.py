"""A database that does not answer is told in words, and costs nobody what was typed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.test import Client

from tests.cast import Cast, cast  # noqa: F401

pytestmark = pytest.mark.django_db


@contextmanager
def refused(error: Exception) -> Iterator[None]:
    """Each statement fails."""

    def refuse(*_: Any) -> None:
        raise error

    with connection.execute_wrapper(refuse):
        yield


def asker(client: Client) -> Client:
    client.raise_request_exception = False
    return client


def test_a_page_says_that_the_database_is_away_and_when_to_ask_again(cast: Cast) -> None:  # noqa: F811
    client = asker(cast.client(cast.olivia))
    with refused(OperationalError("server closed the connection")):
        answer = client.get("/jobs/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "The database does not answer" in answer.text
    with refused(ProgrammingError("no such column")):
        assert client.get("/jobs/").status_code == 500


def test_a_form_comes_back_with_what_was_typed_and_is_sent_by_hand(cast: Cast) -> None:  # noqa: F811
    client = asker(cast.client(cast.olivia))
    form = {"name": "Sort <b>tickets</b>", "user": "{{ text }}", "api_key": "sk-secret"}
    with refused(OperationalError("server closed the connection")):
        answer = client.post("/templates/new/", form)
    assert answer.status_code == 503
    assert 'value="Sort &lt;b&gt;tickets&lt;/b&gt;"' in answer.text
    assert "sk-secret" not in answer.text
    assert "the API key" in answer.text


def test_the_api_answers_with_a_problem(cast: Cast) -> None:  # noqa: F811
    token = cast.token(cast.olivia)
    with refused(OperationalError("server closed the connection")):
        answer = asker(Client()).get("/api/v1/jobs", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer["Content-Type"] == "application/problem+json"
