"""The values that cross between the engine and a wire format.

A wire format is two pure functions, `build(Call) -> HttpRequest` and
`parse(HttpResponse) -> Outcome`, which know no database, no clock and no socket; a transport sends
what `build` made and returns what `parse` reads. Whether a failure is worth a retry is not
decided here: see `jobs.failures`.
"""

from dataclasses import dataclass, field
from typing import Any

from jobs.failures import FailureClass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a connection is reached. `api` names the wire format."""

    api: str  # "openai_chat" | "openai_responses" | "anthropic_messages"
    base_url: str  # without a trailing slash; with or without "/v1", both are accepted
    api_key: str = field(repr=False)
    # What the server can do for a schema: "json_schema", "tool" (a forced one), "json_object" (with
    # the schema in the system text) or "prompt" (that text alone); found by the connection test.
    structured: str = "json_schema"
    # The length limit's name on chat completions: older models and most compatible servers know
    # only `max_tokens`.
    legacy_max_tokens: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One question to a model, free of any wire format."""

    model: str
    system: str
    user: str
    schema: dict[str, Any] | None = None  # JSON Schema of the answer
    schema_name: str = "output"
    # Names as on the launch form: max_tokens, temperature, top_p, stop, seed, reasoning_effort, …
    parameters: dict[str, Any] = field(default_factory=dict)
    # A repair: the model's former answer and the validator's complaint about it, or None.
    repair: tuple[str, str] | None = None
    request_id: str = ""  # ours; sent as a header, bound to the answer
    # How the system and the user text begin, where that is to be kept for the next calls.
    keep: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What goes over the wire. `headers` hold the key: never log, store or show them."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer. `headers` have lower-case names. `body` is decoded from any compression."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, normalised; the counts are disjoint except where said.

    `input_tokens` counts all input, the cached and cache-written part included (OpenAI's way;
    Anthropic's are added up to it). `output_tokens` includes `reasoning_tokens`.
    `estimated` says that the provider reported none and these were computed from lengths.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0  # 5-minute lifetime (Anthropic) or the only one there is
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    raw: str = ""  # the usage object as received, JSON text


@dataclass(frozen=True, slots=True)
class RateHints:
    """What the provider's headers say of its limits; None where they say nothing."""

    retry_after: float | None = None  # seconds, clamped to 0 … 3600
    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests: float | None = None  # seconds from now
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens: float | None = None
    tokens_cover_output: bool = True  # the token limit counts input and output together


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call came to. `failure is None` means that `text` is a whole answer.

    A whole answer may still fail the output checks; those are not the wire format's business.
    `charged` says whether the provider bills the call: True, False, or None when nobody can
    know (a timeout, a connection cut after sending) — then the attempt is in doubt.
    """

    failure: FailureClass | None = None
    message: str = ""  # the provider's words or ours, free of secrets, at most 2,000 characters
    text: str = ""
    model: str = ""  # as returned
    usage: Usage | None = None
    http_status: int | None = None
    provider_request_id: str = ""
    finish_reason: str = ""
    charged: bool | None = False
    hints: RateHints = RateHints()
