"""Secrets planted to be searched for afterwards, in every writing that a leak might take."""

import base64
import html
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django_q.models import OrmQ


def writings(secret: str) -> set[str]:
    """Plain, JSON, URL, HTML, hexadecimal, and base64 wherever in a text it was; all of them also
    backwards."""
    raw = secret.encode()
    found = {secret, json.dumps(secret)[1:-1], json.dumps(secret)[1:-1].replace("/", "\\/")}
    found |= {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    found |= {html.escape(secret), raw.hex()}
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode()
        inner = coded[[0, 2, 3][before] : (before + len(raw)) // 3 * 4]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found | {one[::-1] for one in found}


def hits(secrets: Mapping[str, str], places: Mapping[str, str]) -> list[str]:
    """Which secret stands where, and how it is written there."""
    forms = [(name, form) for name, secret in secrets.items() for form in writings(secret)]
    return [
        f"{name} in {place}: …{text[max(0, text.index(form) - 60) :][:140]}…"
        for place, text in places.items()
        for name, form in forms
        if form in text
    ]


def tables() -> dict[str, str]:
    """Every row of every table, as text. Sessions and the queue's messages also decoded."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = "\n".join("\t".join(map(_cell, row)) for row in cursor.fetchall())
    found["sessions, decoded"] = str(
        [SessionStore().decode(one.session_data) for one in Session.objects.all()]
    )
    found["queue, decoded"] = str([message.task for message in OrmQ.objects.all()])
    return found


def _cell(value: Any) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


def database_files() -> Iterator[tuple[str, str]]:
    """The raw bytes of an SQLite database: what was overwritten may still stand there."""
    if connection.vendor == "sqlite":
        path = str(connection.settings_dict["NAME"])
        for name in (path, f"{path}-wal"):
            try:
                with open(name, "rb") as file:
                    yield name, file.read().decode("latin-1")
            except FileNotFoundError:
                pass


def parquet_text(content: bytes) -> str:
    """What stands in a Parquet file once it is inflated."""
    import pyarrow as pa

    return str(pq.read_table(pa.BufferReader(content)).to_pylist())
