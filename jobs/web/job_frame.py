"""The head that every page of one job shares: state, counts, figures, actions. It is polled."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from jobs.control.selectors import JobView, cost_at_end, job_view
from jobs.control.waits import sends_no_more
from jobs.costs.known import job_money, saved_by_taking
from jobs.costs.told import forecast_of, told_of
from jobs.engine.patience import CANCELLED_WAIT_S
from jobs.engine.stalls import stalled_since
from jobs.failures import POLICIES, FailureClass
from jobs.models import Job, JobStatus, StatusReason
from jobs.teams.access import Actor, job_for
from jobs.teams.policy import Action
from jobs.templatetags.figures import count_text, range_text
from jobs.web.confirmation import Question
from jobs.web.context import Shell
from jobs.web.estimate_words import outcome_words, told_words
from jobs.web.job_budget import stopped_by_budget
from jobs.web.live import tag_of
from jobs.web.pages import PageRequest

# The pages of a job inherit their live part from here.
FRAME = "jobs/frame.html"
NEEDS = {
    "pause": Action.JOB_CONTROL,
    "resume": Action.JOB_CONTROL,
    "cancel": Action.JOB_CONTROL,
    "replay": Action.RECORD_REPLAY,
    "clone": Action.JOB_LAUNCH,
}


def why_not(actor: Actor, job: Job, action: str, replayed: str = "failed") -> str:
    """Why a person may not do this to this job now; blank when they may. `replayed` says which records
    a replay would send: what has failed, or also what succeeded."""
    if not actor.may(NEEDS[action]):
        return f"Your role in {actor.team.name} does not reach to this"
    if action not in job.state.actions:
        return f"The job is {job.state.label.lower()}"
    if action == "replay" and replayed == "failed" and not job.failed:
        return "No record has failed"
    if action == "replay" and not job.failed and not job.succeeded:
        return "No record has ended"
    return ""


def job_frame(request: PageRequest, job: Job, active: str) -> tuple[dict[str, Any], str]:
    """The context of `jobs/frame.html` and the tag of what its live part shows."""
    view = job_view(job)
    workers = None if job.state.is_terminal else Shell(request).workers_online
    url = reverse("job", args=[job.public_id])
    told = told_of(job)
    context = {
        "job": job,
        "money": job_money(job),
        "view": view,
        "job_url": url,
        "parts": bar_parts(view),
        "links": {
            **{status: f"{url}?status={status}" for status in view.counts},
            "retrying": f"{url}?status=pending",
            "waiting": f"{url}?status=pending",
        },
        "reasons": {action: why_not(request.actor, job, action) for action in NEEDS},
        "notices": notices(job, view, workers),
        "stop": stopped_by_budget(request.actor, job),
        "resume_label": resume_label(job),
        "rate": rate_text(view.rate),
        "eta": eta_text(view),
        "cancel_words": cancel_words(job, view),
        "in_flight": in_flight(view),
        "done_share": _share(job.succeeded + job.failed, job.total),
        "failed_share": _share(job.failed, job.succeeded + job.failed),
        "settled": job.succeeded + job.failed,
        "tokens": job.input_tokens + job.output_tokens,
        "rate_hint": _rate_hint(view),
        "eta_hint": "at the present rate" if view.eta else "not known yet",
        "flight_hint": _flight_hint(view),
        "cost_at_end": None if told else cost_at_end(job),
        "told": told,
        "forecast": forecast_of(job) if told else None,
        "told_words": told_words(told) if told else "",
        "outcome_words": outcome_words(job, told) if told and job.finished_at else "",
        "cost_share": _share(job.cost, job.budget or 0),
        "budget_used": round(1000 * (_share(job.cost, job.budget or 0) or 0)),
        "costs_url": f"{reverse('job', args=[job.public_id])}?tab=costs",
        "saved": saved_by_taking(job) if job.shared or job.reused else 0,
        "tabs": _tabs(job, url, active),
    }
    # Of a job that stands still, the passing time is no change.
    moving = job.state.is_runnable or job.state is JobStatus.CANCELLING
    tag = tag_of(
        job.status, job.status_reason, job.status_detail, view.counts, job.expanded,
        view.retrying, view.waiting, view.waiting_until, context["rate"], context["eta"],
        view.in_flight, view.level, view.why, job_money(job), job.reserved, job.attempts,
        job.output_tokens, job.shared, job.reused, workers, context["notices"], moving and view.elapsed,
        context["forecast"],
    )  # fmt: skip
    return context, tag


def _rate_hint(view: JobView) -> str:
    if view.job.state is JobStatus.PAUSED:
        return "while it is paused"
    if view.replayed:
        return "not told of a replayed job"
    return "on average" if view.job.state.is_terminal else "over the last minute"


def _flight_hint(view: JobView) -> str:
    """How many calls may fly at once and why; records claimed beyond that go out next."""
    waiting = view.counts["running"] - in_flight(view) if view.job.state.is_runnable else 0
    parts = [f"of {count_text(view.level)}: {view.why}" if view.level else view.why]
    if waiting and not view.in_flight:
        parts = []  # a worker has them already; what it told last was before it had them
    if waiting:
        parts.append(
            f"{count_text(waiting)} claimed row{'s' * (waiting != 1)} go{'es' * (waiting == 1)} out next"
        )
    return "; ".join(parts)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def bar_parts(view: JobView) -> dict[str, int]:
    """The records by what they do now, waiting ones apart from pending; sums to the total."""
    counts = {name: n for name, n in view.counts.items() if name != "total"}
    retrying = min(view.retrying, counts["pending"])
    waiting = min(view.waiting, counts["pending"] - retrying)
    return {
        **counts,
        "pending": counts["pending"] - retrying - waiting,
        "retrying": retrying,
        "waiting": waiting,
    }


def resume_label(job: Job) -> str:
    if job.status_reason != StatusReason.PILOT:
        return "Resume"
    return f"Run the remaining {count_text(job.pending)} row{'s' * (job.pending != 1)}"


def rate_text(rate: float) -> str:
    """Rows a second, or a minute where that is less than one."""
    if rate <= 0:
        return "—"
    return f"{rate:,.1f} rows/s" if rate >= 1 else f"{rate * 60:,.1f} rows/min"


def eta_text(view: JobView) -> str:
    if view.eta is None:
        return "—"
    return range_text(*view.eta)


def cancel_question(request: PageRequest, job_id: str) -> Question | None:
    """What the cancel button asks; nothing of a job that has ended, whose answer is a refusal."""
    job = job_for(request.actor, job_id)
    if "cancel" not in job.state.actions:
        return None
    return Question(cancel_words(job, job_view(job)), "Cancel job")


def cancel_words(job: Job, view: JobView) -> str:
    """Rows that were claimed and not sent yet are cancelled like those that wait; how many of them
    are in flight is not told in the first seconds."""
    flying = in_flight(view)
    left = count_text(job.pending + job.running - flying)
    finish = f"{count_text(flying)} in flight will finish and be charged. " if flying else ""
    if job.running and not flying:
        left = count_text(job.pending)
        finish = f"Up to {count_text(job.running)} in flight will finish and be charged. "
    if finish:
        finish += f"Those silent for {CANCELLED_WAIT_S:.0f} s more are given up, in doubt. "
    results = (
        f"{count_text(job.succeeded)} result{'s' * (job.succeeded != 1)} "
        f"stay{'s' * (job.succeeded == 1)} and can be downloaded."
        if job.succeeded
        else ""
    )
    return (
        f"Cancel “{job.name}”?\n{left} rows that were not sent will be cancelled for good"
        f"{', but for those that have a result from before a replay' if view.replayed else ''}. "
        f"{finish}{results}"
    ).strip()


def in_flight(view: JobView) -> int:
    """Calls in flight as far as they are known: a slice tells of its calls every few seconds, so what
    it told may lie behind the records' own states."""
    return min(view.job.running, view.in_flight)


