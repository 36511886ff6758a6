"""What one job cost: its sums, the lines of the ledger behind each, and the act of valuing it anew."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.http import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from jobs.control.revaluing import job_revalue as revalue
from jobs.control.revaluing import revalue_preview
from jobs.costs.proof import proofs
from jobs.engine.book import WASTE_SUMS
from jobs.errors import Invalid
from jobs.models import (
    Attempt,
    AttemptOutcome,
    Connection,
    Correction,
    CorrectionKind,
    CostRollup,
    Job,
    Revaluation,
    TemplateVersion,
    Waste,
)
from jobs.teams.access import job_for
from jobs.teams.policy import Action
from jobs.web.pages import PageRequest, go_to, page, submitted, tell_ignored
from jobs.web.settings_shared import why_not

LINES = 100
REVALUATIONS = 20
# Which lines of the ledger, in words and as a condition.
KINDS: dict[str, tuple[str, Q]] = {
    "": ("All calls", Q()),
    "accepted": ("Accepted", Q(outcome=AttemptOutcome.ACCEPTED)),
    **{waste.value: (waste.label, Q(waste=waste.value)) for waste in Waste},
    "in_doubt": ("In doubt", Q(outcome=AttemptOutcome.IN_DOUBT)),
    "estimated": ("Tokens estimated", Q(usage_estimated=True)),
    "unpriced": ("Price unknown when called", Q(cost__isnull=True)),
    "corrected": ("Corrected", Q()),
}
_SUMMED = (
    "calls", "input_tokens", "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_tokens", "cost", "wasted_cost", "in_doubt_cost", "in_doubt_calls", "unpriced_calls",
    "estimated_calls", "estimated_cost", "cache_savings", "batch_savings", *WASTE_SUMS.values(),
)  # fmt: skip


def cost_tab(request: PageRequest, job: Job) -> dict[str, Any]:
    rollups = CostRollup.objects.filter(job_id=job.pk)
    sums = {
        name: value or 0
        for name, value in rollups.aggregate(**{name: Sum(name) for name in _SUMMED}).items()
    }
    ledger = reverse("job_ledger", args=[job.public_id])
    corrected = (
        Correction.objects.filter(job_id=job.pk)
        .values("kind")
        .annotate(lines=Count("pk"), amount=Sum("cost"), settled=Sum("in_doubt_cost"))
        .order_by("kind")
    )
    return {
        "sums": sums,
        "ledger_url": ledger,
        "causes": [
            (waste.label, sums[name], f"{ledger}?kind={waste.value}")
            for waste, name in WASTE_SUMS.items()
            if sums[name]
        ],
        "by_day": _by_day(rollups),
        "corrected": [{**row, "label": CorrectionKind(row["kind"]).label} for row in corrected],
        "revaluations": Revaluation.objects.filter(job=job)
        .select_related("created_by")
        .order_by("-pk")[:REVALUATIONS],
        "correct_not": why_not(request.actor, Action.LEDGER_CORRECT),
    }


def _by_day(rollups: Any) -> list[dict[str, Any]]:
    """The roll-ups themselves: a job has few."""
    rows = list(rollups.order_by("day", "model", "template_version_id"))
    versions = TemplateVersion.objects.in_bulk({row.template_version_id for row in rows})
    connections = Connection.objects.in_bulk({row.connection_id for row in rows})
    return [
        {
            "sums": row,
            "version": getattr(versions.get(row.template_version_id), "version", None),
            "connection": connections.get(row.connection_id),
        }
        for row in rows
    ]


@page(Action.JOB_READ)
def job_ledger(request: PageRequest, job_id: str) -> HttpResponseBase:
    """The lines of the ledger behind a sum, in the order of the rows."""
    job = job_for(request.actor, job_id)
    kind = request.GET.get("kind", "")
    if kind not in KINDS:
        tell_ignored(request, [f"kind={kind[:40]}"])
        kind = ""
    given = request.GET.get("after", "")
    after = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    lines = Attempt.objects.filter(KINDS[kind][1], job_id=job.pk, n__gt=after)
    if kind == "corrected":
        corrections = Correction.objects.filter(
            job_id=job.pk, n=OuterRef("n"), number=OuterRef("number")
        )
        lines = lines.filter(Exists(corrections))
    found = list(lines.defer("request", "answer", "usage").order_by("n", "number")[: LINES + 1])
    following = ""
    if len(found) > LINES:
        # Whole rows to a page; one with more calls than that fills it alone.
        last = found[LINES].n
        whole = [line for line in found if line.n < last]
        found = whole or found
        following = f"?kind={kind}&after={found[-1].n}"
    proven = proofs(job.pk, found)
    return render(
        request,
        "jobs/ledger.html",
        {
            "job": job,
            "job_url": f"{reverse('job', args=[job.public_id])}?tab=costs",
            "kind": kind,
            "kinds": [(name, words) for name, (words, _) in KINDS.items()],
            "lines": [
                {
                    "line": line,
                    "proof": proven[line.n, line.number],
                    "url": f"{reverse('record', args=[job.public_id, line.n])}#proof-{line.number}",
                }
                for line in found
            ],
            "next_url": following,
            "first_url": f"?kind={kind}" if after else "",
        },
    )


@page(Action.LEDGER_CORRECT, methods=("GET", "POST"), keeps=True)
def job_revalue(request: PageRequest, job_id: str) -> HttpResponseBase:
    """First what it would change, then the act."""
    job = job_for(request.actor, job_id)
    url = f"{reverse('job', args=[job.public_id])}?tab=costs"
    given = request.POST if request.method == "POST" else request.GET
    preview, error, day_from = None, "", _first_day(job)
    if "from" in given:
        try:
            day_from = date.fromisoformat(given["from"])
            if submitted(request):
                revalue(actor=request.actor, job=job, day_from=day_from)
                messages.success(request, f"“{job.name}” is being valued anew from {day_from} on.")
                return go_to(request, url)
            preview = revalue_preview(actor=request.actor, job=job, day_from=day_from)
        except Invalid as fault:
            error = fault.errors[0].msg
        except ValueError:
            error = "A day, as in 2026-11-24"
    context = {
        "job": job, "job_url": url, "preview": preview, "error": error, "day_from": day_from,
    }  # fmt: skip
    return render(request, "jobs/revalue.html", context, status=422 if error else 200)


def _first_day(job: Job) -> date:
    return (job.started_at or job.created_at or timezone.now()).date()
