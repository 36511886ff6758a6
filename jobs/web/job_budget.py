"""A job's own budget, and what a person can do where a budget has stopped the job."""

from datetime import UTC, date, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils import timezone

from jobs.control.budgets import job_budget_set
from jobs.costs.budgets import month_of
from jobs.errors import Invalid
from jobs.models import Connection, Job, JobStatus, StatusReason
from jobs.money import usd_string
from jobs.teams.access import Actor, job_for
from jobs.teams.policy import Action
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_budgets import set_url
from jobs.web.settings_shared import put_errors, why_not


class JobBudgetForm(forms.Form):
    budget = forms.CharField(
        label="Budget, USD",
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        help_text="What the job may cost in all, with what is spent by now. Blank: no limit of its own.",
    )


def stopped_by_budget(actor: Actor, job: Job) -> dict[str, Any] | None:
    """The figures of the budget that holds the job, and where it is raised; None: none does."""
    refusal = job.refusal
    held = job.state is JobStatus.PAUSED and job.status_reason == StatusReason.BUDGET and refusal
    if not held:
        return None
    own = refusal["scope"] == "job"
    limit, spent, reserved = refusal["limit"], refusal["spent"], refusal["reserved"]
    return {
        **refusal,
        "left": max(0, limit - spent - reserved),
        "own": own,
        "needed": usd_string(spent + reserved + refusal["wanted"]),
        "raise_url": "" if own else _raise_url(refusal),
        "why_not": why_not(actor, Action.JOB_CONTROL if own else Action.BUDGET_WRITE),
    }


def _raise_url(refusal: dict[str, Any]) -> str:
    """The form for the budget of the month in which it refused."""
    connection = None
    if refusal["scope"] == "connection":
        connection = Connection.objects.filter(
            pk=refusal["connection"], removed_at__isnull=True
        ).first()
        if connection is None:
            return resolve_url("budgets")
    last = date.fromisoformat(refusal["resets"]) - timedelta(1)
    if last < timezone.now().astimezone(UTC).date():
        return resolve_url("budgets")  # that month is over
    return set_url(connection, month_of(last))


@page(Action.JOB_CONTROL, methods=("GET", "POST"), keeps=True)
def job_budget(request: PageRequest, job_id: str) -> HttpResponseBase:
    found = job_for(request.actor, job_id)
    form = JobBudgetForm(request.POST or None, initial={"budget": usd_string(found.budget)})
    if submitted(request) and form.is_valid():
        try:
            found = job_budget_set(
                actor=request.actor, job=found, budget=form.cleaned_data["budget"]
            )
        except Invalid as fault:
            put_errors(form, fault)
        else:
            still = stopped_by_budget(request.actor, found)
            words = " The job does not fit in yet." if still else ""
            messages.success(request, f"The budget of “{found.name}” is set.{words}")
            return go_to(request, resolve_url("job", found.public_id))
    status = 422 if form.errors and submitted(request) else 200
    context = {"job": found, "form": form, "stop": stopped_by_budget(request.actor, found)}
    return render(request, "jobs/budget.html", context, status=status)
