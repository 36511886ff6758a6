"""Two jobs, and so two versions or models, beside each other on the same rows."""

import csv
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse

from jobs.control.compare import (
    DIFFER,
    ONLY_A,
    ONLY_B,
    TELLING,
    Answer,
    SameRows,
    all_differing,
    differing,
    failure_counts,
    latency,
    same_rows,
)
from jobs.control.selectors import team_jobs
from jobs.costs.known import job_money
from jobs.errors import NotFound
from jobs.failures import POLICIES, FailureClass
from jobs.models import Job, RecordStatus
from jobs.money import usd_string
from jobs.teams.access import job_for, template_version_for
from jobs.teams.policy import Action
from jobs.web.cost_file import harmless
from jobs.web.pages import PageRequest, page

# What one can choose from; beyond that the lists of jobs and the address take any.
CHOICES = 100
# Of an answer, in the list; the record's page shows all.
PREVIEW = 300
KIND_WORDS = {
    DIFFER: "differ",
    ONLY_A: "only A succeeded",
    ONLY_B: "only B succeeded",
}


@page(Action.JOB_READ)
def job_compare(request: PageRequest) -> HttpResponse:
    a, b = _sides(request)
    choices = _choices(request, a)
    context: dict[str, Any] = {"a": a, "b": b, "choices": choices}
    if a is None or b is None:
        return render(request, "jobs/compare.html", context)
    rows = same_rows(a, b)
    chosen = request.GET.get("show", "")
    kinds = (chosen,) if chosen in TELLING else TELLING
    listed = differing(a, b, kinds, _after(request)) if rows.total else None
    query = {"a": a.public_id, "b": b.public_id, "show": chosen if chosen in TELLING else ""}

    def link(**more: object) -> str:
        return "?" + urlencode({k: v for k, v in {**query, **more}.items() if v})

    context |= {
        "rows": rows,
        "figures": _figures(a, b, rows),
        "fields": rows.fields.most_common(8),
        "failures": _failures(a, b),
        "kinds": [
            {
                "label": "All that differ",
                "url": link(show=""),
                "count": sum(rows.counts[kind] for kind in TELLING),
                "active": chosen not in TELLING,
            },
            *(
                {
                    "label": words[0].upper() + words[1:],
                    "url": link(show=kind),
                    "count": rows.counts[kind],
                    "active": chosen == kind,
                }
                for kind, words in KIND_WORDS.items()
            ),
        ],
        "listed": [
            {
                "n": pair.n,
                "kind": KIND_WORDS[kind],
                "sides": [_shown(a, pair.n, pair.a), _shown(b, pair.n, pair.b)],
            }
            for kind, pair in (listed.found if listed else ())
        ],
        "next_url": link(after=listed.next) if listed and listed.next else "",
        "first_url": link() if _after(request) else "",
        "csv_url": f"{reverse('job_compare_csv')}{link(show='')}",
        "swap_url": f"?{urlencode({'a': b.public_id, 'b': a.public_id})}",
    }
    return render(request, "jobs/compare.html", context)


@page(Action.JOB_READ)
def job_compare_csv(request: PageRequest) -> HttpResponseBase:
    """Every row that differs, streamed."""
    a, b = _sides(request)
    if a is None or b is None or a.dataset_id != b.dataset_id:
        raise NotFound("There is nothing to compare.")
    response = StreamingHttpResponse(_lines(a, b), content_type="text/csv; charset=utf-8")
    name = f"differences-{a.public_id}-{b.public_id}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Accel-Buffering"] = "no"
    return response


def _lines(a: Job, b: Job) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    parts = ("status", "answer", "failure_class", "cost_usd")
    writer.writerow(["row", "what", *(f"{side}_{part}" for side in "ab" for part in parts)])
    for number, (kind, pair) in enumerate(all_differing(a, b), 1):
        writer.writerow([pair.n, KIND_WORDS[kind], *_cells(pair.a), *_cells(pair.b)])
        if number % 200 == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cells(answer: Answer) -> list[str]:
    return [
        _status(answer),
        harmless(answer.output or ""),
        answer.failure_class or "",
        usd_string(answer.cost) or "",
    ]


def _status(answer: Answer) -> str:
    """What has a result counts as succeeded, also while a replay looks for another."""
    return RecordStatus(answer.status if answer.output is None else RecordStatus.SUCCEEDED).label


def _sides(request: PageRequest) -> tuple[Job | None, Job | None]:
    """By `a` and `b`; or by `job` twice, from the list. Each is a job, or a version as
    “template@number”: then the newest jobs of both over one dataset. Raises NotFound."""
    ticked = request.GET.getlist("job")[:2]
    ids = [request.GET.get(name, "") for name in ("a", "b")]
    for at, one in enumerate(ticked):
        ids[at] = ids[at] or one
    if all("@" in one for one in ids):
        return _of_versions(request, ids)
    a, b = (job_for(request.actor, one) if one else None for one in ids)
    return a, b


def _of_versions(request: PageRequest, ids: list[str]) -> tuple[Job, Job]:
    found = []
    for one in ids:
        template, _, number = one.partition("@")
        version = template_version_for(
            request.actor, template, int(number[:9]) if number.isdecimal() else 0
        )
        jobs = team_jobs(request.actor.team).filter(template_version=version, succeeded__gt=0)
        found.append(list(jobs.order_by("-pk")[:CHOICES]))
        if not found[-1]:
            raise NotFound(f"No job of {version} has brought a result yet.")
    of_both = [(x, y) for x in found[0] for y in found[1] if x.dataset_id == y.dataset_id]
    return of_both[0] if of_both else (found[0][0], found[1][0])


def _choices(request: PageRequest, a: Job | None) -> list[Job]:
    """Jobs to choose from, those over the same dataset first."""
    jobs = list(team_jobs(request.actor.team).order_by("-pk")[:CHOICES])
    return sorted(jobs, key=lambda job: a is not None and job.dataset_id != a.dataset_id)


def _after(request: PageRequest) -> int:
    given = request.GET.get("after", "")
    return int(given[:9]) if given.isdecimal() else 0


def _figures(a: Job, b: Job, rows: SameRows) -> list[dict[str, Any]]:
    """One for each side, in the order of the page."""
    found = []
    for side, job in enumerate((a, b)):
        done = job.succeeded + job.failed
        results = job.succeeded
        found.append(
            {
                "job": job,
                "url": reverse("job", args=[job.public_id]),
                "money": job_money(job),
                "each": job.cost // results if results and not job.unpriced_attempts else None,
                "success": job.succeeded / done if done else None,
                "calls_each": job.attempts / results if results else None,
                "latency": latency(job, rows.rows),
                "same_cost": rows.cost[side],
                "same_each": rows.each(side),
                "same_results": rows.results[side],
            }
        )
    return found


def _failures(a: Job, b: Job) -> list[tuple[str, str, int, int]]:
    first, second = failure_counts(a), failure_counts(b)
    return [
        (name, POLICIES[FailureClass(name)].label, first.get(name, 0), second.get(name, 0))
        for name in {**first, **second}
    ]


def _shown(job: Job, n: int, answer: Answer) -> dict[str, Any]:
    text = answer.output if answer.output is not None else ""
    return {
        "text": text[:PREVIEW] + ("…" if len(text) > PREVIEW else ""),
        "status": _status(answer),
        "failure": answer.failure_class or "",
        "url": reverse("record", args=[job.public_id, n]),
    }
