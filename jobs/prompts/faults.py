"""What can be wrong with a prompt text, and with one row held into it."""

from typing import Literal

Part = Literal["system", "user"]


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
