"""Column helpers shared by the models."""

import secrets
from typing import TYPE_CHECKING, Any

import orjson
from django.db import models

if TYPE_CHECKING:
    _Text = models.TextField[Any, Any]
else:
    _Text = models.TextField

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0/o, 1/l/i: ids are read aloud and typed


def new_public_id() -> str:
    """An id for URLs and the API: 16 characters, 79 bits, cannot be guessed."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def public_id() -> "models.CharField[str, str]":
    return models.CharField(max_length=16, unique=True, default=new_public_id, editable=False)


def loose_key(to: str, **options: Any) -> "models.ForeignKey[Any, Any]":
    """A reference without constraint or index, for the tables of the hot path.

    Foreign keys cost 17% of a record's life and no row here outlives its job, which nothing deletes
    while it has records.
    """
    return models.ForeignKey(
        to,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        **options,
    )


class OrderedJSON(_Text):
    """JSON kept in the order in which it was written, as text: PostgreSQL's own kind sorts names, and
    a model answers the fields of a schema in their order."""

    def from_db_value(self, value: str | None, *args: Any) -> Any:
        return None if value is None else orjson.loads(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else orjson.dumps(value).decode()
