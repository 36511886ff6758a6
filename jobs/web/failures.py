"""The failed records of a job, grouped by cause, with what can be done about each."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.urls import reverse

from jobs.control.selectors import FailureGroup, failure_groups
from jobs.models import Job
from jobs.teams.access import job_for
from jobs.teams.policy import Action
from jobs.web.job_frame import FRAME, job_frame
from jobs.web.live import answer, is_poll
from jobs.web.pages import PageRequest, page

# Messages that no normalisation brings together would make a page without end; the largest count.
GROUPS = 100


@page(Action.JOB_READ)
def failures(request: PageRequest, job_id: str) -> HttpResponse:
    job = job_for(request.actor, job_id)
    context, tag = job_frame(request, job, "failures")
    if not is_poll(request):
        groups = failure_groups(job)
        context |= {
            "groups": [_group(job, i, group) for i, group in enumerate(groups[:GROUPS], 1)],
            "causes": len(groups),
            "failed": sum(group.count for group in groups),
            "left_out": max(0, len(groups) - GROUPS),
            "replay_all_url": reverse("replay_new", args=[job.public_id]),
        }
    return answer(request, "failures/failures.html", context, tag, live_in=FRAME)


def _group(job: Job, number: int, group: FailureGroup) -> dict[str, Any]:
    query = urlencode({"failure_class": group.failure_class, "fingerprint": group.fingerprint})
    url = reverse("job", args=[job.public_id])
    return {
        "group": group,
        "label": f"Message of cause {number}",
        "records_url": f"{url}?status=failed&{query}",
        "replay_url": f"{reverse('replay_new', args=[job.public_id])}?{query}",
        "examples": [
            (n, f"{reverse('record', args=[job.public_id, n])}?status=failed&{query}")
            for n in group.example_rows
        ],
    }
