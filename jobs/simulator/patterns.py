"""Strings for simple regular expressions: what schemas' `pattern` mostly are.

Known: literals, `.`, classes, \\d \\w \\s and their opposites, groups, alternatives, `? * + {m,n}`
and anchors at the ends. Not known, raises `UnknownPatternError`: look-around, back references and
\\p{…}.
"""

from collections.abc import Callable
from functools import lru_cache

from jobs.simulator.draws import Draws

type Maker = Callable[[Draws], str]

_DIGITS = "0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = _LETTERS + _LETTERS.upper() + _DIGITS + "_"
_PRINTABLE = "".join(chr(code) for code in range(32, 127))
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": " "}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


class UnknownPatternError(ValueError):
    """The expression uses what is not known here."""


def _without(excluded: str) -> str:
    return "".join(sign for sign in _PRINTABLE if sign not in excluded)


def _one_of(signs: str) -> Maker:
    if not signs:
        raise UnknownPatternError("a class that matches nothing printable")
    return lambda draws: signs[draws.below(len(signs))]


def _sequence(parts: list[Maker]) -> Maker:
    return lambda draws: "".join(part(draws) for part in parts)


def _choice(options: list[Maker]) -> Maker:
    return lambda draws: options[draws.below(len(options))](draws)


def _repeat(part: Maker, low: int, high: int) -> Maker:
    return lambda draws: "".join(part(draws) for _ in range(draws.between(low, high)))


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        sign = self._peek()
        if not sign:
            raise UnknownPatternError("the pattern ends too early")
        self._at += 1
        return sign

    def whole(self) -> Maker:
        made = self._alternatives()
        if self._peek():
            raise UnknownPatternError("unbalanced parenthesis")
        return made

    def _alternatives(self) -> Maker:
        options = [self._terms()]
        while self._peek() == "|":
            self._take()
            options.append(self._terms())
        return options[0] if len(options) == 1 else _choice(options)

    def _terms(self) -> Maker:
        parts: list[Maker] = []
        while (sign := self._peek()) and sign not in "|)":
            if sign in "^$":
                self._take()
                continue
            atom = self._atom()
            low, high = self._quantifier()
            parts.append(atom if low == high == 1 else _repeat(atom, low, high))
        return _sequence(parts)

    def _atom(self) -> Maker:
        sign = self._take()
        if sign == "(":
            if self._peek() == "?":
                self._take()
                if self._take() != ":":
                    raise UnknownPatternError("only plain groups are known")
            made = self._alternatives()
            if self._take() != ")":
                raise UnknownPatternError("unbalanced parenthesis")
            return made
        if sign == "[":
            return _one_of(self._class())
        if sign == ".":
            return _one_of(_LETTERS)
        if sign == "\\":
            return _one_of(self._escaped())
        if sign in "*+?{":
            raise UnknownPatternError("nothing to repeat")
        return lambda draws: sign

    def _escaped(self) -> str:
        sign = self._take()
        if sign in _CLASSES:
            return _CLASSES[sign]
        if sign.lower() in _CLASSES:
            return _without(_CLASSES[sign.lower()])
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign.isalnum():
            raise UnknownPatternError(f"escape {sign!r} is not known")
        return sign

    def _class(self) -> str:
        negated = self._peek() == "^"
        if negated:
            self._take()
        signs = ""
        first = True
        while (sign := self._take()) != "]" or first:
            first = False
            chosen = self._escaped() if sign == "\\" else sign
            follows = self._pattern[self._at : self._at + 2]
            if len(chosen) == 1 and follows[:1] == "-" and follows[1:] not in ("", "]"):
                self._take()
                end = self._take()
                end = self._escaped() if end == "\\" else end
                if len(end) != 1 or not 0 <= ord(end) - ord(chosen) < 1000:
                    raise UnknownPatternError("a range that is not known")
                chosen = "".join(chr(code) for code in range(ord(chosen), ord(end) + 1))
            signs += chosen
        return _without(signs) if negated else signs

    def _quantifier(self) -> tuple[int, int]:
        sign = self._peek()
        if sign in ("*", "+", "?") and sign:
            self._take()
            low, high = {"*": (0, 3), "+": (1, 4), "?": (0, 1)}[sign]
        elif sign == "{":
            end = self._pattern.find("}", self._at)
            first, comma, last = self._pattern[self._at + 1 : end].partition(",")
            if end < 0 or not first.isdigit() or (last and not last.isdigit()):
                raise UnknownPatternError("a quantifier that is not known")
            self._at = end + 1
            low = int(first)
            high = int(last) if last else (low + 3 if comma else low)
            if high < low or high > 10_000:
                raise UnknownPatternError("a quantifier out of bounds")
        else:
            return 1, 1
        if self._peek() == "?":  # lazy or greedy, the same strings match
            self._take()
        return low, high


@lru_cache(maxsize=256)
def pattern_maker(pattern: str) -> Maker:
    """A function from draws to a string that matches; raises `UnknownPatternError`."""
    return _Parser(pattern).whole()
