"""What requests carry. Unknown fields are refused by name: a misspelt one must not pass unseen.

`null` for a field that may be left out means that it is left out.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from jobs.control.filters import REPLAYED

MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
# A row or version number: what a column holds.
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


def one_of(*names: str) -> WithJsonSchema:
    """For the document: which texts there are. The operation itself says what is wrong with others."""
    return WithJsonSchema({"type": "string", "enum": [*names]})


def _utc(at: datetime) -> datetime:
    """Without an offset a time is taken for UTC."""
    if not 1970 <= at.year <= 9000:
        raise ValueError("a year from 1970 to 9000 is needed")
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _month(given: str) -> str:
    if not MONTH.fullmatch(given):
        raise ValueError("a month like 2026-11 is needed")
    return given


Month = Annotated[str, AfterValidator(_month)]
Time = Annotated[datetime, AfterValidator(_utc)]


class Payload(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _nulls_left_out(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {k: v for k, v in given.items() if v is not None or k not in optional}


class TemplateIn(Payload):
    name: str
    kind: str = "generate"
    system: str = ""
    user: str
    output_schema: dict[str, Any] | None = None
    rules: list[Any] = Field(default_factory=list)
    defaults: dict[str, Any] = Field(default_factory=dict)


class PreviewIn(Payload):
    dataset: str
    rows: list[Number] = Field(default_factory=lambda: [1], max_length=100)
    version: Number | None = None


class LimitsIn(Payload):
    rpm: int | None = None
    input_tpm: int | None = None
    output_tpm: int | None = None
    max_in_flight: int | None = None


class ConnectionIn(Payload):
    name: str
    kind: str
    api: str | None = None
    base_url: str = ""
    api_key: str | None = None
    limits: LimitsIn = Field(default_factory=LimitsIn)


class ConnectionTestIn(Payload):
    model: str = ""


class TierIn(Payload):
    """USD per million tokens, all of a call with more than so many input tokens."""

    above: int
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None


class PriceIn(Payload):
    """USD per million tokens. A `*` in `model` stands for any characters; `provider` narrows a price to
    connections of one kind."""

    connection: str | None = None
    provider: str = ""
    model: str
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    tiers: list[TierIn] = Field(default_factory=list)
    batch_discount: Decimal | None = None
    effective_from: Time | None = None


class RevalueIn(Payload):
    day_from: str = Field(alias="from")
    preview: bool = False


class BudgetIn(Payload):
    """In USD; without `stop_at` nothing is held, without `month` it is so from this month on."""

    team: str | None = None
    connection: str | None = None
    month: Month | None = None
    warn_at: Decimal | None = None
    stop_at: Decimal | None = None


class JobBudgetIn(BaseModel):
    """In USD; null: no budget."""

    model_config = ConfigDict(extra="forbid")

    budget: Decimal | None


class ReconciliationIn(Payload):
    """`content` is CSV text; `covers_from` and `covers_to` say that all calls of that time are in it."""

    connection: str
    content: str
    name: str = "account"
    covers_from: Time | None = None
    covers_to: Time | None = None


class RowsIn(Payload):
    """{}: all rows; {limit}: the first ones; {sample, seed}: so many at random."""

    limit: int | None = None
    sample: int | None = None
    seed: int | None = None


class JobIn(Payload):
    name: str = ""
    dataset: str
    template: str
    template_version: Number | None = None
    connection: str
    model: str
    mode: str = "realtime"
    deadline: datetime | None = None
    reuse: bool = False
    share_duplicates: bool = True
    parameters: dict[str, Any] = Field(default_factory=dict)
    priority: int = 0
    max_attempts: int = 3
    max_repairs: int = 1
    budget: Decimal | None = None
    max_cost_per_minute: Decimal | None = None
    tolerated_failure_rate: float = 0.3
    rows: RowsIn = Field(default_factory=RowsIn)
    tags: dict[str, str] = Field(default_factory=dict)
    pilot: Literal[0, 10, 50, 100] = 0


class OverridesIn(Payload):
    template: str | None = None
    template_version: Number | None = None
    model: str = ""
    connection: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class ReplayIn(Payload):
    """Of failed records those that match; named rows; or, with neither, those that are edited or
    else all. `edits` lay values over columns of a row, for this job alone.

    `status` says which of them: `failed`, unless those that `succeeded` or `all` of both are to be sent
    and paid again. Their results stay until others are accepted in their place."""

    status: Annotated[str, one_of(*REPLAYED)] = "failed"
    failure_class: str = ""
    fingerprint: str = ""
    rows: list[Number] | None = None
    overrides: OverridesIn = Field(default_factory=OverridesIn)
    edits: dict[Number, dict[str, Any]] = Field(default_factory=dict)
