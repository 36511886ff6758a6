"""A plan: all that is needed to ask for one job's records (or a replay's), compiled once a slice.

The hot path reads no ORM object: a plan is made from the tables when its first record is claimed,
and made anew when `STALE_S` have passed, so that a new key, price or limit is heeded.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from jobs.costs.pricing import Tariff, resolve_price
from jobs.engine.decide import REPAIRABLE, Decision, decide
from jobs.engine.limits import Limits
from jobs.engine.records import AttemptLine, Claimed, Settlement
from jobs.engine.request_keys import Hash, constant_part, with_messages
from jobs.failures import FailureClass
from jobs.models import (
    Attempt,
    AttemptOutcome,
    Connection,
    ConnectionKind,
    Job,
    KeepAnswers,
    Purpose,
    RecordStatus,
    Replay,
    StatusReason,
    TemplateVersion,
    Waste,
    WireApi,
)
from jobs.prompts.prefix import Prefix, constant_prefix
from jobs.prompts.schema import OutputCheck
from jobs.prompts.template import PromptText, RenderFault, TemplateFault
from jobs.prompts.tokens import ESTIMATE_ERROR, estimate_tokens, upper_bound_tokens
from jobs.providers.formats import FORMATS, fingerprint
from jobs.providers.prompt_caching import minimum_tokens
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome, Usage
from jobs.teams.endpoints import endpoint_of

STALE_S = 15.0
# Reserved for the answer where the job sets no max tokens: what the wire formats send by default.
DEFAULT_MAX_TOKENS = 4096
DEFAULT_TIMEOUT_S = 300.0
# What a job may set. A slice waits for its last calls before the queue ends its task: `_TASK_TIMEOUT`
# in the settings lies above three lives of a slice and this.
LONGEST_CALL_S = 600.0
# Of a raw body kept for a person to read; an answer larger than this is cut, and says so.
KEPT_BODY_CHARS = 200_000
# Whose servers know the mark by which a prompt's beginning is kept.
_KEEPERS = (ConnectionKind.ANTHROPIC, ConnectionKind.SIMULATOR)


class CannotRun(Exception):
    """The job cannot be asked for as it is set up; it pauses with this reason."""

    def __init__(self, reason: StatusReason, detail: str):
        self.reason = reason
        super().__init__(detail)


@dataclass(slots=True)
class Plan:
    job_id: int
    replay_id: int | None
    team_id: int
    lane: tuple[int, str]  # connection id and model: what limits are shared by
    endpoint: Endpoint
    limits: Limits
    prompt: PromptText
    schema: dict[str, Any] | None
    schema_name: str
    schema_tokens: int  # at most so many, sent with each call
    check: OutputCheck
    model: str
    parameters: dict[str, Any]
    max_tokens: int
    timeout: float
    max_attempts: int
    max_repairs: int
    pilot: frozenset[int]  # the rows that go first
    template_version_id: int
    connection_id: int
    tariff: Tariff | None  # None: nobody knows the price
    keep_answers: KeepAnswers
    # What all its prompts begin with, where the provider keeps that if it is asked to, and the price
    # makes it worth it; and about how many rows lay ahead when this was made.
    kept: Prefix | None
    rows_ahead: int
    request_hash: Hash  # of what is the same in all its requests
    made_at: float
    # What is known of its calls before the first: see jobs.engine.answers.
    answers: list[tuple[float, int | None]] = field(default_factory=list)

    # --- before the call --------------------------------------------------------------------
    def prepare(self, record: Claimed) -> None:
        """Render the row and reserve the highest cost of the call. Runs inside the claim. No call
        is made where another's result is taken, if it passes here as well, or waited for."""
        if record.offer is not None:
            if self.check.check(record.offer.output, record.values).failure is None:
                return
            record.offer = None
        if record.waits:
            return
        try:
            rendered = self.prompt.render(record.values)
        except RenderFault as fault:
            record.fault = str(fault)
            return
        record.connection_id, record.model = self.connection_id, self.model
        record.priced = self.tariff is not None
        record.system, record.user = rendered.system, rendered.user
        record.input_tokens = estimate_tokens(rendered.system + rendered.user)
        if self.tariff is not None:
            bound = upper_bound_tokens(rendered.system + rendered.user) + self.schema_tokens
            record.reserved = self.tariff.highest(bound, self.max_tokens)
        if 0 < record.tries <= self.max_repairs:
            record.repair = self._repair_of(record)

    def _repair_of(self, record: Claimed) -> tuple[str, str] | None:
        """The last answer and what was wrong with it, if showing both to the model may help."""
        last = (
            Attempt.objects.filter(job_id=record.job_id, n=record.n)
            .order_by("-number")
            .values_list("failure_class", "message", "answer", "http_status")
            .first()
        )
        if last is None or last[0] not in REPAIRABLE or not last[2]:
            return None
        outcome = FORMATS[self.endpoint.api].parse(
            HttpResponse(last[3] or 200, {}, last[2].encode())
        )
        return (outcome.text, last[1]) if outcome.text else None

    def call_of(self, record: Claimed, *, marked: bool = False) -> Call:
        """`marked`: the provider is asked to keep what all prompts begin with."""
        return Call(
            keep=(self.kept.system, self.kept.user) if marked and self.kept else ("", ""),
            model=self.model,
            system=record.system,
            user=record.user,
            schema=self.schema,
            schema_name=self.schema_name,
            parameters=self.parameters,
            repair=record.repair,
            request_id=request_id(record.lease, record.n, record.number),
        )

    # --- after the call ---------------------------------------------------------------------
    def settlement_of(
        self,
        record: Claimed,
        request: HttpRequest,
        response: HttpResponse | None,
        outcome: Outcome,
        *,
        started_at: datetime,
        waited_ms: int,
        took_ms: int,
        cooldown: float,
        now: datetime,
        rng: random.Random,
    ) -> Settlement:
        """Judge an answer: classify, validate, value, and decide what becomes of the record."""
        failure, message, output = outcome.failure, outcome.message, ""
        if failure is None:
            verdict = self.check.check(outcome.text, record.values)
            failure, message, output = verdict.failure, verdict.message, verdict.output
        decision = decide(
            failure,
            tries=record.tries,
            max_attempts=self.max_attempts,
            retry_after=outcome.hints.retry_after,
            cooldown=cooldown,
            rng=rng,
        )
        line = self._line(record, outcome, failure, clean(message), started_at, waited_ms, took_ms)
        if line.outcome is AttemptOutcome.FAILED and line.charged:
            line.waste = self._waste(record, decision, failure, outcome.text)
        keep = self.keep_answers is KeepAnswers.ALL or (
            self.keep_answers is KeepAnswers.FAILURES and failure is not None
        )
        if keep:
            line.request = _text(request.body)
            line.answer = _text(response.body) if response is not None else None
        settlement = Settlement(
            job_id=record.job_id,
            n=record.n,
            lease=record.lease,
            number=record.number,
            status=decision.status,
            reserved=record.reserved,
            uses_try=decision.uses_try,
            output=clean(output) if failure is None else None,
            model=clean(outcome.model),
            message=line.message,
            due=decision.due,
            pause=decision.pause,
            attempt=line,
        )
        if failure is not None:
            settlement.failure_class = failure.value
            settlement.fingerprint = fingerprint(failure, line.message)
        if decision.due is not None:
            settlement.not_before = now + timedelta(seconds=decision.delay)
        return settlement

    def _line(
        self,
        record: Claimed,
        outcome: Outcome,
        failure: FailureClass | None,
        message: str,
        started_at: datetime,
        waited_ms: int,
        took_ms: int,
    ) -> AttemptLine:
        usage = outcome.usage or Usage()
        if usage.estimated and not usage.input_tokens:
            # The wire format saw only the answer; what was asked is known here.
            usage = replace(usage, input_tokens=record.input_tokens)
        doubtful = outcome.charged is None
        rates, cost = None, 0 if outcome.charged is False or self.tariff is not None else None
        if doubtful and self.tariff is not None:
            cost = record.reserved
        elif outcome.charged and self.tariff is not None:
            rates = self.tariff.at(usage.input_tokens)
            cost = rates.cost(usage)
        # A line in doubt is found again by what we called it, if the provider told us nothing.
        their_id = clean(outcome.provider_request_id)[:200]
        if doubtful and not their_id:
            their_id = request_id(record.lease, record.n, record.number)
        retry_after = outcome.hints.retry_after
        state = AttemptOutcome.ACCEPTED if failure is None else AttemptOutcome.FAILED
        return AttemptLine(
            outcome=AttemptOutcome.IN_DOUBT if doubtful else state,
            purpose=self._purpose(record),
            generation=record.generation,
            replay_id=record.replay_id,
            template_version_id=self.template_version_id,
            connection_id=self.connection_id,
            model=self.model,
            model_returned=clean(outcome.model),
            day=record.day,
            started_at=started_at,
            waited_ms=waited_ms,
            took_ms=took_ms,
            http_status=outcome.http_status,
            provider_request_id=their_id,
            failure_class=failure.value if failure is not None else "",
            message=message,
            retry_after_ms=None if retry_after is None else int(retry_after * 1000),
            usage=usage,
            price_id=self.tariff.price_id if self.tariff is not None else None,
            cost=cost,
            charged=outcome.charged is not False,
            rates=rates,
            request_key=self._request_key(record),
        )

    def _waste(
        self, record: Claimed, decision: Decision, failure: FailureClass | None, text: str
    ) -> Waste:
        """Of a charged answer that is no result: what becomes of the row instead."""
        if decision.status is RecordStatus.FAILED:
            return Waste.FAILED
        shown = failure in REPAIRABLE and text and self.keep_answers is not KeepAnswers.NONE
        return Waste.REPAIRED if shown and record.tries < self.max_repairs else Waste.RETRIED

    def _request_key(self, record: Claimed) -> str | None:
        """None for a repair, which shows the model an answer of its own as well."""
        if record.repair is not None:
            return None
        return with_messages(self.request_hash, record.system, record.user).hexdigest()

    def _purpose(self, record: Claimed) -> Purpose:
        if record.probe:
            return Purpose.PROBE
        if record.repair is not None:
            return Purpose.REPAIR
        if record.tries:
            return Purpose.RETRY
        if record.generation:
            return Purpose.REPLAY
        return Purpose.PILOT if record.n in self.pilot else Purpose.FIRST

    def unrendered(self, record: Claimed) -> Settlement:
        """A row the template cannot render fails without a call and without an attempt."""
        failure = FailureClass.RENDER_ERROR
        message = clean(record.fault or "")
        return Settlement(
            job_id=record.job_id,
            n=record.n,
            lease=record.lease,
            number=record.number,
            status=RecordStatus.FAILED,
            reserved=record.reserved,
            uses_try=True,
            failure_class=failure.value,
            fingerprint=fingerprint(failure, message),
            message=message,
        )


