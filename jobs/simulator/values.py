"""Strings, numbers and truth values that fit a schema, a property's name and the prompt."""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from jobs.simulator.draws import Draws
from jobs.simulator.patterns import UnknownPatternError, pattern_maker
from jobs.simulator.words import Source, words_of

type Json = Any
type Maker = Callable[[Source, int], Json]

MAX_STRING = 10_000  # characters; a greater minLength is not followed

_COUNTRIES = ("DE", "FR", "US", "GB", "ES", "IT", "NL", "PL")
_LANGUAGES = ("en", "de", "fr", "es", "it")
_CURRENCIES = ("EUR", "USD", "GBP")
_QUOTING = frozenset({"evidence", "quote", "quotes", "excerpt", "span", "citation"})
_SHORT = frozenset({"title", "name", "label", "subject", "topic", "category", "tag", "keyword"})
_UNIT = frozenset({"confidence", "probability", "score", "likelihood", "relevance"})


def _date(draws: Draws) -> str:
    return f"{draws.between(2023, 2026)}-{draws.between(1, 12):02}-{draws.between(1, 28):02}"


def _time(draws: Draws) -> str:
    return f"{draws.below(24):02}:{draws.below(60):02}:{draws.below(60):02}Z"


def _uuid(draws: Draws) -> str:
    digits = f"{draws.bits():016x}{draws.bits():016x}"
    variant = "89ab"[draws.below(4)]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


_FORMATS: dict[str, Callable[[Source], str]] = {
    "date": lambda source: _date(source.draws),
    "date-time": lambda source: f"{_date(source.draws)}T{_time(source.draws)}",
    "time": lambda source: _time(source.draws),
    "duration": lambda source: f"P{source.draws.between(1, 30)}D",
    "email": lambda source: source.email(),
    "hostname": lambda source: f"{source.name()}.example.com",
    "uri": lambda source: f"https://example.com/{source.name()}",
    "uuid": lambda source: _uuid(source.draws),
    "ipv4": lambda source: f"192.0.2.{source.draws.between(1, 254)}",
    "ipv6": lambda source: f"2001:db8::{source.draws.between(1, 9999):x}",
}


def _pick(options: tuple[str, ...]) -> Callable[[Source], str]:
    return lambda source: options[source.draws.below(len(options))]


_NAMED: dict[str, Callable[[Source], str]] = {
    "email": _FORMATS["email"],
    "url": _FORMATS["uri"],
    "link": _FORMATS["uri"],
    "date": _FORMATS["date"],
    "phone": lambda source: f"+49 30 {source.draws.between(100000, 999999)}",
    "country": _pick(_COUNTRIES),
    "language": _pick(_LANGUAGES),
    "currency": _pick(_CURRENCIES),
    "id": lambda source: f"{source.name()[:3].upper()}-{source.draws.between(1000, 9999)}",
}


def string_maker(schema: dict[str, Json], name: str) -> Maker:
    """Strings by pattern, else by format, else by what the property is called."""
    low = min(int(schema.get("minLength", 0)), MAX_STRING)
    high = int(schema.get("maxLength", 2000))
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        try:
            return _patterned(pattern, low, high)
        except UnknownPatternError:
            pass  # such a pattern is not followed, as the package's docstring of schemas says
    form = _FORMATS.get(str(schema.get("format")))
    if form is not None:
        return lambda source, depth: form(source)
    make = _by_name(frozenset(word.lower() for word in words_of(name.replace("_", " "))))
    return lambda source, depth: _fitted(make(source), source, low, high)


def _by_name(words: frozenset[str]) -> Callable[[Source], str]:
    for word, make in _NAMED.items():
        if word in words:
            return make
    if words & _QUOTING:
        return lambda source: source.excerpt(4, 8)
    if words & _SHORT:
        return lambda source: source.excerpt(1, 4)
    return lambda source: source.opening(source.draws.between(8, 14))


def _fitted(text: str, source: Source, low: int, high: int) -> str:
    while len(text) < low:
        text = f"{text} {source.excerpt(3, 9)}"
    return text[:high]


def _patterned(pattern: str, low: int, high: int) -> Maker:
    make_one = pattern_maker(pattern)
    unanchored = not pattern.startswith("^") or not pattern.endswith("$")

    def make(source: Source, depth: int) -> Json:
        text = ""
        for _ in range(8):
            text = make_one(source.draws)
            if unanchored and len(text) < low:
                filled = text + "x" * (low - len(text))
                text = filled if re.search(pattern, filled) else text
            if low <= len(text) <= high:
                break
        return text

    return make


def number_maker(schema: dict[str, Json], name: str, *, whole: bool) -> Maker:
    """Numbers within all bounds, a multiple of `multipleOf`; from the prompt where one fits."""
    words = frozenset(word.lower() for word in words_of(name.replace("_", " ")))
    default_low, default_high = (0, 1) if words & _UNIT and not whole else (0, 100)
    step = Fraction(str(schema["multipleOf"])) if schema.get("multipleOf") else None
    if step is None:
        step = Fraction(1) if whole else Fraction(1, 100)
    elif whole and step.denominator != 1:
        step = Fraction(step.numerator)
    low = _bound(schema, "minimum", "exclusiveMinimum", max, step)
    high = _bound(schema, "maximum", "exclusiveMaximum", min, -step)
    if low is None:
        low = Fraction(default_low) if high is None else min(Fraction(default_low), high)
    if high is None:
        high = max(Fraction(default_high), low + 100 * step)
    first, last = math.ceil(low / step), math.floor(high / step)
    if first > last:  # nothing on the grid between the bounds: the middle of them
        middle = low + (high - low) / 2
        constant = int(middle) if whole else float(middle)
        return lambda source, depth: constant

    # Fractions are exact but slow, so the hot part counts steps in whole numbers.
    top, bottom, size = step.numerator, step.denominator, float(step)
    from_prompt = not words & _UNIT

    def make(source: Source, depth: int) -> Json:
        steps = None
        if from_prompt:
            for number in source.numbers:
                count = round(number / size)
                if first <= count <= last and abs(count - number / size) < 1e-9:
                    steps = count
                    break
        if steps is None:
            steps = source.draws.between(first, last)
        return steps * top // bottom if whole else steps * top / bottom

    return make


def _bound(
    schema: dict[str, Json],
    inclusive: str,
    exclusive: str,
    tighter: Callable[[Fraction, Fraction], Fraction],
    step: Fraction,
) -> Fraction | None:
    bounds = []
    if isinstance(schema.get(inclusive), int | float):
        bounds.append(Fraction(str(schema[inclusive])))
    value = schema.get(exclusive)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # One step inside, or a thousandth of one where the bounds stand closer than that.
        bounds.append(Fraction(str(value)) + step)
    if not bounds:
        return None
    return bounds[0] if len(bounds) == 1 else tighter(bounds[0], bounds[1])


def boolean_maker(name: str) -> Maker:
    """True where the prompt has a word of the property's name, else true for one in three."""
    words = {word.lower() for word in words_of(name.replace("_", " "))}
    telling = frozenset(word for word in words if len(word) > 3)

    def make(source: Source, depth: int) -> Json:
        return bool(telling & source.known) or source.draws.below(3) == 0

    return make
