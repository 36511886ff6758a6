"""What the files of the interface must not contain, and that others' files are unchanged."""

import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
STATIC = ROOT / "static"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
HOOKS = sorted((STATIC / "js").glob("*.js"))
FORBIDDEN = {
    "an inline style": r"\sstyle\s*=|<style",
    "an inline script": r"<script(?![^>]*\ssrc=)",
    "an event attribute": r"\son[a-z]+\s*=\s*[\"']",
    "hx-on or js:": r"hx-on|[\"']js:",
    "a trigger filter": r"hx-trigger=\"[^\"]*\[",
    "unescaped output": r"\|\s*safe\b|autoescape\s+off",
    "something from elsewhere": r"(?:src|href|action)=\"(?:https?:)?//",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_nothing_the_browser_would_refuse(path: Path) -> None:
    text = path.read_text()
    found = [name for name, pattern in FORBIDDEN.items() if re.search(pattern, text)]
    assert found == []


def test_a_text_area_begins_with_the_line_break_that_html_drops() -> None:
    """Else it would be the value's own first one; so it is with preformatted text."""
    tag = r"<(?:textarea|pre)\b"
    areas = [one for path in TEMPLATES for one in re.split(tag, path.read_text())[1:]]
    assert areas
    for area in areas:
        assert re.search(r">\n(?:\{\{ [\w.]+ \}\})?</(?:textarea|pre)>", area)


@pytest.mark.parametrize("path", HOOKS, ids=lambda path: path.name)
def test_a_hook_is_one_small_behaviour(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 40
    assert text.startswith("// ")
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b|\.style\b", text)


def test_the_stylesheet_stays_small() -> None:
    assert len((STATIC / "app.css").read_text().splitlines()) <= 250


def test_every_hook_is_loaded() -> None:
    base = (ROOT / "templates" / "base.html").read_text()
    assert {path.name for path in HOOKS} == set(re.findall(r"js/([a-z]+\.js)", base))


def test_files_of_others_are_what_the_readme_says() -> None:
    readme = (STATIC / "vendor" / "README.md").read_text()
    listed = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", readme, re.M))
    files = {
        str(path.relative_to(STATIC / "vendor"))
        for path in (STATIC / "vendor").rglob("*")
        if path.suffix in {".js", ".css"}
    }
    assert set(listed) == files
    for name, digest in listed.items():
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest


def test_every_icon_in_use_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))
    sources = [*TEMPLATES, *(ROOT / "jobs").rglob("*.py")]
    used = {
        name
        for path in sources
        for name in re.findall(
            r"""\{% icon ["']([a-z0-9-]+)|\bicon=["']([a-z0-9-]+)""", path.read_text()
        )
        for name in name
        if name
    }
    assert used - sprite == set()