def make_plan(job_id: int, replay_id: int | None, *, now: datetime, monotonic: float) -> Plan:
    """Read a job (and a replay laid over it) from the tables. Raises CannotRun."""
    job = Job.objects.select_related("team", "template_version__template", "connection").get(
        pk=job_id
    )
    version, connection, model = job.template_version, job.connection, job.model
    parameters = dict(job.parameters)
    if replay_id is not None:
        replay = Replay.objects.select_related("template_version__template", "connection").get(
            pk=replay_id
        )
        version = replay.template_version or version
        connection = replay.connection or connection
        model = replay.model or model
        parameters.update(replay.parameters)
    try:
        prompt = PromptText.compile(version.system, version.user)
        check = OutputCheck.compile(version.output_schema, version.rules)
    except (TemplateFault, ValueError) as fault:
        raise CannotRun(
            StatusReason.TEMPLATE, f"Version {version.version} of the template: {fault}"
        ) from fault
    schema = version.output_schema
    parameters, timeout = request_parameters(parameters)
    price = resolve_price(connection=connection, model=model, at=now)
    tariff = Tariff(price) if price is not None else None
    endpoint = _endpoint(connection)
    return Plan(
        job_id=job_id,
        replay_id=replay_id,
        team_id=job.team_id,
        lane=(connection.pk, model),
        endpoint=endpoint,
        limits=Limits(
            connection.rpm, connection.input_tpm, connection.output_tpm, connection.max_in_flight
        ),
        prompt=prompt,
        schema=schema,
        schema_name=_schema_name(version.template.name),
        schema_tokens=upper_bound_tokens(str(schema)) if schema is not None else 0,
        check=check,
        model=model,
        parameters=parameters,
        max_tokens=int(parameters["max_tokens"]),
        timeout=timeout,
        max_attempts=job.max_attempts,
        max_repairs=job.max_repairs,
        pilot=frozenset(job.selection.get("pilot", ())),
        template_version_id=version.pk,
        connection_id=connection.pk,
        tariff=tariff,
        kept=_kept(connection, version, model, tariff),
        rows_ahead=job.pending + job.running,
        keep_answers=KeepAnswers(job.team.keep_answers),
        request_hash=constant_part(endpoint, model, schema, parameters),
        made_at=monotonic,
    )


