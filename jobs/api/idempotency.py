"""`Idempotency-Key`: a POST that was carried out is answered again, not carried out again."""

import hashlib
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


def idempotent[**P](operation: Callable[P, Any]) -> Callable[P, Any]:
    """Wraps an operation that returns a dict or a Status of one. Failed requests free their key."""

    @wraps(operation)
    def once(*args: P.args, **kwargs: P.kwargs) -> Any:
        request: Any = args[0]
        key = request.headers.get(HEADER, "")
        if not key:
            return operation(*args, **kwargs)
        if len(key) > MAX_KEY or not key.isprintable():
            raise Invalid.field(HEADER, f"Up to {MAX_KEY} printable characters")
        entry, answer = _claim(request, key)
        if answer is not None:
            return answer
        try:
            result = operation(*args, **kwargs)
        except BaseException:
            entry.delete()
            raise
        status, body = (
            (result.status_code, result.value) if isinstance(result, Status) else (200, result)
        )
        IdempotencyKey.objects.filter(pk=entry.pk).update(
            status=status, body=orjson.dumps(body).decode()
        )
        return result

    return once


def _claim(request: Any, key: str) -> tuple[IdempotencyKey, HttpResponse | None]:
    team, told = request.auth.team, _hash(request)
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(team=team, key=key, request_hash=told), None
    except IntegrityError:
        entry = IdempotencyKey.objects.get(team=team, key=key)
    if entry.request_hash != told:
        raise Invalid.field(HEADER, "This key was used for another request")
    if entry.status:
        response = HttpResponse(
            entry.body, status=entry.status, content_type="application/json; charset=utf-8"
        )
        response["Idempotent-Replayed"] = "true"
        return entry, response
    now = timezone.now()
    taken = IdempotencyKey.objects.filter(
        pk=entry.pk, created_at__lt=now - ABANDONED, status=0
    ).update(created_at=now)
    if not taken:
        raise Conflict("A request with this Idempotency-Key is still being worked on.")
    return entry, None


def _hash(request: HttpRequest) -> str:
    """What tells a repeated request from another one. Of files the name and size: their content was
    streamed to disk and is not read twice."""
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if request.content_type == "multipart/form-data":
        fields = sorted((name, values) for name, values in request.POST.lists())
        files = sorted(
            (name, file.name, file.size)
            for name, uploads in request.FILES.lists()
            for file in uploads
        )
        digest.update(orjson.dumps([fields, files]))
    else:
        digest.update(request.body)
    return digest.hexdigest()
