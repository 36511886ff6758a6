"""Prompt texts: compiled once, rendered for each row, in one pass.

The language is a closed corner of Jinja (`language`): `{{ column }}`, paths into nested values, `if`,
`for`, and a list of filters. Rows are data: a cell that holds `{{ other }}` comes out byte for byte.
No Python object is within reach (`values`), and growth is bounded three times: by what the language
leaves out, by fuel (which long outputs use up too), and by the rendered size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import minijinja

from jobs.prompts import language, values
from jobs.prompts.faults import Part, RenderFault, TemplateFault
from jobs.prompts.numbers import compared_as_numbers
from jobs.written import as_json

__all__ = ["PromptText", "RenderFault", "Rendered", "TemplateFault"]

MAX_TEMPLATE_CHARS = 200_000  # a text a person wrote; more is a pasted file
FUEL = 200_000  # instructions a render may take; a plain prompt takes dozens
# Where a template loops, a step may compare or search the whole of a cell: not of a long document.
MAX_LOOPED_CHARS = 2_000_000
_OWN_GLOBALS = ("range", "dict", "debug", "namespace")


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
        loops: bool,
        whole_row: bool,
    ) -> None:
        self._environment = environment
        self._loops = loops
        self._whole_row = whole_row
        self.variables = variables
        # Names that the text itself asks about: a row may lack them.
        self.optional = optional
        self._names = sorted(variables)

    @classmethod
    def compile(cls, system: str, user: str) -> "PromptText":
        """Raises TemplateFault."""
        environment = _environment()
        variables: set[str] = set()
        loops = False
        parts: tuple[tuple[Part, str], ...] = (("system", system), ("user", user))
        for part, text in parts:
            if len(text) > MAX_TEMPLATE_CHARS:
                raise TemplateFault(
                    f"The text has {len(text):,} characters; at most {MAX_TEMPLATE_CHARS:,} "
                    "are allowed",
                    part,
                )
            by_name, has_loops = language.check(text, part)
            try:
                environment.add_template(part, compared_as_numbers(text))
                names = environment.undeclared_variables_in_template(part)
            except minijinja.TemplateError as error:
                raise TemplateFault(_sentence(error), part, error.line) from error
            variables |= by_name | (names - {"row", "loop"})
            loops = loops or has_loops
        optional = language.asked_about(system) | language.asked_about(user)
        return cls(
            environment,
            frozenset(variables),
            frozenset(optional & variables),
            loops,
            language.takes_row(system) or language.takes_row(user),
        )

    @property
    def takes(self) -> list[str] | None:
        """The columns that the messages can depend on; None: all."""
        return None if self._whole_row else self._names

    def taken_from(self, row: Mapping[str, Any]) -> bytes:
        """Of a row all that the messages can depend on, as JSON; also what it lacks. Two rows of which
        this is the same are rendered the same."""
        if self._whole_row:
            return as_json(row)
        return as_json({name: row[name] for name in self._names if name in row})

    def render(self, row: Mapping[str, Any]) -> Rendered:
        """The messages for one row. Raises RenderFault; a null renders as nothing."""
        if self._loops and len(repr(row)) > MAX_LOOPED_CHARS:
            raise RenderFault(
                f"The row has more than {MAX_LOOPED_CHARS:,} characters, and the template has a "
                "loop: leave out either"
            )
        inside = values.closed(row)
        context = {"row": inside, **inside}
        try:
            rendered = Rendered(
                self._environment.render_template("system", **context),
                self._environment.render_template("user", **context),
            )
        except minijinja.TemplateError as error:
            raise self._fault(error, row) from error
        values.bounded(len(rendered.system) + len(rendered.user))
        return rendered

    def _fault(self, error: minijinja.TemplateError, row: Mapping[str, Any]) -> RenderFault:
        if error.kind == "OutOfFuel":
            return RenderFault("The template takes too many steps to render for this row")
        where = f" ({error.name}, line {error.line})" if error.line else ""
        if error.kind == "UndefinedError":
            missing = sorted(self.variables - row.keys() - self.optional)
            if missing:
                return RenderFault(f"The row has no value for “{missing[0]}”", missing[0])
            return RenderFault(
                f"A nested value that the template asks for is missing in the row{where}"
            )
        return RenderFault(_sentence(error) + where)


def _environment() -> minijinja.Environment:
    environment = minijinja.Environment(
        undefined_behavior="strict",
        fuel=FUEL,
        pycompat=False,
        debug=False,
        keep_trailing_newline=True,
        auto_escape_callback=lambda name: None,
        finalizer=values.as_text,
        filters=values.FILTERS,
        tests=values.TESTS,
    )
    for name in _OWN_GLOBALS:
        environment.remove_global(name)
    return environment


def _sentence(error: minijinja.TemplateError) -> str:
    text = str(error.message or error).split("\n", 1)[0].split(" (in ", 1)[0]
    return text.removeprefix("syntax error: ").removeprefix("invalid operation: ").capitalize()
