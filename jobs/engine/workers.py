"""Processes at work make themselves known."""

import os
import secrets
import socket

from django.conf import settings

from jobs.engine.store import Store
from jobs.models import Worker


def register_worker(kind: str, store: Store) -> str:
    """A row for this process under an id that no process ever had before."""
    worker = secrets.token_hex(16)
    now = store.clock.now()
    Worker.objects.create(
        id=worker,
        kind=kind,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=settings.VERSION,
        started_at=now,
        seen_at=now,
    )
    return worker
