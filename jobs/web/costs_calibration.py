"""Whether estimates can be believed: each finished job's, beside what it did cost."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from jobs.costs.calibration import Kept, Outcome, calibration, outcomes
from jobs.costs.estimates import HISTORY, PILOT
from jobs.teams.policy import Action
from jobs.templatetags.figures import count_text, percent_text
from jobs.web.estimate_words import told_words
from jobs.web.pages import PageRequest, page

SHOWN = 100
_BASES = {PILOT: "After a pilot", HISTORY: "From earlier jobs"}


@page(Action.COST_READ)
def costs_calibration(request: PageRequest) -> HttpResponse:
    found = outcomes(request.actor.team)
    context = {
        "kept": [_kept(one) for one in calibration(found)],
        "rows": [_row(one) for one in found[:SHOWN]],
        "left_out": max(0, len(found) - SHOWN),
    }
    return render(request, "costs/calibration.html", context)


def _kept(one: Kept) -> dict[str, Any]:
    return {
        "label": _BASES.get(one.basis, one.basis),
        "share": one.share,
        "good": one.share >= 0.9,
        "hint": (
            f"{count_text(one.held)} of {count_text(one.jobs)} jobs inside the range; on average it is "
            f"± {percent_text(one.width)}, and {_off(one.off)}"
        ),
    }


def _row(one: Outcome) -> dict[str, Any]:
    return {
        "one": one,
        "url": reverse("job", args=[one.job.public_id]),
        "words": told_words(one.told),
        "off": _off(one.off),
    }


def _off(share: float) -> str:
    if abs(share) < 0.0005:
        return "just as expected"
    return f"{percent_text(abs(share))} {'dearer' if share > 0 else 'cheaper'}"
