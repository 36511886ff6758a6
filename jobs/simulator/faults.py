"""The names of all faults, and the mix that decides which call meets which.

A decision hangs on the seed, the prompt and the number of its call alone, so that a second run
repeats it, in whatever order the calls arrive.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.simulator import (
    fault_answers,
    fault_bodies,
    fault_echoes,
    fault_errors,
    fault_transport,
)
from jobs.simulator.draws import share
from jobs.simulator.effects import Case, Effect
from jobs.simulator.wire import Question, invalid

type Json = Any
type Kind = Callable[[Case], Effect]

_MARKER = re.compile(r"\[\[fault:([a-z0-9_]+)(?::(\d+))?\]\]")


def _retry_after_kind(variant: str) -> Kind:
    def kind(case: Case) -> Effect:
        case.params["retry_after"] = variant
        return fault_errors.rate_limited(case)

    kind.__doc__ = f"429 whose Retry-After is: {variant.replace('_', ' ')}."
    return kind


def _kinds() -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    for module in (fault_errors, fault_answers, fault_bodies, fault_echoes, fault_transport):
        for name, thing in vars(module).items():
            marks = getattr(thing, "__annotations__", {})
            if not name.startswith("_") and marks == {"case": Case, "return": Effect}:
                found[name] = thing
    for variant in fault_errors.RETRY_AFTER_VARIANTS:
        found[f"retry_after_{variant}"] = _retry_after_kind(variant)
    return found


KINDS: dict[str, Kind] = _kinds()


class UnknownFaultError(ValueError):
    """No fault has this name, or its description cannot be understood."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the mix: which share of which calls it befalls.

    With `times`, the prompts it befalls are chosen once, and each meets it in its first `times`
    calls; with `sticky` in all of them; otherwise each call is chosen by itself.
    """

    name: str
    share: float
    models: tuple[str, ...] = ()
    match: str = ""
    times: int = 0
    sticky: bool = False
    params: dict[str, Json] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str, given: Json) -> "Fault":
        """A fault from its description: a share, or an object. Raises `UnknownFaultError`."""
        if name not in KINDS:
            raise UnknownFaultError(
                f"no fault is called {name!r}; there are: {', '.join(sorted(KINDS))}"
            )
        described = dict(given) if isinstance(given, dict) else {"share": given}
        portion = described.pop("share", 1.0)
        if isinstance(portion, bool) or not isinstance(portion, int | float):
            raise UnknownFaultError(f"the share of {name!r} is not a number")
        if not 0 <= portion <= 1:
            raise UnknownFaultError(f"the share of {name!r} is not between 0 and 1")
        models, times = described.pop("models", ()), described.pop("times", 0)
        if isinstance(models, str) or not isinstance(times, int):
            raise UnknownFaultError(f"{name!r}: models is a list, times a whole number")
        return cls(
            name=name,
            share=float(portion),
            models=tuple(models),
            match=str(described.pop("match", "")),
            times=times,
            sticky=bool(described.pop("sticky", False)),
            params=described,
        )

    def may_befall(self, question: Question, occurrence: int) -> bool:
        """Whether the call is one of those that the fault is for, its share aside."""
        return (
            (not self.models or question.model in self.models)
            and (not self.match or self.match in question.prompt)
            and (not self.times or occurrence <= self.times)
        )


class Mix:
    """The faults in force. Shares add up: 0.1 of one and 0.2 of another make 0.3 of the calls."""

    def __init__(self, given: dict[str, Json] | None = None) -> None:
        self.faults = [Fault.read(name, one) for name, one in (given or {}).items()]
        if (
            sum(fault.share for fault in self.faults if not fault.match and not fault.models)
            > 1.0001
        ):
            raise UnknownFaultError("the shares of the faults add up to more than 1")

    def choose(self, seed: int, question: Question, occurrence: int) -> Fault | None:
        """The fault that this call meets, if any."""
        by_prompt = by_call = -1.0
        for fault in self.faults:
            if not fault.may_befall(question, occurrence):
                continue
            if fault.sticky or fault.times:
                if by_prompt < 0:
                    by_prompt = share(seed, question.key)
                by_prompt -= fault.share
                if by_prompt < 0:
                    return fault
            else:
                if by_call < 0:
                    by_call = share(seed, question.key, occurrence)
                by_call -= fault.share
                if by_call < 0:
                    return fault
        return None


def marked(question: Question, occurrence: int) -> Fault | None:
    """The fault that `[[fault:NAME]]` in the prompt asks for.

    `[[fault:NAME:N]]` befalls the prompt's first N calls only. Raises `ApiError` on a name that
    is not known, so that a slip of the pen is seen.
    """
    if "[[fault:" not in question.prompt:
        return None
    found = _MARKER.search(question.prompt)
    if found is None or found[1] not in KINDS:
        raise invalid("The prompt's [[fault:…]] marker names no fault of the simulator.")
    if found[2] is not None and occurrence > int(found[2]):
        return None
    return Fault(found[1], 1.0)
