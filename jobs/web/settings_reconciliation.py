"""Settings: calls in doubt settled by a provider's own account of its calls."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import resolve_url

from jobs.control.reconciling import reconciliation_apply, reconciliation_read
from jobs.costs.usage_file import COLUMNS
from jobs.datasets.uploads import upload_fault
from jobs.engine.reconciling import doubts
from jobs.errors import Invalid
from jobs.models import Job, Reconciliation
from jobs.teams.access import Actor, connection_for, reconciliation_for
from jobs.teams.policy import Action
from jobs.teams.selectors import connection_list
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_shared import put_errors, settings_page

TAB = "settings_reconciliation"
LISTED = 50
SHOWN = 100


class AccountForm(forms.Form):
    connection = forms.ChoiceField(help_text="Whose account it is.")
    file = forms.FileField(
        label="Account (CSV)",
        allow_empty_file=False,
        help_text=f"UTF-8, its first line the names of columns, of {', '.join(COLUMNS)} what there is",
    )
    covers_from = forms.DateTimeField(
        required=False,
        label="All calls from (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="Where the file has every call of a time, those in doubt that it lacks cost nothing.",
    )
    covers_to = forms.DateTimeField(
        required=False,
        label="to (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="Both blank: a call that is not in the file stays in doubt.",
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(one.public_id, one.name) for one in connection_list(actor)]
        self.fields["connection"].choices = choices  # type: ignore[attr-defined]


@page(Action.LEDGER_CORRECT, methods=("GET", "POST"), keeps=True)
def accounts(request: PageRequest) -> HttpResponseBase:
    """What is in doubt, the accounts that were read, and the form for another."""
    actor = request.actor
    form = AccountForm(request.POST or None, request.FILES or None, actor=actor)
    fault = upload_fault(request) if submitted(request) else None
    if fault is not None:
        form.add_error("file", fault)
    if submitted(request) and form.is_valid():
        given = dict(form.cleaned_data)
        upload = given.pop("file")
        try:
            made = reconciliation_read(
                actor=actor,
                connection=connection_for(actor, given.pop("connection")),
                file=upload.file,
                name=upload.name or "",
                size=upload.size or 0,
                **given,
            )
        except Invalid as wrong:
            put_errors(form, wrong)
        else:
            return go_to(request, resolve_url("settings_account", made.public_id))
    read = Reconciliation.objects.filter(team=actor.team).select_related("connection", "created_by")
    context = {
        "form": form,
        "in_doubt": [
            (one, found.count()) for one in connection_list(actor) if (found := doubts(one.pk))
        ],
        "accounts": read.defer("found", "absent", "bad").order_by("-pk")[:LISTED],
    }
    status = 422 if form.errors and submitted(request) else 200
    return settings_page(request, "reconciliation.html", TAB, context, status)


@page(Action.LEDGER_CORRECT)
def account(request: PageRequest, reconciliation_id: str) -> HttpResponseBase:
    """What an account settles, or has settled."""
    made = reconciliation_for(request.actor, reconciliation_id)
    shown = [tuple(one) for one in made.found[:SHOWN]]
    missing = [tuple(one) for one in made.absent[:SHOWN]]
    jobs = Job.objects.in_bulk({job_id for job_id, *_ in (*shown, *missing)})
    context = {
        "made": made,
        "found": [
            {"job": jobs.get(job_id), "n": n, "number": number, "line": line,
             "input": used[0], "output": used[4], "cost": cost}
            for job_id, n, number, line, *used, cost in shown
        ],
        "absent": [{"job": jobs.get(job_id), "n": n, "number": number} for job_id, n, number in missing],
        "strangers": made.lines - len(made.found) - made.bad_lines,
        "left": made.doubts - len(made.found) - len(made.absent),
        "settles": len(made.found) + len(made.absent),
    }  # fmt: skip
    return settings_page(request, "account.html", TAB, context)


@page(Action.LEDGER_CORRECT, methods=("POST",))
def account_apply(request: PageRequest, reconciliation_id: str) -> HttpResponseBase:
    made = reconciliation_for(request.actor, reconciliation_id)
    made = reconciliation_apply(actor=request.actor, reconciliation=made)
    messages.success(request, f"{made.settled:,} calls in doubt are settled.")
    return go_to(request, resolve_url("settings_account", reconciliation_id))
