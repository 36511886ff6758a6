"""Provider keys: encrypted at rest, sent only where they were entered for, rotatable."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.test import override_settings

from jobs.models import AuditEvent, Connection, Webhook
from jobs.teams.connections import connection_remove, connection_save
from jobs.teams.crypto import decrypt, encrypt
from jobs.teams.endpoints import endpoint_of
from tests.cast import Cast, cast, make_connection  # noqa: F401

pytestmark = pytest.mark.django_db
KEY = "sk-long-enough-0123456789"
OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


def save(cast: Cast, connection: Connection | None, **changes: Any) -> Connection:  # noqa: F811
    fields = {
        "name": "Main", "kind": "simulator", "api": None, "base_url": "http://127.0.0.1:9",
        "api_key": None, "limits": {},
    } | changes  # fmt: skip
    return connection_save(actor=cast.actor(cast.alice), connection=connection, **fields)


def test_it_is_not_readable_in_the_table(cast: Cast) -> None:  # noqa: F811
    stored = save(cast, None, api_key=KEY)
    assert KEY not in str(Connection.objects.values().get())
    assert stored.key_last4 == KEY[-4:]
    assert endpoint_of(stored).api_key == KEY
    assert KEY not in repr(endpoint_of(stored))


def test_it_shows_nothing_of_a_short_key(cast: Cast) -> None:  # noqa: F811
    assert save(cast, None, api_key="short").key_last4 == ""


@pytest.mark.parametrize(
    "elsewhere",
    ["http://127.0.0.1:10", "https://127.0.0.1:9", "http://127.0.0.2:9", "http://127.0.0.1:9/v2"],
)
def test_it_is_forgotten_when_the_address_changes(cast: Cast, elsewhere: str) -> None:  # noqa: F811
    stored = save(cast, None, api_key=KEY)
    save(cast, stored, name="Renamed")
    assert endpoint_of(stored).api_key == KEY
    save(cast, stored, base_url=elsewhere)
    assert (stored.key_encrypted, stored.key_last4) == ("", "")
    save(cast, stored, base_url="http://127.0.0.1:9")  # going back does not bring it back
    assert endpoint_of(stored).api_key == ""


def test_it_is_erased_with_its_connection(cast: Cast) -> None:  # noqa: F811
    stored = save(cast, None, api_key=KEY)
    connection_remove(actor=cast.actor(cast.alice), connection=stored)
    stored.refresh_from_db()
    assert stored.key_encrypted == stored.key_last4 == ""
    assert KEY not in str(list(AuditEvent.objects.values()))


def test_an_older_encryption_key_still_reads(cast: Cast) -> None:  # noqa: F811
    with override_settings(FIELD_ENCRYPTION_KEYS=[OLD]):
        token = encrypt(KEY)
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW, OLD]):
        assert decrypt(token) == KEY
        fresh = encrypt(KEY)
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW]):
        assert decrypt(fresh) == KEY
        with pytest.raises(ValueError, match="FIELD_ENCRYPTION_KEYS"):
            decrypt(token)


def test_stored_keys_move_to_the_first_encryption_key(cast: Cast) -> None:  # noqa: F811
    with override_settings(FIELD_ENCRYPTION_KEYS=[OLD]):
        make_connection(cast.team, name="One", key=KEY)
        make_connection(cast.other_team, name="Two", key=KEY)
        make_connection(cast.team, name="Keyless")
        Webhook.objects.create(
            team=cast.team, url="https://example.com/x", secret_encrypted=encrypt("whsec_x")
        )
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW, OLD]):
        call_command("rotate_keys")
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW]):
        found = Connection.objects.exclude(key_encrypted="")
        assert [decrypt(one.key_encrypted) for one in found] == [KEY, KEY]
        assert decrypt(Webhook.objects.get().secret_encrypted) == "whsec_x"
    with override_settings(FIELD_ENCRYPTION_KEYS=[OTHER]):
        with pytest.raises(CommandError, match=r"One \(Support\), Two \(Search\), example.com"):
            call_command("rotate_keys")
        with pytest.raises(ValueError):
            endpoint_of(found[0])
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW]):
        assert endpoint_of(found[0]).api_key == KEY  # what could not be read was left alone
