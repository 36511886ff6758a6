"""The failed records of a job, grouped by cause, with what can be done about each."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.urls import reverse

from jobs.control.parameters import MAX_TOKENS
from jobs.control.selectors import FailureGroup, failure_groups
from jobs.failures import FailureClass
from jobs.models import Job
from jobs.teams.access import job_for
from jobs.teams.policy import Action
from jobs.templatetags.figures import count_text
from jobs.web.job_frame import FRAME, job_frame, why_not
from jobs.web.live import answer, is_poll, part, tag_of
from jobs.web.pages import PageRequest, page

# Messages that no normalisation brings together would make a page without end; the largest count.
GROUPS = 100


@page(Action.JOB_READ)
def failures(request: PageRequest, job_id: str) -> HttpResponse:
    """The groups; polled by the job's live part, and by the groups themselves."""
    job = job_for(request.actor, job_id)
    if is_poll(request, "groups"):
        groups = _groups(request, job)
        return part(
            request,
            "failures/failures.html#groups",
            {"job": job, **groups},
            str(groups["groups_tag"]),
        )
    context, tag = job_frame(request, job, "failures")
    if not is_poll(request):
        context |= _groups(request, job)
    return answer(request, "failures/failures.html", context, tag, live_in=FRAME)


def _groups(request: PageRequest, job: Job) -> dict[str, Any]:
    groups = failure_groups(job)
    reason = why_not(request.actor, job, "replay")
    shown = [(one.failure_class, one.fingerprint, one.count, one.last_seen) for one in groups]
    return {
        "groups": [_group(job, group) for group in groups[:GROUPS]],
        "groups_tag": tag_of(shown, reason, job.state.is_terminal),
        "causes": len(groups),
        "failed": sum(group.count for group in groups),
        "left_out": max(0, len(groups) - GROUPS),
        "replay_reason": reason,
        "replay_all_url": reverse("replay_new", args=[job.public_id]),
    }


def _group(job: Job, group: FailureGroup) -> dict[str, Any]:
    chosen = {"failure_class": group.failure_class, "fingerprint": group.fingerprint}
    query = urlencode(chosen)
    url = reverse("job", args=[job.public_id])
    changes, words = _remedy(job, group)
    key = f"{group.failure_class}-{group.fingerprint}"
    return {
        "group": group,
        "key": key,
        "label": f"{group.label}, {key}",
        "message_name": f"Message of {key}",
        "with": words,
        "records_url": f"{url}?status=failed&{query}",
        "replay_url": f"{reverse('replay_new', args=[job.public_id])}?"
        + urlencode({**chosen, **changes}),
        "examples": [
            (n, f"{reverse('record', args=[job.public_id, n])}?status=failed&{query}")
            for n in group.example_rows
        ],
    }


def _remedy(job: Job, group: FailureGroup) -> tuple[dict[str, Any], str]:
    """What the replay form is filled in with where the suggestion can be said in a field."""
    limit = job.parameters.get("max_tokens")
    if group.failure_class is FailureClass.TRUNCATED and isinstance(limit, int):
        more = min(2 * limit, MAX_TOKENS)
        return {"max_tokens": more}, f"max tokens {count_text(more)}"
    return {}, ""
