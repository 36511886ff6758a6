"""What a prompt offers for an answer: its words, numbers and addresses, and what they hint at."""

import re
from functools import cached_property

from jobs.simulator.draws import Draws

_WORD = re.compile(r"[^\W_][\w'-]*")
_NUMBER = re.compile(r"(?<![\w.])\d{1,9}(?:\.\d{1,4})?(?![\w.]*\w)")
_EMAIL = re.compile(r"[\w.+-]{1,40}@[\w-]{1,40}\.[a-z]{2,10}")
_MARKER = re.compile(r"\[\[(?:fault|tokens):[^\]]*\]\]\s*")

# What in a text speaks for which word of an enum. Small on purpose: plausible, not clever.
_HINTS: dict[str, str] = {
    "billing": "refund refunds invoice invoices charge charged charges payment pay paid card money",
    "refund": "refund refunds refunded reimburse money",
    "payment": "pay paid charged card invoice billing refund",
    "technical": "error errors crash crashes bug fails failed login timeout screen install",
    "bug": "error errors crash crashes broken fails failed wrong",
    "account": "password login username profile email locked account",
    "shipping": "delivery deliver delivered parcel package late shipped arrived tracking",
    "delivery": "parcel package late shipped arrived tracking courier",
    "sales": "buy quote demo price pricing offer upgrade",
    "feature": "wish would suggestion add please could",
    "cancel": "cancel cancelled cancellation unsubscribe leave",
    "cancellation": "cancel cancelled unsubscribe leave",
    "positive": "great love thanks thank excellent good happy perfect wonderful best nice",
    "negative": "bad terrible awful angry broken worst hate disappointed poor refund never slow",
    "neutral": "question information wondering ask how",
    "urgent": "urgent asap immediately now emergency down outage critical",
    "high": "urgent asap immediately now emergency down outage critical important",
    "critical": "outage emergency down critical immediately",
    "low": "whenever minor small someday question",
    "complaint": "terrible awful angry disappointed worst complain unacceptable",
    "question": "how what when where why which can does",
    "yes": "yes sure agreed confirm",
    "no": "no not never",
}
HINTS = {word: frozenset(hints.split()) for word, hints in _HINTS.items()}
VAGUE = frozenset({"other", "unknown", "none", "misc", "unclear", "n", "a", "na", "general"})


def words_of(text: str) -> list[str]:
    """The words of a text, as they stand."""
    return _WORD.findall(text)


class Source:
    """A prompt as material for strings. All of it is worked out only when asked for."""

    def __init__(self, prompt: str, draws: Draws) -> None:
        self.draws = draws
        self._prompt = prompt

    @cached_property
    def text(self) -> str:
        """The prompt's last 4,000 characters on one line: rows stand behind instructions."""
        return " ".join(_MARKER.sub("", self._prompt[-4000:]).split()) or "nothing"

    @cached_property
    def chunks(self) -> list[str]:
        """The text cut at spaces: joined by spaces, any run of them occurs in it."""
        return self.text.split(" ")

    @cached_property
    def known(self) -> frozenset[str]:
        """Its words, in lower case."""
        return frozenset(words_of(self.text.lower()))

    @cached_property
    def numbers(self) -> list[float]:
        return [float(found) for found in _NUMBER.findall(self.text)[:20]]

    def opening(self, length: int) -> str:
        """The first `length` words."""
        return " ".join(self.chunks[:length])

    def excerpt(self, low: int, high: int) -> str:
        """From `low` to `high` words in a row, verbatim, from anywhere in the text."""
        length = min(self.draws.between(low, high), len(self.chunks))
        start = self.draws.below(len(self.chunks) - length + 1)
        return " ".join(self.chunks[start : start + length])

    def email(self) -> str:
        """The first address in the text, else one made of two of its words."""
        found = _EMAIL.search(self.text)
        if found is not None:
            return found.group()
        return f"{self.name()}.{self.name()}@example.com"

    def name(self) -> str:
        """A lower-case ASCII word of three to twelve letters."""
        fitting = [word for word in sorted(self.known) if word.isascii() and word.isalpha()]
        fitting = [word for word in fitting if 3 <= len(word) <= 12]
        return fitting[self.draws.below(len(fitting))] if fitting else "sample"

    def evidence_for(self, option_words: tuple[str, ...]) -> int:
        """How much in the text speaks for an option: its own words once, words that hint twice."""
        known = self.known
        score = 0
        for word in option_words:
            if word in known:
                score += 1
            hints = HINTS.get(word)
            if hints is not None:
                score += 2 * len(hints & known)
        return score
