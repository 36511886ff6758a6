"""`Idempotency-Key`: a POST that was carried out is answered again, not carried out again."""

import hashlib
import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Status

from jobs.errors import Conflict, Invalid
from jobs.models import IdempotencyKey

HEADER = "Idempotency-Key"
MAX_KEY = 200
# A request that holds its key for longer has died; the next one takes it over.
ABANDONED = timedelta(minutes=1)
# A doubled request waits so long for the answer of the first one before it is told to come again.
PATIENCE_S = 3.0
POLL_S = 0.05


class KeyInUse(Conflict):
    """Another request with this key has no answer yet (409)."""


def idempotent[**P](operation: Callable[P, Any]) -> Callable[P, Any]:
    """Wraps an operation that returns a dict or a Status of one. Failed requests free their key."""

    @wraps(operation)
    def once(*args: P.args, **kwargs: P.kwargs) -> Any:
        request: Any = args[0]
        given = request.headers.get(HEADER, "")
        if not given:
            return operation(*args, **kwargs)
        if len(given) > MAX_KEY or not given.isprintable():
            raise Invalid.field(HEADER, f"Up to {MAX_KEY} printable characters")
        entry, answer = _claim(request, _scoped(request, given))
        if entry is None:
            return answer
        request.once_key = _digest(entry.key, entry.request_hash)
        # Only what this request claimed: after a minute another one may have taken it over.
        mine = IdempotencyKey.objects.filter(pk=entry.pk, created_at=entry.created_at, status=0)
        try:
            result = operation(*args, **kwargs)
        except BaseException:
            mine.delete()
            raise
        status, body = (
            (result.status_code, result.value) if isinstance(result, Status) else (200, result)
        )
        mine.update(status=status, body=orjson.dumps(body).decode())
        return result

    return once


def once_key(request: HttpRequest) -> str:
    """What launches and replays keep of the key, so that one whose answer was lost with its process is
    not carried out twice; "" without a key."""
    return getattr(request, "once_key", "")


def _claim(request: Any, key: str) -> tuple[IdempotencyKey | None, HttpResponse | None]:
    """The key, if it is this request's to use, or the answer that it stands for."""
    team, told = request.auth.team, _hash(request)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with transaction.atomic():
                made = IdempotencyKey.objects.create(team=team, key=key, request_hash=told)
            return made, None
        except IntegrityError:
            entry = IdempotencyKey.objects.filter(team=team, key=key).first()
        if entry is None:
            continue  # the other one failed just now and freed the key
        if entry.request_hash != told:
            raise Invalid.field(HEADER, "This key was used for another request")
        if entry.status:
            response = HttpResponse(
                entry.body, status=entry.status, content_type="application/json; charset=utf-8"
            )
            response["Idempotent-Replayed"] = "true"
            return None, response
        now = timezone.now()
        if entry.created_at < now - ABANDONED and IdempotencyKey.objects.filter(
            pk=entry.pk, created_at=entry.created_at, status=0
        ).update(created_at=now):
            entry.created_at = now
            return entry, None
        if time.monotonic() > deadline:
            raise KeyInUse("A request with this Idempotency-Key is still being worked on.")
        time.sleep(POLL_S)


def _scoped(request: Any, key: str) -> str:
    """Keys of different tokens have nothing to do with each other."""
    return _digest(request.headers.get("Authorization", ""), key)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _hash(request: HttpRequest) -> str:
    """What tells a repeated request from another one. Files were hashed as they arrived."""
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if request.content_type == "multipart/form-data":
        fields = sorted((name, values) for name, values in request.POST.lists())
        files = sorted(
            (name, file.name, file.sha256)  # type: ignore[attr-defined]  # by DiskUploadHandler
            for name, uploads in request.FILES.lists()
            for file in uploads
        )
        digest.update(orjson.dumps([fields, files]))
    else:
        digest.update(request.body)
    return digest.hexdigest()
