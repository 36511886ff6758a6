"""What a request asks, as 16 bytes: two calls with the same key ask the same of the same model.

The key is a cryptographic hash: nobody can write a row that passes for another one.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Protocol

import orjson

from jobs.providers.types import Endpoint


class Hash(Protocol):
    def copy(self) -> "Hash": ...

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...


def constant_part(
    endpoint: Endpoint,
    model: str,
    schema: Mapping[str, Any] | None,
    parameters: Mapping[str, Any],
) -> Hash:
    """All of a job's requests but their messages, to be gone on from with each row. The order within a
    schema counts, since models answer in it; that of the parameters does not."""
    asked = [endpoint.api, endpoint.base_url, model]
    written = orjson.dumps([asked, schema]) + orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)
    return blake2b(written, digest_size=16)


def with_messages(constant: Hash, system: str, user: str) -> Hash:
    whole, before = constant.copy(), _bytes(system)
    # With its length, so that no text can move from one message into the other.
    whole.update(b"%d:%b" % (len(before), before))
    whole.update(_bytes(user))
    return whole


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def key_of_values(values: Any) -> bytes:
    """Of what a template takes from a row, by its JSON text."""
    return blake2b(values, digest_size=16).digest()