def notices(job: Job, view: JobView, workers: int | None) -> list[dict[str, str]]:
    """What a person has to know about the job's state, the most pressing first."""
    found: list[dict[str, str]] = []

    def add(tone: str, icon: str, title: str, text: str) -> None:
        found.append({"tone": tone, "icon": icon, "title": title, "text": text})

    status = job.state
    # What was claimed and not sent goes back within moments; what is in flight ends.
    flying = in_flight(view)
    finishing = f"{count_text(flying)} in flight will finish and count." if flying else ""
    if job.running and not flying:
        finishing = f"Up to {count_text(job.running)} in flight will finish and count."
    if status is JobStatus.PAUSED:
        reason = StatusReason(job.status_reason)
        title = f"Paused: {reason.label.lower()}." if reason else "Paused."
        detail = job.status_detail
        # Where a budget of ours holds it, the refusal says itself what helps.
        advice = "" if job.refusal else _advice(reason)
        if reason is StatusReason.PILOT:
            title = "The pilot is done."
        if reason is StatusReason.PERSON and detail:
            title, detail = _joined(detail), ""
        add("orange", "player-pause", title, _joined(detail, advice, finishing))
    elif status is JobStatus.CANCELLING:
        left = f"{count_text(job.pending)} rows are still to be cancelled."
        add("orange", "ban", "Cancelling.", _joined(left, finishing))
    elif status is JobStatus.FAILED:
        add("red", "circle-x", "The job could not go on.", job.status_detail)
    elif status is JobStatus.COMPLETED_WITH_FAILURES:
        text = f"{count_text(job.failed)} of {count_text(job.total)} rows failed; they are kept."
        add("orange", "alert-triangle", "Completed with failures.", text)
    if job.difference:
        add(
            "red",
            "alert-triangle",
            "The books of this job do not agree.",
            f"{job.difference}. Tell an admin of the installation; “manage.py verify” says the same.",
        )
    if status.is_terminal:
        return found
    if workers == 0:
        text = "Nothing is sent until a worker is started; nothing is lost meanwhile."
        add("red", "server", "No worker is online.", text)
    if workers and status is not JobStatus.PAUSED and (since := stalled_since(job)):
        text = (
            "It has work and waits for no call and no limit. Workers were called; look at their logs, "
            "then pause and resume it."
        )
        add("red", "hourglass", f"Stalled since {since:%H:%M:%S} UTC.", text)
    if view.waits is not None and (words := _waiting_words(view)):
        add("blue", "hourglass", *words)
    if view.waiting_until and status.is_runnable:
        until = f"{view.waiting_until.astimezone(timezone.get_default_timezone()):%H:%M:%S} UTC"
        text = f"{count_text(view.waiting)} rows wait; this uses up none of their attempts."
        add("purple", "hourglass", f"Waiting for the rate limit until {until}.", text)
    if job.pilot_rows and status.is_runnable:
        text = "When they have ended, the job pauses with a new estimate."
        add("blue", "flask", f"Pilot: {count_text(job.pilot_rows)} random rows go first.", text)
    if job.expanded < job.total and status.is_runnable and not job.pilot_rows:
        text = f"{count_text(job.expanded)} of {count_text(job.total)} rows are ready to be sent."
        add("blue", "progress", "Preparing the rows.", text)
    if view.open_replay is not None:
        text = f"Records that go back to pending: {count_text(view.open_replay.asked)}."
        add("blue", "refresh", "A replay is being applied.", text)
    return found


