"""Settings: who is at work."""

from django.http import HttpResponseBase
from django.shortcuts import render

from jobs import queue
from jobs.models import Job
from jobs.teams.policy import Action
from jobs.teams.selectors import WorkerLine, worker_list
from jobs.web.pages import PageRequest, page
from jobs.web.settings_shared import settings_page

TAB = "settings_workers"
_KINDS = {"cluster": "Cluster", "slice": "Slice", "short": "Short tasks"}
_QUEUES = {queue.SLICES: "Slices", queue.SHORT: "Short tasks"}


def _line(line: WorkerLine, jobs: dict[int, Job]) -> dict[str, object]:
    worker = line.worker
    # What a dead process told last is over: its calls are taken back, and another has its jobs.
    detail = worker.detail if line.alive else {}
    running = {int(job): n for job, n in detail.get("jobs", {}).items()}
    return {
        "worker": worker,
        "alive": line.alive,
        "kind": _KINDS.get(worker.kind, worker.kind),
        "in_flight": worker.in_flight if line.alive else None,
        "rate": detail.get("rate"),
        "processes": worker.detail.get("workers"),
        "jobs": [(jobs[pk], n) for pk, n in running.items() if pk in jobs],
        # Only how many: another team's job has no name here.
        "foreign": sum(1 for pk in running if pk not in jobs),
        "limits": [limit.get("why", "") for limit in detail.get("limits", {}).values()]
        if any(pk in jobs for pk in running)
        else [],
    }


@page(Action.WORKER_READ)
def workers(request: PageRequest) -> HttpResponseBase:
    found = worker_list()
    named = {int(pk) for line in found for pk in line.worker.detail.get("jobs", {})}
    jobs = {job.pk: job for job in Job.objects.filter(pk__in=named, team=request.actor.team)}
    context = {
        "lines": [_line(line, jobs) for line in found],
        "online": any(line.alive and line.worker.kind == "cluster" for line in found),
        "queues": [(_QUEUES[key], depth) for key, depth in queue.depth().items()],
    }
    if request.htmx.target == "section#workers":
        return render(request, "settings/workers.html#workers", context)
    return settings_page(request, "workers.html", TAB, context)
