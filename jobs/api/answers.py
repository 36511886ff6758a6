"""What answers carry, for the OpenAPI document and to hold `shapes` to it."""

from typing import Any, Literal

from ninja import Schema

from jobs.failures import FailureClass
from jobs.models import (
    AttemptOutcome,
    ConnectionKind,
    DatasetStatus,
    JobStatus,
    Purpose,
    Waste,
    WireApi,
)

RecordState = Literal["pending", "running", "succeeded", "failed", "cancelled"]


class Page[T](Schema):
    items: list[T]
    next: str | None


class FieldProblem(Schema):
    loc: list[str | int]
    msg: str


class Problem(Schema):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem]


class ColumnOut(Schema):
    name: str
    type: str
    nulls: int
    examples: list[str]


class RowError(Schema):
    row: int | None
    message: str


class DatasetOut(Schema):
    id: str
    name: str
    status: DatasetStatus
    rows: int
    columns: list[ColumnOut]
    bytes: int
    ingested_bytes: int
    sha256: str
    format: str
    encoding: str
    delimiter: str
    sheet: str
    sheets: list[str]
    notices: list[str]
    set_aside: int
    errors: list[RowError]
    created_at: str


class RowOut(Schema):
    row: int
    line: int
    values: dict[str, Any]


class TemplateOut(Schema):
    id: str
    name: str
    version: int
    kind: str
    system: str
    user: str
    output_schema: dict[str, Any] | None
    rules: list[Any]
    defaults: dict[str, Any]
    created_at: str


class PreviewRowOut(Schema):
    row: int
    system: str
    user: str
    input_tokens: int
    error: str | None


class PreviewOut(Schema):
    rows: list[PreviewRowOut]


class LimitsOut(Schema):
    rpm: int | None
    input_tpm: int | None
    output_tpm: int | None
    max_in_flight: int | None


class ConnectionOut(Schema):
    id: str
    name: str
    kind: ConnectionKind
    api: WireApi
    base_url: str
    has_key: bool
    key_last4: str
    limits: LimitsOut
    tested_at: str | None
    created_at: str


class ConnectionTestOut(Schema):
    ok: bool
    failure_class: FailureClass | None
    message: str
    models: list[str]


class TierOut(Schema):
    above: int
    input: str
    cached_input: str
    cache_write: str
    cache_write_1h: str
    output: str


class PriceOut(Schema):
    id: str
    connection: str | None
    provider: str | None
    model: str
    input: str
    cached_input: str
    cache_write: str
    cache_write_1h: str
    output: str
    tiers: list[TierOut]
    batch_discount: str
    state: Literal["in_force", "upcoming", "replaced"]
    effective_from: str
    source: str


class CountsOut(Schema):
    pending: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    total: int


class JobUsageOut(Schema):
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    estimated_attempts: int
    estimated_cost: str


class EtaOut(Schema):
    low: float
    high: float


class ConcurrencyOut(Schema):
    in_flight: int
    level: int
    why: str


class CostRangeOut(Schema):
    low: str | None
    expected: str | None
    high: str | None


class EstimateOut(Schema):
    """`input_error`: the share by which the input tokens may be off, told from characters as they are;
    `counted_rows` is less than `rows` where a sample was looked at. `duplicates` and `reusable` rows
    need no call, and the cost is without them; null: not counted yet (ask again), or not asked for."""

    rows: int
    counted_rows: int
    unrenderable_rows: int
    input_tokens: int | None
    input_error: float
    output_tokens: int | None
    cost: CostRangeOut
    unknown_price: bool
    basis: Literal["none", "history", "pilot"]
    seen_rows: int
    duration: EtaOut | None
    budget_left: str | None
    duplicates: int | None
    reusable: int | None
    saved: str | None


class ForecastOut(Schema):
    """`told` is the estimate, made at the launch or after the pilot; `forecast` what the whole is
    expected to cost by now."""

    basis: Literal["none", "history", "pilot"]
    told: CostRangeOut
    forecast: CostRangeOut | None


class PilotOut(Schema):
    """The rows that go first. While `open`, the job sends no others."""

    rows: int
    open: bool


