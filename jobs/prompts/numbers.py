"""Numbers that a row gives by how they are written, where a template calculates with them.

`{{ price }}` shows 2.50 as it stands in the row, so it goes into the renderer as a thing that is no
number. Where a template compares, searches or rounds, the checked text is changed before it is compiled:
`price > 2` becomes `(price|as_number if price is defined else price) > 2`. What is not defined stays so,
and is an error where it was one.
"""

import re

from jobs.prompts.language import TAG, TOKEN, WORD_OPERATORS, Token
from jobs.prompts.values import AS_NUMBER

_COMPARES = frozenset({"==", "!=", "<=", ">=", "<", ">", "in"})
_CALCULATES = frozenset({"round", "int", "float"})
_OPENS = {")": "(", "]": "["}
_NO_OPERANDS = WORD_OPERATORS | {"true", "false", "none"}

Span = tuple[int, int]  # of an operand: its first and its last token


def compared_as_numbers(text: str) -> str:
    """The text of a message, checked by `language.check` before."""

    def changed(tag: re.Match[str]) -> str:
        group = "expr" if tag.group("expr") is not None else "stmt"
        body = tag.group(group)
        if body is None:
            return tag[0]
        start, end = tag.start(group) - tag.start(), tag.end(group) - tag.start()
        return tag[0][:start] + _changed(body) + tag[0][end:]

    return TAG.sub(changed, text)


def _changed(body: str) -> str:
    found = list(TOKEN.finditer(body))
    tokens = [(str(token.lastgroup), token.group(str(token.lastgroup))) for token in found]
    pieces, done = [], 0
    for first, last in _operands(tokens):
        start, end = found[first].start(found[first].lastgroup or 0), found[last].end()
        operand = body[start:end]
        pieces.append(body[done:start])
        pieces.append(f"({operand}|{AS_NUMBER} if {operand} is defined else {operand})")
        done = end
    return "".join(pieces) + body[done:]


def _operands(tokens: list[Token]) -> list[Span]:
    """What is to be a number, in order, none inside another."""
    spans: set[Span] = set()
    own_in = tokens[:1] == [("name", "for")]  # the first `in` of a loop compares nothing
    for at, (kind, value) in enumerate(tokens):
        if kind == "string" or tokens[at - 1 : at] == [("op", ".")]:
            continue
        if value in _COMPARES:
            if value == "in" and own_in:
                own_in = False
                continue
            negated = tokens[at - 1] == ("name", "not")
            spans |= _numbers(tokens, _back(tokens, at - 1 - negated))
            spans |= _numbers(tokens, (at + 1, _end(tokens, at + 1)))
        elif value in _CALCULATES and tokens[at - 1 : at] == [("op", "|")]:
            spans |= _numbers(tokens, _back(tokens, at - 2))
        elif value == "]":
            first, last = _back(tokens, at - 1)
            if tokens[first - 1 : first] == [("op", "[")]:
                spans |= _numbers(tokens, (first, last))  # an index
    ordered: list[Span] = []
    for span in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not ordered or span[0] > ordered[-1][1]:
            ordered.append(span)
    return ordered


def _numbers(tokens: list[Token], span: Span) -> set[Span]:
    """An operand: itself, or those inside a group; none where it is plain, or calculated already."""
    first, last = span
    if tokens[first : first + 1] == [("op", "(")]:
        inside = range(first + 1, last) if _end(tokens, first, filters=False) == last else ()
        return {(at, _end(tokens, at)) for at in inside if _begins(tokens, at)}
    named = (tokens[at][1] for at in range(first, last) if tokens[at + 1][1] in _CALCULATES)
    return {span} if _begins(tokens, first) and "|" not in named else set()


def _begins(tokens: list[Token], at: int) -> bool:
    """Whether a column's name, or a loop's, stands here."""
    kind, value = tokens[at] if at < len(tokens) else ("", "")
    before = tokens[at - 1][1] if at else ""
    return kind == "name" and value not in _NO_OPERANDS and before not in (".", "|", "is")


def _end(tokens: list[Token], at: int, *, filters: bool = True) -> int:
    """The last token of the value that begins here: with its path and its filters."""
    while True:
        if tokens[at : at + 1] in ([("op", "(")], [("op", "[")]):
            depth = 0
            while at < len(tokens) - 1:
                depth += (tokens[at][1] in "([") - (tokens[at][1] in ")]")
                if not depth:
                    break
                at += 1
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if following == "." or (following == "|" and filters):
            at += 2
        elif following == "[" or (following == "(" and tokens[at - 1][1] == "|"):
            at += 1
        else:
            return at


def _back(tokens: list[Token], last: int) -> Span:
    """The value that ends here."""
    at = last
    while at > 0:
        if tokens[at][1] in _OPENS and tokens[at][0] == "op":
            depth = 0
            while at > 0:
                depth += (tokens[at][1] in ")]") - (tokens[at][1] in "([")
                if not depth:
                    break
                at -= 1
            if tokens[at][1] == "[" or _named(tokens, at - 1):
                at -= 1
                continue
        if tokens[at - 1][1] in (".", "|") and tokens[at - 1][0] == "op":
            at -= 2
        else:
            break
    return max(at, 0), last


def _named(tokens: list[Token], at: int) -> bool:
    """Whether a filter's name stands here, so that a bracket behind it holds what it takes."""
    return at > 0 and tokens[at][0] == "name" and tokens[at - 1] == ("op", "|")
