"""A value of a row as a page shows it: null and a column that the row does not have are told from
texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.written import as_json


@dataclass(frozen=True, slots=True)
class Cell:
    text: str | None
    absence: str = ""


def cell(values: Mapping[str, Any], name: str) -> Cell:
    value = values.get(name)
    if value is None:
        return Cell(None, "null" if name in values else "—")
    return Cell(as_text(value))


def as_text(value: object) -> str:
    """A cell as text: a string as it is, nothing as nothing, all else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else as_json(value).decode()
