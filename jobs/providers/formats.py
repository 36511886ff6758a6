"""The wire formats by name, and the fingerprint by which failures are grouped."""

import hashlib
import re
from typing import Protocol

from jobs.failures import FailureClass
from jobs.providers import anthropic_messages, openai_chat, openai_responses
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome


class WireFormat(Protocol):
    """A module with these two functions; see `jobs.providers.types`. `parse` never raises."""

    def build(self, endpoint: Endpoint, call: Call) -> HttpRequest: ...

    def parse(self, response: HttpResponse) -> Outcome: ...


FORMATS: dict[str, WireFormat] = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic_messages": anthropic_messages,
}

_VARIABLE = re.compile(
    r"\"[^\"]{0,200}\"|'[^']{0,200}'|“[^”]{0,200}”|`[^`]{0,200}`"  # quoted values
    r"|\b(?:req|msg|call|chatcmpl|resp|org|batch|file)[-_][\w-]+"  # the vendors' ids
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{12,}\b"
    r"|\d+(?:[.,:]\d+)*",
    re.IGNORECASE,
)


def fingerprint(failure: FailureClass, message: str) -> str:
    """12 hex digits, the same for failures that differ only in numbers, ids and quoted values."""
    normal = _VARIABLE.sub("#", message[:500]).lower().split()
    return hashlib.sha1(  # noqa: S324  a group's name, not a secret
        f"{failure.value} {' '.join(normal)}".encode("utf-8", "replace")
    ).hexdigest()[:12]
