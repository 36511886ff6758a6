"""Secrets at rest: encrypted with the first of FIELD_ENCRYPTION_KEYS, readable with any of them.

To change the key, put a new one first, restart everything, run `manage.py rotate_keys`, then take the
old one out of the list.
"""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction

from jobs.models import Connection, Webhook


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _installed() -> MultiFernet:
    return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS))


def encrypt(text: str) -> str:
    return _installed().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Raises ValueError when none of the installation's keys fits."""
    try:
        return _installed().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise ValueError(
            "The stored secret cannot be read with this installation's FIELD_ENCRYPTION_KEYS"
        ) from error


def rotate_stored_keys() -> tuple[int, list[str]]:
    """Encrypt every stored provider key and webhook secret with the first encryption key. Returns how
    many were, and the connections and webhooks whose secret none of the installation's keys reads;
    these stay as they are."""
    done, unreadable = 0, []
    for model, field in ((Connection, "key_encrypted"), (Webhook, "secret_encrypted")):
        for pk in model.objects.exclude(**{field: ""}).values_list("pk", flat=True):
            with transaction.atomic():
                # Locked: a key that is entered at the same moment must not be overwritten by an old one.
                owner = model.objects.select_for_update().get(pk=pk)
                stored = getattr(owner, field)
                if not stored:
                    continue
                try:
                    fresh = _installed().rotate(stored.encode()).decode()
                except InvalidToken:
                    unreadable.append(f"{owner} ({owner.team.name})")
                    continue
                model.objects.filter(pk=pk).update(**{field: fresh})
                done += 1
    return done, unreadable
