"""From a stored connection to what the providers' code is given."""

from jobs.models import Connection, ConnectionKind
from jobs.providers.types import Endpoint
from jobs.teams.crypto import decrypt

# These cannot be called without a key; local servers and the simulator often have none.
NEEDS_KEY = frozenset({ConnectionKind.OPENAI, ConnectionKind.ANTHROPIC})


def endpoint_of(connection: Connection) -> Endpoint:
    """The one place where a stored key is decrypted. Raises ValueError when it is missing or cannot
    be read."""
    kind = ConnectionKind(connection.kind)
    key = decrypt(connection.key_encrypted) if connection.key_encrypted else ""
    if not key and kind in NEEDS_KEY:
        raise ValueError(f"The connection “{connection.name}” has no key. Enter one, then resume.")
    found = connection.capabilities
    compatible = kind is ConnectionKind.OPENAI_COMPATIBLE
    return Endpoint(
        api=connection.api,
        base_url=connection.base_url,
        api_key=key,
        structured=found.get("structured", "json_schema"),
        legacy_max_tokens=found.get("legacy_max_tokens", compatible),
    )
