"""Lists: {items, next} with an opaque cursor."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any

from ninja import Query

from jobs.errors import Invalid

PAGE = 50
MAX_PAGE = 500
_HIGHEST = 2**63 - 1  # what a key can be

Cursor = Annotated[str, Query(description="`next` of the page before; none for the first page")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items a page, at most")]


def cursor_of(key: int) -> str:
    return base64.urlsafe_b64encode(f"k{key}".encode()).decode().rstrip("=")


def key_of(cursor: str) -> int | None:
    """The key behind a cursor, None without one. Raises Invalid for a text that never was one."""
    if not cursor:
        return None
    try:
        text = base64.b64decode(
            cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True
        ).decode("ascii")
        if not text.startswith("k") or not text[1:].isdecimal() or len(text) > 20:
            raise ValueError
        key = int(text[1:])
        if key > _HIGHEST:
            raise ValueError
    except (binascii.Error, ValueError) as error:
        raise Invalid.field("cursor", "Not a cursor of this list") from error
    return key


def page_of(items: Sequence[Any], next_key: int | None) -> dict[str, Any]:
    return {"items": list(items), "next": None if next_key is None else cursor_of(next_key)}
