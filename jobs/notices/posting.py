"""A notice as a webhook: one signed POST, through the same guard as every call that leaves.

The form is that of Standard Webhooks (https://www.standardwebhooks.com), for which there are libraries
in most languages: `webhook-id` stays the same however often a notice is sent, so that a receiver can
drop what it has seen; `webhook-timestamp` is of this try; `webhook-signature` is `v1,` and the base64 of
the HMAC-SHA256 of `{id}.{timestamp}.{body}` under the secret's bytes. docs/api-guide.md shows how to
check it.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings

from jobs.failures import FailureClass
from jobs.models import Notice, Team, Webhook
from jobs.notices.failing import Failed, Failing
from jobs.providers.guard import AddressRefused, check_form
from jobs.providers.transport import LeanTransport, TransportError
from jobs.providers.types import HttpRequest
from jobs.teams.crypto import decrypt

# From the first byte of the connection to the last of the answer.
DEADLINE_S = 10.0
# What a receiver answers is not looked at; a polite one says a few words.
MAX_ANSWER = 64 * 1024
TEST = "webhook.test"
_PREFIX = "whsec_"


def new_secret() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, name: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    mac = hmac.new(key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


def event_of(notice: Notice) -> dict[str, Any]:
    return _event(
        notice.public_id,
        notice.kind,
        notice.created_at,
        notice.team,
        title=notice.title,
        body=notice.body,
        link=settings.PUBLIC_URL + notice.link,
        data=notice.data,
    )


def test_event(webhook: Webhook, now: datetime) -> dict[str, Any]:
    return _event(
        f"test_{secrets.token_hex(8)}",
        TEST,
        now,
        webhook.team,
        title="A test of this webhook",
        body="Somebody pressed the button on the settings page.",
        link=f"{settings.PUBLIC_URL}/settings/webhooks/{webhook.public_id}/",
        data={},
    )


def _event(name: str, kind: str, at: datetime, team: Team, **more: Any) -> dict[str, Any]:
    told = {"id": team.public_id, "name": team.name}
    return {"id": name, "type": kind, "timestamp": at.isoformat(), "team": told, **more}


def post(webhook: Webhook, event: dict[str, Any], now: datetime) -> Failed | None:
    """One try; None when the receiver answered with a 2xx. It takes `DEADLINE_S` at most."""
    try:
        secret = decrypt(webhook.secret_encrypted)
    except ValueError:
        return Failed(Failing.NO_SECRET, "Its secret cannot be read: remove it and make another.")
    body, timestamp = orjson.dumps(event), int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": f"batchllm/{settings.VERSION}",
        "webhook-id": event["id"],
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, event["id"], timestamp, body),
    }
    return asyncio.run(_send(HttpRequest("POST", webhook.url, headers, body)))


async def _send(request: HttpRequest) -> Failed | None:
    transport = LeanTransport(
        allow_private=settings.ALLOW_PRIVATE_ADDRESSES, max_connections=1, max_body=MAX_ANSWER
    )
    try:
        check_form(request.url)
        answer = await transport.send(request, DEADLINE_S)
    except AddressRefused as refusal:
        return Failed(Failing.ADDRESS, str(refusal))
    except TransportError as error:
        failing = Failing.CONNECTION
        if error.failure is FailureClass.TIMEOUT:
            failing = Failing.TIMEOUT
        elif isinstance(error.__cause__, AddressRefused):
            failing = Failing.ADDRESS
        return Failed(failing, str(error))
    finally:
        await transport.close()
    status = answer.status
    if status < 300:
        return None
    if status < 400:
        words = f"It answered {status} and redirects elsewhere, which is never followed."
        return Failed(Failing.REDIRECT, words)
    failing = Failing.REFUSED if status < 500 else Failing.SERVER_ERROR
    return Failed(failing, f"It answered {status}.")