def _waiting_words(view: JobView) -> tuple[str, str] | None:
    """Of a job that has nothing more to send: how many calls it waits for, since when, until when."""
    waits = view.waits
    if waits is None or not sends_no_more(view.job) or not waits.long(timezone.now()):
        return None
    one = waits.calls == 1
    return (
        f"Waiting for {count_text(waits.calls)} call{'' if one else 's'}.",
        f"{'It' if one else 'The first of them'} left at {waits.since:%H:%M:%S} UTC; at "
        f"{waits.until:%H:%M:%S} UTC at the latest {'it is' if one else 'they are'} given up.",
    )


def _advice(reason: StatusReason) -> str:
    if reason.value in {one.value for one in FailureClass}:
        return POLICIES[FailureClass(reason)].suggestion
    return {
        StatusReason.BUDGET: POLICIES[FailureClass.BUDGET_EXHAUSTED].suggestion,
        StatusReason.FAILURE_RATE: "Look at the failures below; resume, or replay with changes.",
        StatusReason.RUNAWAY: "Resume once you know why; the job's budget bounds what it may cost.",
        StatusReason.PROVIDER_DOWN: "Resume to try at once.",
        StatusReason.NO_KEY: "Enter a key for the connection, then resume.",
        StatusReason.CONNECTION_REMOVED: "Clone the job with another connection.",
        StatusReason.TEMPLATE: "Save a working version of the template and clone the job with it.",
    }.get(reason, "")


def _joined(*sentences: str) -> str:
    return " ".join(
        text if text.endswith((".", "!", "?")) else f"{text}." for text in sentences if text
    )


def _tabs(job: Job, url: str, active: str) -> list[dict[str, Any]]:
    tabs = [
        ("records", "Records", url, job.total, ""),
        ("failures", "Failures", reverse("failures", args=[job.public_id]), job.failed, "red"),
        ("costs", "Costs", f"{url}?tab=costs", None, ""),
        ("activity", "Activity", f"{url}?tab=activity", None, ""),
        ("config", "Config", f"{url}?tab=config", None, ""),
        ("compare", "Compare", f"{reverse('job_compare')}?a={job.public_id}", None, ""),
    ]
    return [
        {"label": label, "url": to, "count": count, "tone": tone, "active": key == active}
        for key, label, to, count, tone in tabs
    ]
