"""Connections: saved with their key encrypted, turned into endpoints for the engine, taken away."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs.errors import FieldError, Invalid
from jobs.models import Connection, ConnectionKind, WireApi
from jobs.providers.guard import AddressRefused, check_url
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.crypto import encrypt
from jobs.teams.policy import Action

DEFAULT_BASE_URLS = {
    ConnectionKind.OPENAI: "https://api.openai.com/v1",
    ConnectionKind.ANTHROPIC: "https://api.anthropic.com",
    ConnectionKind.OPENAI_COMPATIBLE: "",
    ConnectionKind.SIMULATOR: "http://127.0.0.1:8090",
}
APIS = {
    ConnectionKind.OPENAI: (WireApi.OPENAI_CHAT, WireApi.OPENAI_RESPONSES),
    ConnectionKind.ANTHROPIC: (WireApi.ANTHROPIC_MESSAGES,),
    ConnectionKind.OPENAI_COMPATIBLE: tuple(WireApi),
    ConnectionKind.SIMULATOR: tuple(WireApi),
}
LIMITS = ("rpm", "input_tpm", "output_tpm", "max_in_flight")
MAX_LIMIT = 2_000_000_000  # what a column holds; far beyond any provider's limit
_NAME_TAKEN = "Another connection of this team has this name"


def connection_save(
    *,
    actor: Actor,
    connection: Connection | None,
    name: str,
    kind: str,
    api: str | None,
    base_url: str,
    api_key: str | None,
    limits: Mapping[str, Any],
) -> Connection:
    """Create a connection, or change one. Raises Invalid with every fault at once.

    `api_key` None keeps the stored key, unless the address changed: a key is only ever sent where it
    was entered for. "" removes it.
    """
    actor.require(Action.CONNECTION_WRITE)
    errors: list[FieldError] = []
    name, base_url = name.strip(), base_url.strip().rstrip("/")
    api_key = api_key.strip() if api_key is not None else None
    if not 1 <= len(name) <= 100 or not name.isprintable():
        errors.append(FieldError(("name",), "1 to 100 characters"))
    clash = Connection.objects.filter(team=actor.team, name=name, removed_at__isnull=True)
    if clash.exclude(pk=connection.pk if connection and connection.pk else 0).exists():
        errors.append(FieldError(("name",), _NAME_TAKEN))
    if kind not in ConnectionKind.values:
        raise Invalid(
            [*errors, FieldError(("kind",), f"One of {', '.join(ConnectionKind.values)}")]
        )
    known = ConnectionKind(kind)
    api = api or APIS[known][0].value
    if api not in {choice.value for choice in APIS[known]}:
        choices = ", ".join(choice.value for choice in APIS[known])
        errors.append(FieldError(("api",), f"A connection of kind {kind} speaks {choices}"))
    base_url = base_url or DEFAULT_BASE_URLS[known]
    try:
        if len(base_url) > 500:
            raise AddressRefused("At most 500 characters")
        check_url(base_url, settings.ALLOW_PRIVATE_ADDRESSES)
    except AddressRefused as refusal:
        errors.append(FieldError(("base_url",), str(refusal)))
    if api_key and not (api_key.isascii() and api_key.isprintable() and len(api_key) <= 1000):
        errors.append(FieldError(("api_key",), "A key has only printable ASCII characters"))
    kept = _limits(limits, errors)
    if errors:
        raise Invalid(errors)
    created = connection is None
    if connection is None:
        connection = Connection(team=actor.team, created_by=actor.user)
    elif connection.base_url != base_url or connection.api != api:
        # What the last test found was found at another place.
        connection.capabilities = {}
        connection.tested_at, connection.test_failure, connection.test_message = None, "", ""
    if connection.base_url != base_url or api_key == "":
        connection.key_encrypted = connection.key_last4 = ""
    if api_key:
        connection.key_encrypted = encrypt(api_key)
        # Four characters of a short key would be too much of it.
        connection.key_last4 = api_key[-4:] if len(api_key) >= 12 else ""
    connection.name, connection.kind, connection.api = name, kind, api
    connection.base_url = base_url
    for limit, value in kept.items():
        setattr(connection, limit, value)
    try:
        with transaction.atomic():
            connection.save()
            record(
                actor,
                "connection.add" if created else "connection.change",
                connection,
                name=name,
                kind=kind,
                api=api,
                base_url=base_url,
                key_changed=bool(api_key),
                **kept,
            )
    except IntegrityError as error:
        # Somebody else took the name between the check and the write.
        raise Invalid.field("name", _NAME_TAKEN) from error
    return connection


def _limits(limits: Mapping[str, Any], errors: list[FieldError]) -> dict[str, int | None]:
    kept: dict[str, int | None] = {}
    for name in limits:
        if name not in LIMITS:
            errors.append(FieldError(("limits", name), f"Unknown; there are {', '.join(LIMITS)}"))
    for name in LIMITS:
        value = limits.get(name)
        if value is None or value == "":
            kept[name] = None
            continue
        try:
            number = int(str(value).replace(",", "").replace(" ", ""))
        except ValueError:
            number = 0
        if not 1 <= number <= MAX_LIMIT:
            errors.append(FieldError(("limits", name), f"A whole number from 1 to {MAX_LIMIT:,}"))
        else:
            kept[name] = number
    return kept


def connection_remove(*, actor: Actor, connection: Connection) -> None:
    """No job can use it any more; running ones pause. Its ledger stays. The key is erased."""
    actor.require(Action.CONNECTION_WRITE)
    with transaction.atomic():
        connection.removed_at = timezone.now()
        connection.key_encrypted = connection.key_last4 = ""
        connection.save(update_fields=["removed_at", "key_encrypted", "key_last4"])
        record(actor, "connection.remove", connection, name=connection.name)
