"""What the simulator can be told, at its start and while it runs."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from jobs.simulator.faults import Mix

type Json = Any


class BadSettingsError(ValueError):
    """A setting is unknown or of the wrong kind."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; a limit of 0 is none."""

    seed: int = 0
    latency_ms: float = 0.0
    jitter: float = 0.0  # a latency varies by this share, up and down
    rpm: int = 0
    tpm: int = 0
    output_tpm: int = 0
    burst_seconds: float = 60.0  # limits let this much of their minute through at once
    limit_minutes: bool = False  # count in fixed minutes of the clock instead of in buckets
    limit_headers: bool = True  # tell limits and Retry-After; without them, a 429 says nothing
    max_in_flight: int = 0
    context_tokens: int = 200_000
    prompt_cache: bool = False  # keeps prompts' beginnings as the vendors do
    # Prompts may ask for a fault, [[fault:NAME]], and for a text of so many tokens, [[tokens:N]].
    markers: bool = False
    faults: dict[str, Json] = field(default_factory=dict)

    def changed(self, given: Json) -> "Settings":
        """The settings with some of them changed.

        `given` is an object of settings; `faults` in it is the whole new mix. Names that are no
        settings are taken as faults of the new mix too, so that `{"timeout": 0.1}` will do; an
        empty object empties the mix. Raises `BadSettingsError` or `UnknownFaultError`.
        """
        if not isinstance(given, dict):
            raise BadSettingsError("settings and faults are a JSON object")
        kinds = {one.name: type(getattr(self, one.name)) for one in fields(self)}
        new = {name: self._read(name, kinds[name], given[name]) for name in given if name in kinds}
        loose = {name: value for name, value in given.items() if name not in kinds}
        if loose or not given:
            new["faults"] = {**new.get("faults", {}), **loose}
        changed = replace(self, **new)
        Mix(changed.faults)  # refuses what it does not know
        return changed

    @staticmethod
    def _read(name: str, kind: type, value: Json) -> Json:
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            raise BadSettingsError(f"{name} must be a JSON value of type {kind.__name__}")
        if isinstance(value, int | float) and value < 0:
            raise BadSettingsError(f"{name} must not be negative")
        return value

    def shown(self) -> dict[str, Json]:
        """All settings, as `POST /faults` answers them."""
        return asdict(self)
