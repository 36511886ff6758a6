"""What requests carry. Unknown fields are refused by name: a misspelt one must not pass unseen."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from ninja import Schema
from pydantic import ConfigDict, Field


class Payload(Schema):
    model_config = ConfigDict(extra="forbid")


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
    rows: list[int] = Field(default_factory=lambda: [1], max_length=100)
    version: int | None = None


class ConnectionIn(Payload):
    name: str
    kind: str
    api: str | None = None
    base_url: str = ""
    api_key: str | None = None
    limits: dict[str, int | None] = Field(default_factory=dict)


class ConnectionTestIn(Payload):
    model: str = ""


class PriceIn(Payload):
    connection: str | None = None
    model: str
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    batch_discount: Decimal | None = None
    effective_from: datetime | None = None


class JobIn(Payload):
    name: str = ""
    dataset: str
    template: str
    template_version: int | None = None
    connection: str
    model: str
    mode: str = "realtime"
    deadline: datetime | None = None
    reuse: bool = False
    purpose: str = "run"
    parameters: dict[str, Any] = Field(default_factory=dict)
    priority: int = 0
    max_attempts: int = 3
    max_repairs: int = 1
    budget: Decimal | None = None
    tolerated_failure_rate: float = 0.3
    rows: dict[str, int] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)


class OverridesIn(Payload):
    template: str | None = None
    template_version: int | None = None
    model: str = ""
    connection: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class ReplayIn(Payload):
    failure_class: str = ""
    fingerprint: str = ""
    rows: list[int] | None = None
    overrides: OverridesIn = Field(default_factory=OverridesIn)
    edits: dict[int, dict[str, Any]] = Field(default_factory=dict)
