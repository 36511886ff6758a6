"""/jobs: launch, look at, control, replay, download"""

from dataclasses import replace
from typing import Annotated, Any

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router, Status

from jobs.api.actor import actor_for
from jobs.api.answers import (
    EstimateOut,
    FailureOut,
    JobOut,
    Page,
    RecordDetailOut,
    RecordOut,
    ReplayOut,
)
from jobs.api.idempotency import idempotent, once_key
from jobs.api.naming import named
from jobs.api.paging import PAGE, Cursor, Limit, key_of, page_of
from jobs.api.payloads import JobBudgetIn, JobIn, Number, OverridesIn, ReplayIn, one_of
from jobs.api.shapes import attempt_shape, failure_shape, job_shape, quote_shape, record_shape
from jobs.control.actions import job_cancel, job_pause, job_resume
from jobs.control.budgets import job_budget_set
from jobs.control.export import FORMATS, INCLUDES, results_stream
from jobs.control.filters import RECORD_STATUSES, REPLAYED, TABS, JobFilter, RecordFilter
from jobs.control.launch import LaunchSpec, job_checked, job_launch
from jobs.control.lineage import sent_by_replay, sources_of
from jobs.control.quote import quote_of
from jobs.control.replays import Overrides, replay_create
from jobs.control.selectors import (
    NO_CALLS,
    calls_of,
    failure_groups,
    inputs_of,
    job_page,
    job_view,
    record_page,
    record_view,
)
from jobs.errors import Invalid, NotFound
from jobs.failures import FailureClass
from jobs.models import Job, JobStatus, TemplateVersion
from jobs.teams.access import (
    Actor,
    connection_for,
    dataset_for,
    job_for,
    template_for,
    template_version_for,
)
from jobs.teams.policy import Action
from jobs.written import read

router = Router(tags=["jobs"])


@router.post("", operation_id="job_launch", response={201: JobOut}, summary="Launch a job")
@idempotent
def launch(request: HttpRequest, payload: JobIn) -> Any:
    actor = actor_for(request, Action.JOB_LAUNCH)
    return Status(201, _shape(actor, job_launch(actor=actor, spec=_spec(request, actor, payload))))


@router.post(
    "/estimate",
    operation_id="launch_estimate",
    response=EstimateOut,
    summary="What a launch would come to",
)
@idempotent
def estimate(request: HttpRequest, payload: JobIn) -> Any:
    """Launches nothing. `cost` holds the actual cost nine times in ten; without earlier jobs of this
    template and model (`basis` is `none`) it is what the input alone costs, and, where max_tokens is
    set, what one call a row costs at most. `duration` is in seconds, at the connection's limits."""
    actor = actor_for(request, Action.JOB_LAUNCH)
    job = job_checked(actor, _spec(request, actor, payload))
    return quote_shape(quote_of(job))


def _spec(request: HttpRequest, actor: Actor, payload: JobIn) -> LaunchSpec:
    if payload.mode not in ("realtime", "batch", "deadline"):
        raise Invalid.field("mode", "One of realtime, batch, deadline")
    if payload.mode != "realtime" or payload.deadline is not None:
        words = "Only “realtime” is available: provider batches are not offered yet"
        raise Invalid.field("mode" if payload.mode != "realtime" else "deadline", words)
    given = payload.model_dump(
        exclude={"dataset", "template", "template_version", "connection", "deadline"}
    )
    given["rows"] = payload.rows.model_dump(exclude_none=True)
    return LaunchSpec(
        dataset=named("dataset", lambda: dataset_for(actor, payload.dataset)),
        template_version=_version(actor, payload.template, payload.template_version),
        connection=named("connection", lambda: connection_for(actor, payload.connection)),
        launch_key=once_key(request),
        **given,
    )


def _version(actor: Actor, template: str, number: int | None, within: str = "") -> TemplateVersion:
    named(f"{within}template", lambda: template_for(actor, template))
    return named(f"{within}template_version", lambda: template_version_for(actor, template, number))


def _shape(actor: Actor, job: Job) -> dict[str, Any]:
    return job_shape(job_view(job_for(actor, job.public_id)))


