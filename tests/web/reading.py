"""Reading a page as its visitor does: controls by their words, figures beside their labels."""

import re
from html.parser import HTMLParser
from typing import Any, Protocol

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

LIVE = {"HX-Request": "true", "HX-Target": "section#live"}
RECORDS = {"HX-Request": "true", "HX-Target": "section#records"}


class Page(Protocol):
    """What the test client answers with."""

    @property
    def content(self) -> bytes: ...


def text(response: Page) -> str:
    """The words of the page, tags left out, white space as one blank."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(response: Page, name: str) -> list[dict[str, str | None]]:
    """The attributes of each tag of a name, in order; a browser's view of what is markup."""
    parser = _Tags()
    parser.feed(response.content.decode())
    return [attributes for tag, attributes in parser.found if tag == name]


def tag_with(response: Page, tag: str, /, **attributes: str) -> dict[str, str | None]:
    """The one tag with these attributes."""
    found = [one for one in tags(response, tag) if attributes.items() <= one.items()]
    assert len(found) == 1, f"{len(found)} tags <{tag}> with {attributes}"
    return found[0]


def assert_harmless(response: Page) -> None:
    """Nothing of the hostile text became markup, and the text is there for people to read."""
    assert "alert(2)" in response.content.decode()
    assert "alert(2)" not in [one.get("src") for one in tags(response, "script")]
    assert not [one for one in tags(response, "img") if one.get("src") == "x"]
    assert "<script>alert" not in response.content.decode()


def queries(client: Client, url: str, **more: Any) -> int:
    """How many queries a page takes; it must answer 200."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url, **more).status_code == 200
    return len(captured)
