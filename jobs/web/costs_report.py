"""The monthly report of a team as a page to be read, printed, and linked to from its mail."""

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from jobs.costs.advice import Advice
from jobs.costs.advice_words import words_of
from jobs.costs.months import Month
from jobs.costs.report import month_report
from jobs.teams.policy import Action
from jobs.web.pages import PageRequest, page, tell_ignored

_CAUSES = {
    "failed": "failed for good",
    "retried": "failed, then tried again",
    "repaired": "were unusable, then repaired",
    "superseded": "were superseded by a replay",
    "late": "were answered too late",
    "other": "were booked without a cause",
}


@page(Action.COST_READ)
def report(request: PageRequest) -> HttpResponse:
    """Of the month in the address; without one, of the month that ended last."""
    today = timezone.now().date()
    asked = request.GET.get("month", "")
    month = Month.parse(asked)
    if asked and month is None:
        tell_ignored(request, [f"month “{asked[:40]}”"])
    month = month or Month.of(today).before
    made = month_report(request.actor.team, month)
    days = {"from": f"{month.first}", "to": f"{month.last}"}
    context = {
        "report": made,
        "goes_on": month.last >= today,
        "top": [(row, reverse("job", args=[row.key])) for row in made.top],
        "waste": [(_CAUSES[cause], amount) for cause, amount in made.waste],
        "advice": [(one, words_of(one), _href(one)) for one in made.advice],
        "days_url": f"{reverse('costs')}?{urlencode({'by': 'job', **days})}",
        "before_url": _at(month.before),
        "next_url": "" if month.next.first > today else _at(month.next),
    }
    return render(request, "costs/report.html", context)


def _at(month: Month) -> str:
    return f"{reverse('costs_report')}?month={month}"


def _href(one: Advice) -> str:
    """The rows behind it, where there is one place for them."""
    if one.job is None:
        return ""
    if one.kind == "failures":
        return reverse("failures", args=[one.job.public_id])
    return reverse("job", args=[one.job.public_id])