@router.get(
    "", operation_id="job_list", response=Page[JobOut], summary="The team's jobs, newest first"
)
def index(
    request: HttpRequest,
    cursor: Cursor = "",
    limit: Limit = PAGE,
    tab: Annotated[str, one_of(*TABS)] = "all",
    status: Annotated[str, one_of("", *JobStatus)] = "",
    template: str = "",
    dataset: str = "",
    model: str = "",
    q: str = "",
) -> Any:
    actor = actor_for(request, Action.JOB_READ)
    if tab not in TABS:
        raise Invalid.field("tab", f"One of {', '.join(TABS)}")
    if status and status not in JobStatus.values:
        raise Invalid.field("status", f"One of {', '.join(JobStatus)}")
    if template:
        named("template", lambda: template_for(actor, template))
    if dataset:
        named("dataset", lambda: dataset_for(actor, dataset))
    chosen = JobFilter.parse(
        {"tab": tab, "template": template, "dataset": dataset, "model": model, "q": q}
    )
    chosen = replace(chosen, status=status)
    found = job_page(actor.team, chosen, before=key_of(cursor), limit=limit + 1)
    more = found[limit - 1].pk if len(found) > limit else None
    return page_of([job_shape(job_view(job)) for job in found[:limit]], more)


@router.get("/{job_id}", operation_id="job_get", response=JobOut, summary="A job")
def get(request: HttpRequest, job_id: str) -> Any:
    """`eta` is in seconds from now, `rate` in rows a second."""
    return job_shape(job_view(job_for(actor_for(request, Action.JOB_READ), job_id)))


@router.post("/{job_id}/pause", operation_id="job_pause", response=JobOut, summary="Pause a job")
@idempotent
def pause(request: HttpRequest, job_id: str) -> Any:
    actor = actor_for(request, Action.JOB_CONTROL)
    return _shape(actor, job_pause(actor=actor, job=job_for(actor, job_id)))


@router.post("/{job_id}/resume", operation_id="job_resume", response=JobOut, summary="Resume a job")
@idempotent
def resume(request: HttpRequest, job_id: str) -> Any:
    actor = actor_for(request, Action.JOB_CONTROL)
    return _shape(actor, job_resume(actor=actor, job=job_for(actor, job_id)))


@router.post(
    "/{job_id}/budget", operation_id="job_budget", response=JobOut, summary="Change a job's budget"
)
@idempotent
def budget(request: HttpRequest, job_id: str, payload: JobBudgetIn) -> Any:
    """In USD; null: none. A job that its budget had stopped goes on by itself if it now may."""
    actor = actor_for(request, Action.JOB_CONTROL)
    job = job_for(actor, job_id)
    return _shape(actor, job_budget_set(actor=actor, job=job, budget=payload.budget))


@router.post("/{job_id}/cancel", operation_id="job_cancel", response=JobOut, summary="Cancel a job")
@idempotent
def cancel(request: HttpRequest, job_id: str) -> Any:
    actor = actor_for(request, Action.JOB_CONTROL)
    return _shape(actor, job_cancel(actor=actor, job=job_for(actor, job_id)))


@router.get(
    "/{job_id}/records",
    operation_id="record_list",
    response=Page[RecordOut],
    summary="Records of a job",
)
def records(
    request: HttpRequest,
    job_id: str,
    status: Annotated[str, one_of("", *RECORD_STATUSES)] = "",
    failure_class: Annotated[str, one_of("", *FailureClass)] = "",
    cursor: Cursor = "",
    limit: Limit = PAGE,
) -> Any:
    actor = actor_for(request, Action.JOB_READ)
    job = job_for(actor, job_id)
    if status and status not in RECORD_STATUSES:
        raise Invalid.field("status", f"One of {', '.join(RECORD_STATUSES)}")
    if failure_class and failure_class not in set(FailureClass):
        raise Invalid.field("failure_class", f"One of {', '.join(FailureClass)}")
    chosen = RecordFilter.parse({"status": status, "failure_class": failure_class})
    page = record_page(job, chosen, after=key_of(cursor) or 0, limit=limit)
    inputs = inputs_of(job, page.records)
    calls = calls_of(job, page.records)
    sent = sent_by_replay(job)
    sources = sources_of(page.records)
    items = [
        record_shape(
            record,
            inputs[record.n],
            sent[record.result_replay_id].structured,
            calls.get(record.n, NO_CALLS),
            sources.get(record.n),
        )
        for record in page.records
    ]
    return page_of(items, page.next)


