"""The parameters of a job: which there are, and what each may be."""

from collections.abc import Mapping
from typing import Any

from jobs.engine.plan import LONGEST_CALL_S
from jobs.errors import FieldError

MAX_TOKENS = 1_000_000
# (lowest, highest, whole number?)
_NUMBERS: dict[str, tuple[float, float, bool]] = {
    "max_tokens": (1, MAX_TOKENS, True),
    "temperature": (0, 2, False),
    "top_p": (0, 1, False),
    "top_k": (1, 1000, True),
    "seed": (0, 2**31, True),
    "frequency_penalty": (-2, 2, False),
    "presence_penalty": (-2, 2, False),
    "timeout": (1, LONGEST_CALL_S, False),  # seconds for one call
}
_EFFORTS = ("minimal", "low", "medium", "high")
NAMES = (*_NUMBERS, "stop", "reasoning_effort")


def check_parameters(
    given: Mapping[str, Any], errors: list[FieldError], at: tuple[str, ...] = ("parameters",)
) -> dict[str, Any]:
    """The parameters as they are stored; faults are added to `errors`. Blank ones are left out."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == "":
            continue
        if name in _NUMBERS:
            number = _number(value, *_NUMBERS[name])
            if number is None:
                low, high, whole = _NUMBERS[name]
                kind = "A whole number" if whole else "A number"
                errors.append(FieldError((*at, name), f"{kind} from {low:,.12g} to {high:,.12g}"))
            else:
                kept[name] = number
        elif name == "stop":
            stops = [value] if isinstance(value, str) else value
            if (
                not isinstance(stops, list)
                or not all(isinstance(s, str) and 0 < len(s) <= 100 for s in stops)
                or len(stops) > 4
            ):
                errors.append(FieldError((*at, name), "Up to four texts of at most 100 characters"))
            else:
                kept[name] = stops
        elif name == "reasoning_effort":
            if value not in _EFFORTS:
                errors.append(FieldError((*at, name), f"One of {', '.join(_EFFORTS)}"))
            else:
                kept[name] = value
        else:
            errors.append(FieldError((*at, name), f"Unknown; there are {', '.join(NAMES)}"))
    return kept


def _number(value: Any, low: float, high: float, whole: bool) -> float | int | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not low <= number <= high or (whole and number != int(number)):
        return None
    return int(number) if whole else number
