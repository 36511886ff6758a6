"""Prompt texts: compiled once, rendered for each row, in one pass.

The language is a closed corner of Jinja: `{{ column }}`, paths into nested values, `if`, `for`, and
the filters listed here. Rows are data: a cell that holds `{{ other }}` comes out byte for byte. No
Python object is within reach, and growth is bounded three times: by what the language leaves out
(no arithmetic, no string repetition, no calls, no macros), by fuel, and by the rendered size.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import minijinja
import orjson

MAX_TEMPLATE_CHARS = 200_000  # a text a person wrote; more is a pasted file
MAX_RENDERED_CHARS = 4_000_000  # beyond the context of any model
MAX_LOOP_DEPTH = 2
FUEL = 200_000  # instructions a render may take; a plain prompt takes dozens

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
_WORD_OPERATORS = frozenset({"and", "or", "not", "in", "is", "if", "else", "true", "false", "none"})

_OPTIONAL = re.compile(r"([^\W\d]\w*)\s*(?:is\s+(?:not\s+)?(?:un)?defined|\|\s*default)")

Part = Literal["system", "user"]

_TAG = re.compile(r"\{\{-?(?P<expr>.*?)-?\}\}|\{%-?(?P<stmt>.*?)-?%\}|\{#.*?#\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<name>[^\W\d]\w*)"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<op>==|!=|<=|>=|<|>|\||\.|,|\(|\)|\[|\]|=|.))",
    re.DOTALL,
)
_ALLOWED_OPERATORS = frozenset(
    {"==", "!=", "<=", ">=", "<", ">", "|", ".", ",", "(", ")", "[", "]"}
)


class TemplateFault(Exception):
    """The template cannot be compiled: what is wrong, in which part, on which line (or None)."""

    def __init__(self, message: str, part: Part, line: int | None = None):
        self.message = message
        self.part = part
        self.line = line
        where = f"{part}, line {line}" if line else part
        super().__init__(f"{message} ({where})")


class RenderFault(Exception):
    """This row cannot be rendered; `variable` names the missing column where that is the cause."""

    def __init__(self, message: str, variable: str | None = None):
        self.variable = variable
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Rendered:
    system: str
    user: str


class PromptText:
    """A system and a user text, compiled. Threads may share one."""

    def __init__(
        self,
        environment: minijinja.Environment,
        variables: frozenset[str],
        optional: frozenset[str],
    ) -> None:
        self._environment = environment
        self.variables = variables
        # Names that the text itself asks about (`is defined`, `|default`): a row may lack them.
        self.optional = optional

    @classmethod
    def compile(cls, system: str, user: str) -> "PromptText":
        """Raises TemplateFault."""
        environment = minijinja.Environment(
            undefined_behavior="strict",
            fuel=FUEL,
            pycompat=False,
            debug=False,
            keep_trailing_newline=True,
            auto_escape_callback=lambda name: None,
            finalizer=_as_text,
        )
        variables: set[str] = set()
        parts: tuple[tuple[Part, str], ...] = (("system", system), ("user", user))
        for part, text in parts:
            if len(text) > MAX_TEMPLATE_CHARS:
                raise TemplateFault(
                    f"The text has {len(text):,} characters; at most {MAX_TEMPLATE_CHARS:,} "
                    "are allowed",
                    part,
                )
            by_name = _check(text, part)
            try:
                environment.add_template(part, text)
                names = environment.undeclared_variables_in_template(part)
            except minijinja.TemplateError as error:
                raise TemplateFault(_sentence(error), part, error.line) from error
            variables |= by_name | (names - {"row", "loop"})
        optional = frozenset(_OPTIONAL.findall(system + user))
        return cls(environment, frozenset(variables), optional & variables)

    def render(self, values: Mapping[str, Any]) -> Rendered:
        """The messages for one row. Raises RenderFault; a null renders as nothing."""
        context = {"row": values, **values}
        try:
            rendered = Rendered(
                self._environment.render_template("system", **context),
                self._environment.render_template("user", **context),
            )
        except minijinja.TemplateError as error:
            raise self._fault(error, values) from error
        size = len(rendered.system) + len(rendered.user)
        if size > MAX_RENDERED_CHARS:
            raise RenderFault(
                f"The rendered prompt has {size:,} characters; at most {MAX_RENDERED_CHARS:,} "
                "are allowed"
            )
        return rendered

    def _fault(self, error: minijinja.TemplateError, values: Mapping[str, Any]) -> RenderFault:
        if error.kind == "UndefinedError":
            missing = sorted(self.variables - values.keys())
            if missing:
                return RenderFault(f"The row has no value for “{missing[0]}”", missing[0])
            return RenderFault("A nested value that the template asks for is missing in the row")
        if error.kind == "OutOfFuel":
            return RenderFault("The template takes too many steps to render for this row")
        return RenderFault(_sentence(error))


def _as_text(value: Any) -> str:
    """What stands in a prompt for a value: text as it is, nothing for null, else JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> Any:
    """Values that come back from the renderer are its own views of maps and lists."""
    if hasattr(value, "keys"):
        return {str(key): value[key] for key in value}
    try:
        return list(value)
    except TypeError:
        return str(value)


