"""Behind a reverse proxy the client is who the proxy says, and only then."""

import pytest
from django.conf import settings
from django.test import Client, override_settings

from jobs.models import AuditEvent
from tests.cast import Cast, cast  # noqa: F401

pytestmark = pytest.mark.django_db
BEHIND = override_settings(
    MIDDLEWARE=["jobs.web.proxy.ClientAddressMiddleware", *settings.MIDDLEWARE]
)


def made_a_team(client: Client, name: str, forwarded: str) -> str | None:
    client.post("/settings/teams/", {"name": name}, headers={"X-Forwarded-For": forwarded})
    return AuditEvent.objects.get(action="team.create", team__name=name).address


def test_it_takes_the_address_from_the_proxy_and_not_from_the_client(cast: Cast) -> None:  # noqa: F811
    root = cast.client(cast.root)
    assert made_a_team(root, "a", "198.51.100.7") == "127.0.0.1"
    with BEHIND:
        root = cast.client(cast.root)  # a client loads the middleware once
        assert made_a_team(root, "b", "198.51.100.7") == "198.51.100.7"
        assert made_a_team(root, "c", "10.0.0.1, 2001:db8::5") == "2001:db8::5"
        assert made_a_team(root, "d", "unknown") == "127.0.0.1"


def test_a_lock_out_meets_one_client_and_not_all_behind_the_proxy(cast: Cast) -> None:  # noqa: F811
    def fail(address: str) -> int:
        answer = Client().post(
            "/accounts/login/",
            {"username": "alice", "password": "wrong"},
            headers={"X-Forwarded-For": address},
        )
        return answer.status_code

    with BEHIND:
        for _ in range(settings.AXES_FAILURE_LIMIT):
            last = fail("198.51.100.7")
        assert last == 429
        assert fail("198.51.100.8") == 422
