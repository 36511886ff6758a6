"""Keys that make a form count once: a double click gives the same key, a changed form another."""

import secrets
from collections.abc import Mapping
from hashlib import sha256

FIELD = "nonce"
_APART = {"csrfmiddlewaretoken"}
_JOIN = "."


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


def launch_key(form: Mapping[str, str], action: str) -> str:
    """The key of a launch: what is launched, and then from which page. A page that was gone back to
    and loaded anew gives the same first half (`same_launch`)."""
    lists = form.lists() if hasattr(form, "lists") else form.items()
    apart = {*_APART, FIELD, "action"}
    said = sorted((name, str(values)) for name, values in lists if name not in apart)
    what = sha256(repr((said, action)).encode()).hexdigest()[:30]
    page = sha256(form.get(FIELD, "").encode()).hexdigest()[:30]
    return f"{what}{_JOIN}{page}"


def same_launch(key: str) -> str:
    """What the keys of all launches of the same thing begin with."""
    return key.partition(_JOIN)[0] + _JOIN
