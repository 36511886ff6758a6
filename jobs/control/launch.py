"""Launching a job: checked whole, written in one row, expanded in the background."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import queue
from jobs.control.parameters import check_parameters
from jobs.control.repeats import known_duplicates
from jobs.costs.direct_budgets import has_stop, room_for
from jobs.costs.estimates import Estimate, estimate_launch
from jobs.costs.population import population_of
from jobs.costs.pricing import Tariff, resolve_price
from jobs.datasets.selection import rows_at, selection_size
from jobs.engine.pilots import SIZES, begin_pilot
from jobs.engine.store import Store
from jobs.engine.twins import SAYS_SO, look, scan_of
from jobs.errors import FieldError, Invalid
from jobs.models import Connection, Dataset, DatasetStatus, Job, Scan, TemplateVersion
from jobs.money import to_pico
from jobs.prompts.schema import OutputCheck
from jobs.prompts.template import PromptText, TemplateFault
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.endpoints import endpoint_of
from jobs.teams.policy import Action

logger = logging.getLogger(__name__)

# Rows, and kilobytes, that a launch looks through for twins itself.
AT_ONCE_ROWS = 2_000
MAX_ATTEMPTS = 10
MAX_TAGS = 20
MAX_SEED = 2**31
_HELD = {"budget": "a budget", "max_cost_per_minute": "a limit per minute"}


@dataclass(slots=True)
class LaunchSpec:
    """What a launch form or request asks for; objects are those of the actor's team already."""

    dataset: Dataset
    template_version: TemplateVersion
    connection: Connection
    model: str
    name: str = ""
    mode: str = "realtime"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Any] = field(default_factory=dict)  # {} | {limit} | {sample, seed}
    tags: Mapping[str, Any] = field(default_factory=dict)
    priority: Any = 0
    max_attempts: Any = 3
    max_repairs: Any = 1
    budget: Any = None  # USD
    max_cost_per_minute: Any = None  # USD
    tolerated_failure_rate: Any = 0.3
    pilot: Any = 0  # so many rows first: one of SIZES; 0: no pilot
    share_duplicates: bool = True
    reuse: bool = False
    launch_key: str = ""
    estimate: Estimate | None = None  # what was shown before the launch


def job_launch(*, actor: Actor, spec: LaunchSpec) -> Job:
    """Launch a job; the same launch key gives the same job again. O(1) in the rows: those of a pilot are
    chosen among a sample of them. Raises Invalid with every fault at once, and BudgetRefused."""
    actor.require(Action.JOB_LAUNCH)
    if spec.launch_key:
        known = Job.objects.filter(team=actor.team, launch_key=spec.launch_key).first()
        if known is not None:
            return known
    job = job_checked(actor, spec)
    _demand_room(actor, job)
    now = timezone.now()
    if job.pilot_rows:
        _choose_pilot(job)
    job.estimate = (spec.estimate or _estimate(job, now)).kept(now)
    try:
        with transaction.atomic():
            job.scan = scan_of(job)
            if job.scan:
                job.scan_until = timezone.now() + SAYS_SO
            job.save()
            if job.pilot_rows:
                begin_pilot(job, timezone.now())
            _look_for_twins(job)
            record(actor, "job.launch", job, rows=job.total, model=job.model, pilot=job.pilot_rows)
            queue.ring()
            queue.enqueue("jobs.engine.tasks.expand", job.pk)
    except IntegrityError:
        # The other half of a double click was quicker.
        known = Job.objects.filter(team=actor.team, launch_key=spec.launch_key).first()
        if known is None:
            raise
        return known
    told = {"job": job.pk, "public_id": job.public_id, "team": job.team_id, "rows": job.total}
    logger.info("job launched", extra={**told, "connection": job.connection_id})
    return job


