"""The part of a prompt that is the same for each row: what a provider may keep between calls."""

from dataclasses import dataclass

from jobs.prompts.language import TAG, TOKEN
from jobs.prompts.tokens import estimate_tokens


@dataclass(frozen=True, slots=True)
class Prefix:
    """How the messages of every row begin: the system text, and where that is constant, the beginning
    of the user's too."""

    system: str
    user: str

    @property
    def tokens(self) -> int:
        text = self.system + self.user
        return estimate_tokens(text) if text else 0


def constant_prefix(system: str, user: str) -> Prefix:
    """Of a template's texts, which compile."""
    before, whole = _before_first_tag(system)
    return Prefix(before, _before_first_tag(user)[0] if whole else "")


def constant_tokens(system: str, user: str) -> int:
    """What the prefix would hold if all that is taken from the row stood at the end: all text outside
    the tags, but for that between `if` or `for` and their ends."""
    text = "".join(_outside_tags(one) for one in (system, user))
    return estimate_tokens(text) if text else 0


def _before_first_tag(text: str) -> tuple[str, bool]:
    """The text up to the first tag, and whether that is all of it."""
    tag = TAG.search(text)
    if tag is None:
        return text, True
    before = text[: tag.start()]
    # A tag that begins with a minus takes the white space before it away.
    return (before.rstrip() if tag[0][2:3] == "-" else before), False


def _outside_tags(text: str) -> str:
    kept, depth, at = [], 0, 0
    for tag in TAG.finditer(text):
        if depth == 0:
            kept.append(text[at : tag.start()])
        at = tag.end()
        word = TOKEN.match(tag["stmt"] or "")
        name = word["name"] if word else ""
        depth += (name in ("if", "for")) - (name in ("endif", "endfor"))
    return "".join(kept) + (text[at:] if depth == 0 else "")
