"""The list of jobs: tabs with counts, filters, buttons. All of its state is in the query string."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import reverse

from jobs.control.filters import JobFilter
from jobs.control.selectors import PAGE, job_page, tab_counts
from jobs.models import Job, Team
from jobs.teams.policy import Action
from jobs.web.job_frame import why_not
from jobs.web.live import answer, tag_of
from jobs.web.pages import PageRequest, page, tell_ignored

TAB_LABELS = {
    "all": ("All", ""),
    "active": ("Running", "blue"),
    "paused": ("Paused", "orange"),
    "failures": ("With failures", "red"),
    "done": ("Completed", ""),
    "cancelled": ("Cancelled", ""),
}
# What one can choose from in a filter; beyond that the address takes any value.
CHOICES = 200


@page(Action.JOB_READ)
def jobs(request: PageRequest) -> HttpResponse:
    team = request.actor.team
    query = {name: str(value) for name, value in request.GET.items()}
    chosen = JobFilter.parse(query)
    tell_ignored(request, chosen.ignored)
    query = {**query, "tab": chosen.tab}
    query.pop("status", None)
    before = _cursor(team, query.get("before", ""))
    found = job_page(team, chosen, before, PAGE + 1)
    more = len(found) > PAGE
    found = found[:PAGE]
    counts = tab_counts(team, chosen)
    rows = [row_of(request, job) for job in found]
    context = {
        "rows": rows,
        # An older page of the list stands still, as does one of ended jobs.
        "polls": before is None and any(not job.state.is_terminal for job in found),
        "tabs": _tabs(query, counts, chosen.tab),
        "chosen": chosen,
        "keep": {"tab": chosen.tab} if chosen.tab != "all" else {},
        "choices": _choices(team),
        "clear_url": f"?tab={chosen.tab}" if chosen.tab != "all" else request.path,
        "next_url": f"?{urlencode({**query, 'before': found[-1].public_id})}" if more else "",
        "first_url": _without(query, "before") if before is not None else "",
        "summary": f"{counts[chosen.tab]:,} job{'' if counts[chosen.tab] == 1 else 's'}",
        "none_yet": not chosen.active and not counts["all"],
    }
    shown = [
        (job.public_id, job.status, row["reason"], row["counts"], job.cost, row["flow_reason"])
        for job, row in zip(found, rows, strict=True)
    ]
    return answer(request, "jobs/list.html", context, tag_of(shown, counts, more))


def row_of(request: PageRequest, job: Job) -> dict[str, Any]:
    """What a list shows of a job; costs no query."""
    flow = "resume" if job.state == "paused" else "pause"
    ended = job.finished_at or job.status_at if job.state.is_terminal else None
    # Between its end and its replay a job stood idle: how long it took is not told.
    idle = getattr(job, "replayed", False)
    return {
        "job": job,
        "about": _about(job),
        "reason": job.get_status_reason_display() if job.status_reason != "person" else "",
        "url": reverse("job", args=[job.public_id]),
        "counts": {
            "succeeded": job.succeeded,
            "failed": job.failed,
            "running": job.running,
            "pending": job.pending,
            "cancelled": job.cancelled,
        },
        "done": job.succeeded + job.failed,
        "flow": flow,
        "flow_reason": why_not(request.actor, job, flow),
        "took": ended - job.started_at if ended and job.started_at and not idle else None,
    }


def _about(job: Job) -> str:
    """What it runs; the dataset only where the job's name does not say it already."""
    version = job.template_version
    parts = [f"{version.template.name} v{version.version}", job.dataset.name, job.model]
    if job.dataset.name in job.name:
        del parts[1]
    return " · ".join(parts)


def _cursor(team: Team, public_id: str) -> int | None:
    if not public_id:
        return None
    found = Job.objects.filter(team=team, public_id=public_id[:16])
    return found.values_list("pk", flat=True).first()


def _without(query: dict[str, str], name: str) -> str:
    return "?" + urlencode({key: value for key, value in query.items() if key != name})


def _tabs(query: dict[str, str], counts: dict[str, int], active: str) -> list[dict[str, Any]]:
    kept = {k: v for k, v in query.items() if k not in ("tab", "before") and v}
    return [
        {
            "label": label,
            "url": f"?{urlencode({**kept, 'tab': key})}",
            "count": counts[key],
            "tone": tone,
            "active": key == active,
        }
        for key, (label, tone) in TAB_LABELS.items()
    ]


def _choices(team: Team) -> dict[str, list[Any]]:
    """What the team's jobs have of each thing that can be filtered by."""
    jobs: QuerySet[Job] = Job.objects.filter(team=team)

    def distinct(*names: str) -> list[Any]:
        return list(jobs.order_by(names[-1]).values_list(*names).distinct()[:CHOICES])

    return {
        "template": distinct(
            "template_version__template__public_id", "template_version__template__name"
        ),
        "dataset": distinct("dataset__public_id", "dataset__name"),
        "model": [(name, name) for (name,) in distinct("model")],
        "owner": [(name, name) for (name,) in distinct("created_by__username") if name],
    }
