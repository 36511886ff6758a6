"""Keys that make a form count once: a double click gives the same key, a changed form another."""

import secrets
from collections.abc import Mapping
from hashlib import sha256

FIELD = "nonce"
_APART = {"csrfmiddlewaretoken"}


def new_nonce() -> str:
    """For the hidden field `nonce` of a form that is rendered afresh."""
    return secrets.token_hex(12)


def form_key(form: Mapping[str, str], *more: object) -> str:
    """The key of a submitted form: from its nonce and all that it says.

    Sent twice, it is the same; going back and changing something is another request.
    """
    lists = form.lists() if hasattr(form, "lists") else form.items()
    said = sorted((name, str(values)) for name, values in lists if name not in _APART)
    return sha256(repr((said, *more)).encode()).hexdigest()[:40]