def _look_for_twins(job: Job) -> None:
    """At once where that takes milliseconds, so that the first call does not wait for a worker."""
    dataset = job.dataset
    size = dataset.bytes * job.total // max(1, dataset.rows)
    if job.scan == Scan.FIRST and not job.reuse and max(job.total, size // 1000) <= AT_ONCE_ROWS:
        look(Store(), job.pk)
    elif job.scan:
        queue.enqueue("jobs.engine.tasks.look_for_twins", job.pk)


def job_checked(actor: Actor, spec: LaunchSpec) -> Job:
    """The job as it would be launched, not saved. Raises Invalid with every fault at once."""
    errors: list[FieldError] = []

    def fault(loc: str, message: str) -> None:
        errors.append(FieldError(tuple(loc.split(".")), message))

    if spec.mode != "realtime":
        fault("mode", "Only “realtime” is available: provider batches are not offered yet")
    model = spec.model.strip()
    if not 1 <= len(model) <= 200 or not model.isprintable():
        fault("model", "The model's name, 1 to 200 characters")
    selection, total = _selection(spec, fault)
    _check_template(spec, fault)
    try:
        endpoint_of(spec.connection)
    except ValueError as error:
        fault("connection", str(error))
    version = spec.template_version
    parameters = check_parameters({**version.defaults, **spec.parameters}, errors)
    budget = _amount("budget", spec.budget, spec, model, fault)
    if model and not _price_is_known(spec, model) and _is_held(actor, spec):
        fault("model", f"The price of {model} is unknown: set one so that the budget can be held")
    per_minute = _amount("max_cost_per_minute", spec.max_cost_per_minute, spec, model, fault)
    tags = _tags(spec.tags, fault)
    pilot = _whole(spec.pilot, 0, max(SIZES), "pilot", fault) or 0
    if pilot and pilot not in SIZES:
        fault("pilot", f"One of {', '.join(map(str, SIZES))}")
    rate = _share(spec.tolerated_failure_rate)
    if rate is None:
        fault("tolerated_failure_rate", "A share from 0 to 1")
    numbers = {
        "priority": _whole(spec.priority, -100, 100, "priority", fault),
        "max_attempts": _whole(spec.max_attempts, 1, MAX_ATTEMPTS, "max_attempts", fault),
        "max_repairs": _whole(spec.max_repairs, 0, MAX_ATTEMPTS, "max_repairs", fault),
    }
    name = spec.name.strip() or f"{version.template.name} · {spec.dataset.name}"[:200]
    if len(name) > 200:
        fault("name", "At most 200 characters")
    if errors:
        raise Invalid(errors)
    return Job(
        team=actor.team,
        name=name,
        dataset=spec.dataset,
        template_version=version,
        connection=spec.connection,
        model=model,
        parameters=parameters,
        tags=tags,
        selection=selection,
        budget=budget,
        max_cost_per_minute=per_minute,
        tolerated_failure_rate=rate or 0.0,
        share_duplicates=spec.share_duplicates,
        reuse=spec.reuse,
        total=total,
        pending=total,
        pilot_rows=min(pilot, total),
        launch_key=spec.launch_key[:64],
        created_by=actor.user,
        status_at=timezone.now(),
        **numbers,
    )


def _estimate(job: Job, now: datetime) -> Estimate:
    """To hold what comes against. From a sample: a launch takes no longer for more rows."""
    told = estimate_launch(
        dataset=job.dataset,
        version=job.template_version,
        connection=job.connection,
        model=job.model,
        selection=job.selection,
        max_tokens=job.parameters.get("max_tokens"),
        at=now,
        exact_rows=0,
    )
    return told.without(known_duplicates(job))


def _choose_pilot(job: Job) -> None:
    """Random rows, the short and the long ones in their proportion: the first rows of a file are often
    not like the others."""
    population = population_of(job.dataset, job.template_version, job.selection, exact_rows=0)
    places = population.stratified(job.pilot_rows, secrets.SystemRandom())
    job.selection["pilot"] = rows_at(job.selection, job.dataset.rows, places)


def _selection(spec: LaunchSpec, fault: Any) -> tuple[dict[str, int], int]:
    dataset, rows = spec.dataset, spec.rows
    if dataset.status != DatasetStatus.READY:
        fault("dataset", f"The dataset is {dataset.get_status_display().lower()}, not ready")
        return {}, 0
    if dataset.rows == 0:
        fault("dataset", "The dataset has no rows")
        return {}, 0
    kept: dict[str, int] = {}
    unknown = set(rows) - {"limit", "sample", "seed"}
    if unknown or {"limit", "sample"} <= set(rows):
        fault("rows", "Either {limit} or {sample, seed}")
        return {}, 0
    for name in ("limit", "sample"):
        if rows.get(name) not in (None, ""):
            number = _whole(rows[name], 1, 2**31 - 1, f"rows.{name}", fault) or 1
            if name == "sample" and number > dataset.rows:
                has = f"{dataset.rows:,} row{'s' if dataset.rows > 1 else ''}"
                fault("rows.sample", f"The dataset has {has}: no more can be drawn from it")
            # The first n are at most so many.
            kept[name] = min(number, dataset.rows)
    if "sample" in kept:
        seed = rows.get("seed")
        chosen = secrets.randbelow(MAX_SEED) if seed in (None, "") else seed
        kept["seed"] = _whole(chosen, 0, MAX_SEED, "rows.seed", fault) or 0
    return kept, selection_size(kept, dataset.rows)


def _check_template(spec: LaunchSpec, fault: Any) -> None:
    """A column that the dataset does not have would fail every row: refuse it here."""
    version = spec.template_version
    try:
        prompt = PromptText.compile(version.system, version.user)
        OutputCheck.compile(version.output_schema, version.rules)
    except (TemplateFault, ValueError) as error:
        fault("template", str(error))
        return
    if spec.dataset.status != DatasetStatus.READY:
        return  # its columns are not known; that it is not ready is said already
    columns = {column["name"] for column in spec.dataset.columns}
    # A name in an {% if x is defined %} is allowed to be absent; then the plain names must be there.
    missing = sorted(name for name in prompt.variables - columns if name not in prompt.optional)
    if missing:
        names = ", ".join(f"“{name}”" for name in missing)
        fault("template", f"The dataset has no column {names}")


def _amount(loc: str, given: Any, spec: LaunchSpec, model: str, fault: Any) -> int | None:
    if given in (None, ""):
        return None
    try:
        amount = Decimal(str(given))
        if not amount.is_finite() or not 0 < amount < 1_000_000:
            raise ValueError
        pico = to_pico(amount)
    except (InvalidOperation, ValueError):
        fault(loc, "An amount in USD above 0, with at most 12 decimals")
        return None
    if resolve_price(connection=spec.connection, model=model, at=timezone.now()) is None:
        fault(loc, f"The price of {model} is unknown: set one before {_HELD[loc]} can be held")
    return pico


def _is_held(actor: Actor, spec: LaunchSpec) -> bool:
    return has_stop(actor.team, spec.connection.pk, timezone.now().astimezone(UTC).date())


def _price_is_known(spec: LaunchSpec, model: str) -> bool:
    return resolve_price(connection=spec.connection, model=model, at=timezone.now()) is not None


def _demand_room(actor: Actor, job: Job) -> None:
    """Some of the budgets must be left for what is not free. Raises BudgetRefused."""
    now = timezone.now()
    price = resolve_price(connection=job.connection, model=job.model, at=now)
    if price is not None and not Tariff(price).free:
        room_for(actor.team, job.connection_id, now.astimezone(UTC).date())


def _tags(tags: Any, fault: Any) -> dict[str, str]:
    if not isinstance(tags, Mapping) or len(tags) > MAX_TAGS:
        fault("tags", f"Up to {MAX_TAGS} names with values")
        return {}
    kept = {str(k).strip(): str(v).strip() for k, v in tags.items() if str(k).strip()}
    if any(len(k) > 50 or len(v) > 200 for k, v in kept.items()):
        fault("tags", "Names of at most 50 and values of at most 200 characters")
    return kept


def _share(value: Any) -> float | None:
    try:
        share = float(value)
    except (TypeError, ValueError):
        return None
    return share if 0 <= share <= 1 else None


def _whole(value: Any, low: int, high: int, loc: str, fault: Any) -> int | None:
    try:
        if isinstance(value, bool) or float(value) != int(float(value)):
            raise ValueError
        number = int(float(value))
    except (TypeError, ValueError, OverflowError):
        number = low - 1
    if not low <= number <= high:
        fault(loc, f"A whole number from {low:,} to {high:,}")
        return None
    return number