@router.get(
    "/{job_id}/records/{row}",
    operation_id="record_get",
    response=RecordDetailOut,
    summary="A record",
)
def record(request: HttpRequest, job_id: str, row: Number) -> Any:
    """With every attempt: request, raw answer, usage, cost, timing, error."""
    actor = actor_for(request, Action.JOB_READ)
    job = job_for(actor, job_id)
    view = record_view(job, row)
    if view is None:
        raise NotFound(f"The job has no row {row}.")
    structured = sent_by_replay(job)[view.record.result_replay_id].structured
    calls = calls_of(job, [view.record]).get(row, NO_CALLS)
    values = inputs_of(job, [view.record])[row]
    source = sources_of([view.record]).get(row)
    shape = record_shape(view.record, values, structured, calls, source)
    shape["attempts"] = [attempt_shape(attempt, view.request) for attempt in view.attempts]
    shape["prompt"] = {"system": view.system, "user": view.user, "error": view.prompt_fault or None}
    return shape


@router.get(
    "/{job_id}/failures",
    operation_id="failure_list",
    response=Page[FailureOut],
    summary="Failures by cause",
)
def failures(request: HttpRequest, job_id: str) -> Any:
    actor = actor_for(request, Action.JOB_READ)
    groups = failure_groups(job_for(actor, job_id))
    return {"items": [failure_shape(group) for group in groups], "next": None}


@router.post(
    "/{job_id}/replay",
    operation_id="job_replay",
    response={201: ReplayOut},
    summary="Replay failed or chosen records",
)
@idempotent
def replay(request: HttpRequest, job_id: str, payload: ReplayIn) -> Any:
    """All failed records that match, or also those that succeeded; as they were, or with overrides and
    edited rows."""
    actor = actor_for(request, Action.RECORD_REPLAY)
    job = job_for(actor, job_id)
    if payload.failure_class and payload.failure_class not in set(FailureClass):
        raise Invalid.field("failure_class", f"One of {', '.join(FailureClass)}")
    if payload.status not in REPLAYED:
        raise Invalid.field("status", f"One of {', '.join(REPLAYED)}")
    if payload.rows is not None and not payload.rows:
        raise Invalid.field("rows", "Name at least one row, or leave it out for all")
    narrowed = payload.failure_class or payload.fingerprint
    chosen = RecordFilter(
        failure_class=payload.failure_class,
        fingerprint=payload.fingerprint,
        rows=tuple(payload.rows or (() if narrowed else sorted(payload.edits))),
        replayed=payload.status,
    )
    made, _ = replay_create(
        actor=actor,
        job=job,
        key=once_key(request),
        chosen=chosen,
        overrides=_overrides(actor, job, payload.overrides),
        edits=_edits(request, payload),
    )
    return Status(201, {"replay": made.public_id, "records": made.asked})


def _edits(request: HttpRequest, payload: ReplayIn) -> dict[int, dict[str, Any]]:
    """With numbers as the request writes them."""
    if not payload.edits:
        return {}
    return {int(row): values for row, values in read(request.body)["edits"].items()}


def _overrides(actor: Actor, job: Job, given: OverridesIn) -> Overrides:
    version = connection = None
    if given.template_version is not None or given.template:
        template = given.template or job.template_version.template.public_id
        version = _version(actor, template, given.template_version, within="overrides.")
    if given.connection:
        wanted = given.connection
        connection = named("overrides.connection", lambda: connection_for(actor, wanted))
    return Overrides(version, connection, given.model.strip(), given.parameters)


@router.get(
    "/{job_id}/results",
    operation_id="job_results",
    summary="Download the results",
    openapi_extra={
        "responses": {
            200: {
                "description": "The file",
                "content": {
                    kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                    for kind in FORMATS.values()
                },
            }
        }
    },
)
def results(
    request: HttpRequest,
    job_id: str,
    format: Annotated[str, one_of(*FORMATS)] = "jsonl",  # noqa: A002  the name of the parameter in the address
    include: Annotated[str, one_of(*INCLUDES)] = "all",
) -> Any:
    """Streams input, output and provenance columns. While the job runs the file is partial, and its
    name says so."""
    actor = actor_for(request, Action.JOB_READ)
    job = job_for(actor, job_id)
    if format not in FORMATS:
        raise Invalid.field("format", f"One of {', '.join(FORMATS)}")
    if include not in INCLUDES:
        raise Invalid.field("include", f"One of {', '.join(INCLUDES)}")
    partial = "" if job.state.is_terminal else "-partial"
    response = StreamingHttpResponse(
        results_stream(job, format, include),  # type: ignore[arg-type]
        content_type=FORMATS[format],
    )
    name = f"{job.public_id}-{include}{partial}.{format}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