def _kept(
    connection: Connection, version: TemplateVersion, model: str, tariff: Tariff | None
) -> Prefix | None:
    """What all prompts begin with, where Anthropic keeps it when it is asked to. By an estimate that may
    be too low by a third: what is too short in the end costs nothing."""
    if connection.api != WireApi.ANTHROPIC_MESSAGES or connection.kind not in _KEEPERS:
        return None
    prefix = constant_prefix(version.system, version.user)
    if prefix.tokens * (1 + ESTIMATE_ERROR) < minimum_tokens(connection.api, model):
        return None
    rates = None if tariff is None else tariff.at(prefix.tokens)
    pays = rates is None or rates.cached_input < rates.input
    return prefix if pays else None


def request_parameters(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """Those that are sent, and for how many seconds an answer is waited for."""
    sent = dict(parameters)
    timeout = float(sent.pop("timeout", None) or DEFAULT_TIMEOUT_S)
    sent["max_tokens"] = int(sent.get("max_tokens") or DEFAULT_MAX_TOKENS)
    return sent, timeout


def _endpoint(connection: Connection) -> Endpoint:
    if connection.removed_at is not None:
        raise CannotRun(
            StatusReason.CONNECTION_REMOVED,
            f"The connection “{connection.name}” was removed. Replay with another one.",
        )
    try:
        return endpoint_of(connection)
    except ValueError as fault:
        raise CannotRun(StatusReason.NO_KEY, str(fault)) from fault


def _schema_name(name: str) -> str:
    """A name as the providers want it: letters, digits, _ and -, at most 64."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)
    return kept[:64] or "output"


def request_id(lease: str, n: int, number: int) -> str:
    """What we call one call: sent with it, and kept where its outcome is in doubt."""
    return f"{lease}-{n}-{number}"


def clean(text: str) -> str:
    """Text that both databases take: NUL (PostgreSQL refuses it) and lone surrogates (no UTF-8 has
    them) become the visible mark U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def _text(body: bytes) -> str:
    """A body as text to keep: what is not UTF-8 is marked, and what is too long is cut."""
    text = clean(body[: KEPT_BODY_CHARS * 4].decode("utf-8", "replace"))
    if len(text) > KEPT_BODY_CHARS or len(body) > KEPT_BODY_CHARS * 4:
        return f"{text[:KEPT_BODY_CHARS]}… [cut: {len(body):,} bytes in all]"
    return text
