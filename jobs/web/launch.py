"""Launching a job from one page. A double click launches one job; a pilot is its first stage."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from jobs.control.launch import job_launch
from jobs.control.quote import Quote, quote
from jobs.errors import Invalid
from jobs.models import Job
from jobs.teams.access import dataset_for, job_for, template_version_for
from jobs.teams.policy import Action
from jobs.templatetags.figures import count_text
from jobs.web.estimate_words import basis_words
from jobs.web.form_keys import launch_key, new_nonce, same_launch
from jobs.web.launch_form import LaunchForm, cloned
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.parameter_fields import parameter_initial, parameters_of

# Of a button that launches although the same was launched already.
AGAIN = "_again"
# A second launch of the same thing within this time is asked about: it was most likely meant to look
# at the first one.
ASKS_FOR = timedelta(hours=1)
# Two sends of one page within this time are one click too many, not a second wish.
DOUBLE_CLICK = timedelta(seconds=10)


@page(Action.JOB_LAUNCH, methods=("GET", "POST"), keeps=True)
def job_new(request: PageRequest) -> HttpResponse:
    """The form, filled in from `?clone=`, or from `?dataset=` and `?template=`; a POST launches."""
    if request.method != "POST":
        form = LaunchForm(None, actor=request.actor, initial=_initial(request))
        return render(request, "jobs/new.html", _context(request, form, _as_sent(form)))
    form = LaunchForm(request.POST, actor=request.actor)
    valid = form.is_valid()
    version = form.version()
    asked = request.POST.get("action", "launch")
    action = asked.removesuffix(AGAIN)
    if valid and version is not None and submitted(request) and action != "check":
        key = launch_key(request.POST, action)
        earlier = _earlier(request, key)
        if earlier is not None and earlier.launch_key == key and _just_now(earlier):
            return _launched(request, earlier, already=True)
        if earlier is not None and (earlier.launch_key == key or action == asked):
            context = _context(request, form, form) | {
                "earlier": earlier, "again": action + AGAIN, "nonce": new_nonce()
            }  # fmt: skip
            return render(request, "jobs/new.html", context, status=409)
        mode = request.POST.get("mode", "realtime")
        told = _quote(form)
        spec = form.spec(version, mode=mode, key=key)
        spec.estimate = told.estimate if told is not None else None
        try:
            return _launched(request, job_launch(actor=request.actor, spec=spec))
        except Invalid as invalid:
            form.take(invalid)
    context = _context(request, form, form)
    status = 422 if form.errors and submitted(request) else 200
    return render(request, "jobs/new.html", context, status=status)


def _earlier(request: PageRequest, key: str) -> Job | None:
    """The person's latest job of late that is the same launch; of this very page, if there is one."""
    since = timezone.now() - ASKS_FOR
    mine = Job.objects.filter(
        team=request.actor.team, created_by=request.actor.user, created_at__gt=since
    )
    same = mine.filter(launch_key__startswith=same_launch(key)).order_by("-id")
    return mine.filter(launch_key=key).first() or same.first()


def _just_now(job: Job) -> bool:
    return timezone.now() - job.created_at < DOUBLE_CLICK


@page(Action.JOB_LAUNCH, methods=("POST",))
def job_estimate(request: PageRequest) -> HttpResponse:
    """The size of what the form says so far, as a fragment. Launches nothing."""
    form = LaunchForm(request.POST, actor=request.actor)
    form.is_valid()
    return render(request, "jobs/new.html#estimate", _context(request, form, form))


def _launched(request: PageRequest, job: Job, *, already: bool = False) -> HttpResponse:
    url = reverse("job", args=[job.public_id])
    words = f"Job “{job.name}” is launched with {count_text(job.total)} rows."
    if job.pilot_rows:
        words = f"{words[:-1]}, {count_text(job.pilot_rows)} of them first."
    if already:
        words = f"Job “{job.name}” was launched already; this is it."
    messages.success(request, words, extra_tags=url)
    return go_to(request, url)


def _initial(request: PageRequest) -> dict[str, Any]:
    """Raises NotFound for ids that are not the team's."""
    query = request.GET
    if query.get("clone"):
        return cloned(job_for(request.actor, query["clone"]))
    initial: dict[str, Any] = {}
    if query.get("dataset"):
        initial["dataset"] = dataset_for(request.actor, query["dataset"]).public_id
    if query.get("template"):
        number = query.get("version", "")[:9]
        version = template_version_for(
            request.actor, query["template"], int(number) if number.isdecimal() else None
        )
        initial["template"] = version.template.public_id
        initial["template_version"] = version.version if number.isdecimal() else None
        initial |= parameter_initial(version.defaults)
    # The usual choice is the last one.
    last = Job.objects.filter(team=request.actor.team).order_by("-id").first()
    if last is not None and last.connection.removed_at is None:
        initial |= {"connection": last.connection.public_id, "model": last.model}
    return initial


def _quote(form: LaunchForm) -> Quote | None:
    """Of a bound form, valid or not; None without a dataset."""
    cleaned = form.cleaned_data
    dataset = form.datasets.get(cleaned.get("dataset", ""))
    if dataset is None:
        return None
    return quote(
        team=form.actor.team,
        dataset=dataset,
        version=form.version(),
        connection=form.connections.get(cleaned.get("connection", "")),
        model=cleaned.get("model", ""),
        selection=form.selection(),
        parameters=parameters_of(cleaned),
        share_duplicates=cleaned.get("share_duplicates", False),
        reuse=cleaned.get("reuse", False),
    )


def _as_sent(form: LaunchForm) -> LaunchForm:
    """A form that is shown first, read as if it had been sent as it stands."""
    shown = {name: form[name].value() for name in form.fields}
    for name in ("dataset", "template", "connection"):
        choices = form.fields[name].choices  # type: ignore[attr-defined]
        if not shown[name] and len(choices) == 1:
            shown[name] = choices[0][0]
    as_sent = LaunchForm(
        {name: value for name, value in shown.items() if value not in (None, False)},
        actor=form.actor,
    )
    as_sent.is_valid()
    return as_sent


def _context(request: PageRequest, form: LaunchForm, sent: LaunchForm) -> dict[str, Any]:
    """`sent`: the form as it is read, also before it was sent."""
    told = _quote(sent)
    estimate = told.estimate if told is not None else None
    return {
        "form": form,
        "quote": told,
        "told": estimate,
        "basis": basis_words(estimate) if estimate is not None else "",
        "nonce": request.POST.get("nonce") or new_nonce(),
        "missing": form.missing,
    }