class JobOut(Schema):
    id: str
    name: str
    status: JobStatus
    status_reason: str
    status_detail: str
    dataset: str
    template: str
    template_version: int
    connection: str
    model: str
    mode: str
    pilot: PilotOut | None
    estimate: ForecastOut | None
    parameters: dict[str, Any]
    rows: dict[str, int]
    tags: dict[str, str]
    priority: int
    max_attempts: int
    share_duplicates: bool
    reuse: bool
    shared: int
    reused: int
    tolerated_failure_rate: float
    budget: str | None
    max_cost_per_minute: str | None
    counts: CountsOut
    retrying: int
    waiting_for_rate_limit: int
    waiting_until: str | None
    attempts: int
    usage: JobUsageOut
    cost: str | None
    wasted_cost: str | None
    in_doubt_cost: str | None
    in_doubt_attempts: int
    unpriced_attempts: int
    rate: float
    eta: EtaOut | None
    concurrency: ConcurrencyOut
    created_at: str
    started_at: str | None
    finished_at: str | None


class SourceOut(Schema):
    """The record whose answer was taken instead of a call."""

    job: str
    row: int


class BudgetOut(Schema):
    team: str
    connection: str | None
    month: str
    warn_at: str | None
    stop_at: str | None
    spent: str
    reserved: str
    granted: str
    resets: str


class RecordOut(Schema):
    row: int
    status: RecordState
    failure_class: FailureClass | None
    fingerprint: str | None
    message: str | None
    attempts: int
    input: dict[str, Any]
    output: Any
    model: str | None
    cost: str | None
    finished_at: str | None
    source: SourceOut | None


class AttemptUsageOut(Schema):
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    estimated: bool


class RatesOut(Schema):
    """USD per million tokens, before the discount."""

    input: str
    cached_input: str
    cache_write: str
    cache_write_1h: str
    output: str
    discount: str


class AttemptOut(Schema):
    number: int
    outcome: AttemptOutcome
    purpose: Purpose
    started_at: str
    waited_ms: int
    took_ms: int
    model: str
    model_returned: str
    http_status: int | None
    provider_request_id: str
    failure_class: FailureClass | None
    error: str | None
    retry_after_ms: int | None
    usage: AttemptUsageOut
    cost: str | None
    rates: RatesOut | None
    waste: Waste | None
    request: str
    request_kept: bool
    answer: str | None


class PromptOut(Schema):
    system: str
    user: str
    error: str | None


class RecordDetailOut(Schema):
    row: int
    status: RecordState
    failure_class: FailureClass | None
    fingerprint: str | None
    message: str | None
    attempts: list[AttemptOut]
    input: dict[str, Any]
    output: Any
    model: str | None
    cost: str | None
    finished_at: str | None
    source: SourceOut | None
    prompt: PromptOut


class BadLineOut(Schema):
    line: int
    reason: str


class ReconciliationOut(Schema):
    """Of the lines `found` are those of calls in doubt; `absent` are calls in doubt that the account
    should have and has not. Figures in money count once it is applied."""

    id: str
    connection: str
    name: str
    lines: int
    found: int
    absent: int
    unreadable: int
    bad: list[BadLineOut]
    applied_at: str | None
    settled: int
    cost: str
    doubt_taken_off: str


class RevaluationOut(Schema):
    """Of the act itself `lines` and `difference` are those so far: it goes on in the background."""

    id: str | None
    day_from: str
    lines: int
    difference: str
    without_price: int
    looked_at: int
    whole: bool


class FailureOut(Schema):
    failure_class: FailureClass
    label: str
    fingerprint: str
    count: int
    message: str
    example_rows: list[int]
    suggestion: str


class ReplayOut(Schema):
    replay: str
    records: int


class CostSumsOut(Schema):
    calls: int
    accepted: int
    results: int
    shared: int
    reused: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    cost: str | None
    cost_per_result: str | None
    wasted_cost: str | None
    failed_cost: str
    retried_cost: str
    repaired_cost: str
    superseded_cost: str
    late_cost: str
    in_doubt_cost: str | None
    in_doubt_calls: int
    unpriced_calls: int
    estimated_calls: int
    estimated_cost: str
    cache_savings: str
    batch_savings: str
    reuse_savings: str


class CostRowOut(CostSumsOut):
    key: str
    label: str


class CostsOut(Schema):
    rows: list[CostRowOut]
    total: CostSumsOut
    day_from: str
    day_to: str


class MonthOut(Schema):
    month: str
    calls: int
    cost: str | None
    wasted_cost: str
    in_doubt_cost: str
    unpriced_calls: int
    closed_at: str | None
    closed_by: str | None
    may_close_from: str
