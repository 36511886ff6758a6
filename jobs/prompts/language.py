"""The closed corner of Jinja that a prompt may use, checked on the tags' tokens.

What is not recognised is refused. Left out is all that grows or reaches out: arithmetic, repetition,
calls, macros, includes, assignments, lists made of variables. Bounds keep the parser, which recurses,
from running out of its stack.
"""

import re

from jobs.prompts.faults import Part, TemplateFault

MAX_LOOP_DEPTH = 2
MAX_PARTS = 500  # names, texts and signs in one tag
MAX_BRANCHES = 500  # `elif` in one message

FILTERS = frozenset(
    {
        "upper", "lower", "trim", "title", "capitalize", "length", "default", "first", "last",
        "join", "tojson", "round", "int", "float", "string",
    }
)  # fmt: skip
TESTS = frozenset(
    {"defined", "undefined", "none", "string", "number", "true", "false", "mapping", "sequence"}
)
_STATEMENTS = frozenset({"if", "elif", "else", "endif", "for", "endfor"})
_CONSTANTS = frozenset({"true", "false", "none"})
WORD_OPERATORS = frozenset({"and", "or", "not", "in", "is", "if", "else"})

TAG = re.compile(r"\{\{-?(?P<expr>.*?)-?\}\}|\{%-?(?P<stmt>.*?)-?%\}|\{#.*?#\}", re.DOTALL)
TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<name>[^\W\d]\w*)"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<op>==|!=|<=|>=|<|>|\||\.|,|\(|\)|\[|\]|=|.))",
    re.DOTALL,
)
_ALLOWED_OPERATORS = frozenset(
    {"==", "!=", "<=", ">=", "<", ">", "|", ".", ",", "(", ")", "[", "]"}
)
_WORD = re.compile(r"[^\W\d]\w*|\S*")
_OPTIONAL = re.compile(r"([^\W\d]\w*)\s*(?:is\s+(?:not\s+)?(?:un)?defined|\|\s*default)")

Token = tuple[str, str]


def asked_about(text: str) -> set[str]:
    """Names that the text itself asks about (`is defined`, `|default`): a row may lack them."""
    return set(_OPTIONAL.findall(text))


def takes_row(text: str) -> bool:
    """Whether the text does with `row` anything but ask for a column by row["…"]."""
    for tag in TAG.finditer(text):
        body = tag.group("expr") if tag.group("expr") is not None else tag.group("stmt")
        found = list(TOKEN.finditer(body or ""))
        tokens = [(str(one.lastgroup), one.group(str(one.lastgroup))) for one in found]
        for at, token in enumerate(tokens):
            opened, name = (*tokens[at + 1 : at + 3], ("", ""), ("", ""))[:2]
            if token == ("name", "row") and not (opened == ("op", "[") and name[0] == "string"):
                return True
    return False


def check(text: str, part: Part) -> tuple[set[str], bool]:
    """The columns named as row["…"], and whether there is a loop. Raises TemplateFault."""
    columns: set[str] = set()
    depth = branches = 0
    loops = False
    for tag in TAG.finditer(text):
        line = text.count("\n", 0, tag.start()) + 1
        body = tag.group("expr") if tag.group("expr") is not None else tag.group("stmt")
        if body is None:
            continue
        if tag.group("stmt") is not None:
            body = body.strip()
            word = _WORD.match(body)[0]  # type: ignore[index]  # it matches nothing, too
            if word not in _STATEMENTS:
                allowed = ", ".join(sorted(_STATEMENTS))
                raise TemplateFault(
                    f"“{word[:40]}” cannot be used in a template; there are only {allowed}",
                    part,
                    line,
                )
            loops = loops or word == "for"
            depth += (word == "for") - (word == "endfor")
            if depth > MAX_LOOP_DEPTH:
                raise TemplateFault(f"Loops nest at most {MAX_LOOP_DEPTH} deep", part, line)
            branches += word == "elif"
            if branches > MAX_BRANCHES:
                raise TemplateFault(f"At most {MAX_BRANCHES} “elif” are possible", part, line)
            body = body.removeprefix(word)
        tokens = _tokens(body, part, line)
        columns |= _check_expression(tokens, part, line)
        _check_brackets(tokens, part, line)
    return columns, loops


def _tokens(body: str, part: Part, line: int) -> list[Token]:
    tokens: list[Token] = []
    for found in TOKEN.finditer(body.strip()):
        kind = str(found.lastgroup)
        value = found.group(kind)
        if kind == "op" and value not in _ALLOWED_OPERATORS:
            raise TemplateFault(f"“{value}” cannot be used in a template", part, line)
        if kind == "name" and value.startswith("_"):
            raise TemplateFault(
                f'“{value}”: names that begin with an underscore are written row["{value}"]',
                part,
                line,
            )
        tokens.append((kind, value))
        if len(tokens) > MAX_PARTS:
            raise TemplateFault(
                f"There are more than {MAX_PARTS} names and signs between two braces", part, line
            )
    return tokens


def _check_expression(tokens: list[Token], part: Part, line: int) -> set[str]:
    columns = set()
    for at, (kind, value) in enumerate(tokens):
        before = tokens[at - 1] if at else ("", "")
        after = tokens[at + 1] if at + 1 < len(tokens) else ("", "")
        if kind == "name" and before == ("op", "|"):
            if value not in FILTERS:
                raise TemplateFault(
                    f"There is no filter “{value}”; there are {', '.join(sorted(FILTERS))}",
                    part,
                    line,
                )
        elif kind == "name" and _is_test(tokens, at):
            if value not in TESTS and value != "not":
                raise TemplateFault(
                    f"There is no test “{value}”; there are {', '.join(sorted(TESTS))}", part, line
                )
        elif after == ("op", "(") and (
            (kind == "name" and value not in WORD_OPERATORS)
            or kind in ("string", "number")
            or value in (")", "]")
        ):
            called = f"“{value}(…)”: nothing" if kind == "name" else "Nothing"
            raise TemplateFault(f"{called} can be called in a template", part, line)
        elif (
            kind == "string"
            and before == ("op", "[")
            and tokens[at - 2 : at - 1] == [("name", "row")]
        ):
            columns.add(re.sub(r"\\(.)", r"\1", value[1:-1]))
    return columns


def _is_test(tokens: list[Token], at: int) -> bool:
    """Whether the name at this place is a test: `is x` or `is not x`."""
    before = tokens[:at][-2:]
    return before[-1:] == [("name", "is")] or before == [("name", "is"), ("name", "not")]


def _check_brackets(tokens: list[Token], part: Part, line: int) -> None:
    """Lists hold only texts and numbers: one of variables could name a large cell a thousand times."""
    opened: list[str] = []  # of each bracket that is open: list, index, arguments, or group
    for at, (kind, value) in enumerate(tokens):
        before = tokens[at - 1] if at else ("", "")
        if opened[-1:] == ["list"] and value != "]":
            if kind in ("string", "number") or value in _CONSTANTS or value == ",":
                continue
            raise TemplateFault("A list in a template holds only texts and numbers", part, line)
        if kind != "op":
            continue
        if value == "[":
            follows = before[0] == "string" or before[1] in (")", "]")
            follows = follows or (before[0] == "name" and before[1] not in WORD_OPERATORS)
            opened.append("index" if follows else "list")
        elif value == "(":
            named = before[0] == "name" and before[1] not in WORD_OPERATORS
            opened.append("arguments" if named else "group")
        elif value in ("]", ")"):
            opened = opened[:-1]
        elif value == "," and opened[-1:] in (["group"], ["index"]):
            raise TemplateFault("“,” cannot be used here", part, line)