def _sentence(error: minijinja.TemplateError) -> str:
    text = str(error.message or error).split("\n", 1)[0].split(" (in ", 1)[0]
    return text.removeprefix("syntax error: ").capitalize()


def _check(text: str, part: Part) -> set[str]:
    """Refuse everything outside the closed language; returns the columns named as row["…"].

    Raises TemplateFault. Works on the tags' tokens: what is not recognised is refused.
    """
    columns: set[str] = set()
    depth = 0
    for tag in _TAG.finditer(text):
        line = text.count("\n", 0, tag.start()) + 1
        body = tag.group("expr") if tag.group("expr") is not None else tag.group("stmt")
        if body is None:
            continue
        tokens = _tokens(body, part, line)
        if tag.group("stmt") is not None:
            word = tokens[0][1] if tokens else ""
            if word not in _STATEMENTS:
                allowed = ", ".join(sorted(_STATEMENTS))
                raise TemplateFault(
                    f"“{word}” cannot be used in a template; there are only {allowed}", part, line
                )
            depth += (word == "for") - (word == "endfor")
            if depth > MAX_LOOP_DEPTH:
                raise TemplateFault(f"Loops nest at most {MAX_LOOP_DEPTH} deep", part, line)
            tokens = tokens[1:]
        columns |= _check_expression(tokens, part, line)
    return columns


def _tokens(body: str, part: Part, line: int) -> list[tuple[str, str]]:
    tokens = []
    for found in _TOKEN.finditer(body.strip()):
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
    return tokens


def _check_expression(tokens: list[tuple[str, str]], part: Part, line: int) -> set[str]:
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
        elif (
            kind == "name" and before in (("name", "is"), ("name", "not")) and _after_is(tokens, at)
        ):
            if value not in TESTS and value != "not":
                raise TemplateFault(f"There is no test “{value}”", part, line)
        elif kind == "name" and after == ("op", "(") and value not in _WORD_OPERATORS:
            raise TemplateFault(f"“{value}(…)”: nothing can be called in a template", part, line)
        elif (kind, value) == ("op", "(") and before[1] in (")", "]"):
            raise TemplateFault("Nothing can be called in a template", part, line)
        elif (
            kind == "string"
            and before == ("op", "[")
            and tokens[at - 2 : at - 1] == [("name", "row")]
        ):
            columns.add(re.sub(r"\\(.)", r"\1", value[1:-1]))
    return columns


def _after_is(tokens: list[tuple[str, str]], at: int) -> bool:
    """Whether the name at this place is a test: `is x` or `is not x`."""
    if tokens[at - 1] == ("name", "is"):
        return True
    return at >= 2 and tokens[at - 2] == ("name", "is")
