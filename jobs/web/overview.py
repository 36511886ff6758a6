"""The first page: what needs somebody, what is running, what it makes and costs. It is polled."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from jobs.control.overview import (
    FailedJob,
    Hours,
    RunningJob,
    failed_jobs,
    last_hours,
    paused_jobs,
    running_jobs,
    spend,
)
from jobs.control.selectors import cost_at_end
from jobs.failures import POLICIES, FailureClass
from jobs.models import Connection, Dataset, Job, PromptTemplate, StatusReason, Team
from jobs.teams.policy import Action
from jobs.templatetags.figures import count_text, duration_text, range_text
from jobs.web.context import Shell
from jobs.web.job_frame import rate_text, why_not
from jobs.web.jobs import row_of
from jobs.web.live import answer, tag_of
from jobs.web.pages import PageRequest, page

_CLASSES = {one.value for one in FailureClass}
# What is mended where the keys are.
_OF_THE_CONNECTION = (
    StatusReason.AUTHENTICATION,
    StatusReason.PERMISSION,
    StatusReason.QUOTA,
    StatusReason.NO_KEY,
)


@page(Action.JOB_READ)
def overview(request: PageRequest) -> HttpResponse:
    team = request.actor.team
    running = running_jobs(team)
    hours = last_hours(team)
    today = timezone.now().date()
    month = today.replace(day=1)
    needs = list(_needs(request, running))
    rows = [_running(request, one) for one in running]
    figures = [
        ("Spent today", spend(team, today), _costs(today.isoformat(), today.isoformat())),
        ("Spent this month", spend(team, month), _costs(month.isoformat(), today.isoformat())),
    ]
    any_job = bool(rows or needs) or Job.objects.filter(team=team).exists()
    context = {
        "needs": needs,
        "rows": rows,
        "chart": _chart(hours),
        "settled": sum(hours.succeeded) + sum(hours.failed),
        "failed": sum(hours.failed),
        "spend": figures,
        "any_job": any_job,
        "steps": [] if any_job else _steps(team),
    }
    shown = [
        (row["job"].status, row["counts"], row["rate"], row["eta"], row["job"].cost) for row in rows
    ]
    tag = tag_of(needs, shown, hours, figures, any_job, context["steps"])
    return answer(request, "overview/overview.html", context, tag)


def _costs(first: str, last: str) -> str:
    return f"{reverse('costs')}?from={first}&to={last}"


def _running(request: PageRequest, one: RunningJob) -> dict[str, Any]:
    eta = range_text(*one.eta) if one.eta else ""
    return {
        **row_of(request, one.job),
        "rate": rate_text(one.rate),
        "eta": eta,
        "cost_at_end": cost_at_end(one.job),
    }


# --- What needs somebody ------------------------------------------------------------------------
def _needs(request: PageRequest, running: list[RunningJob]) -> Iterator[dict[str, Any]]:
    """The most pressing first; nothing on a good day."""
    team = request.actor.team
    shell = Shell(request)
    if shell.workers_online == 0:
        age = shell.worker_heartbeat_age_s
        # In minutes: a word that changed each second would be news at each poll.
        ago = "" if age is None else f"last seen {duration_text(age // 60 * 60)} ago"
        words = ago or "none was ever seen"
        text = f"Nothing is sent until one is started; {words}."
        yield _need("red", "server", "No worker is online", text)
    for one in running:
        if one.silent is not None and shell.workers_online:
            minutes = int(one.silent.total_seconds() // 60)
            text = (
                f"It has work and has not got on for {minutes} min, though it waits for no call and no "
                "limit. Workers were called; look at their logs, then pause and resume it."
            )
            yield _need("red", "hourglass", "Stalled", text, one.job)
    paused, number = paused_jobs(team)
    for job in paused:
        reason = StatusReason(job.status_reason)
        title = reason.label if reason else "Paused"
        need = _need("orange", "player-pause", title, _paused_text(request, job, reason), job)
        yield {**need, **_way_out(request, job, reason)}
    if number > len(paused):
        yield _more(number - len(paused), "paused jobs", "paused")
    failed, number = failed_jobs(team)
    for item in failed:
        yield _failed(item)
    if number > len(failed):
        yield _more(number - len(failed), "jobs with failures", "failures")


def _need(tone: str, icon: str, title: str, text: str, job: Job | None = None) -> dict[str, Any]:
    return {
        "tone": tone,
        "icon": icon,
        "title": title,
        "text": text,
        "name": job.name if job else "",
        "job_id": job.public_id if job else "",
        "url": reverse("job", args=[job.public_id]) if job else "",
        "at": (job.finished_at or job.status_at) if job else None,
    }


def _way_out(request: PageRequest, job: Job, reason: StatusReason) -> dict[str, Any]:
    """The buttons of a paused job: to what has to be mended, and on."""
    found: dict[str, Any] = {"resume": not why_not(request.actor, job, "resume")}
    if reason in _OF_THE_CONNECTION:
        found["to"] = "See the connection"
        found["to_url"] = reverse("settings_connection", args=[job.connection.public_id])
    elif job.failed:
        found["to"] = "See the causes"
        found["to_url"] = reverse("failures", args=[job.public_id])
    return found


def _paused_text(request: PageRequest, job: Job, reason: StatusReason) -> str:
    left = f"{count_text(job.pending)} row{'' if job.pending == 1 else 's'} wait."
    advice = POLICIES[FailureClass(reason)].suggestion if reason.value in _CLASSES else ""
    if reason in _OF_THE_CONNECTION and not request.actor.may(Action.CONNECTION_WRITE):
        advice += " An admin of the team can do that."
    detail = job.status_detail
    if detail and not detail.endswith("."):
        detail += "."
    return " ".join(text for text in (detail, left, advice) if text)


def _failed(item: FailedJob) -> dict[str, Any]:
    job = item.job
    causes = ", ".join(
        f"{count_text(n)} × {POLICIES[FailureClass(name)].label.lower()}"
        for name, n in item.causes[:3]
        if name in _CLASSES
    )
    more = f" and {len(item.causes) - 3} more kinds" if len(item.causes) > 3 else ""
    title = f"{count_text(job.failed)} failed" if job.failed else "Could not go on"
    text = f"{causes}{more}" if causes else job.status_detail
    need = _need("red" if not job.succeeded else "orange", "circle-x", title, text, job)
    if job.failed:
        need["to"] = "See the causes"
        need["url"] = need["to_url"] = reverse("failures", args=[job.public_id])
    return need


def _more(number: int, words: str, tab: str) -> dict[str, Any]:
    need = _need("grey", "list-details", f"{count_text(number)} more {words}", "")
    return {**need, "url": f"{reverse('jobs')}?tab={tab}", "name": "See them all"}


# --- Throughput, first steps --------------------------------------------------------------------
def _chart(hours: Hours) -> dict[str, Any]:
    return {
        "title": "Rows an hour, last 24 h (UTC)",
        "buckets": [f"{start:%H}:00" for start in hours.starts],
        "series": [
            {"name": "Succeeded", "values": hours.succeeded, "tone": "green"},
            {
                "name": "Failed",
                "values": hours.failed,
                "tone": "red",
                "href": f"{reverse('jobs')}?tab=failures",
            },
        ],
    }


def _steps(team: Team) -> list[tuple[bool, str, str]]:
    """What a new team has to do before its first job: (done, words, name of the page)."""
    connected = Connection.objects.filter(team=team, removed_at__isnull=True).exists()
    return [
        (connected, "Connect a provider", "settings"),
        (Dataset.objects.filter(team=team).exists(), "Upload a dataset", "datasets"),
        (PromptTemplate.objects.filter(team=team).exists(), "Compose a template", "templates"),
        (False, "Launch a job", "job_new"),
    ]
