"""Destructive buttons ask first: with scripts by a dialog (static/js/confirm.js), else by a page."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

# The dialog and the page send it along when the person has agreed.
FIELD = "confirmed"


@dataclass(frozen=True, slots=True)
class Question:
    """What will happen, with the exact count, in the same words for dialog and page."""

    words: str
    label: str  # on the button that goes ahead


def is_confirmed(request: HttpRequest) -> bool:
    return FIELD in request.POST


def ask(request: HttpRequest, question: Question, back: str) -> HttpResponse:
    """The page that asks; what was sent goes along with the answer."""
    fields = [
        (name, value)
        for name, values in request.POST.lists()
        if name != "csrfmiddlewaretoken"
        for value in values
    ]
    context = {"question": question, "fields": fields, "confirmed": FIELD, "back": back}
    return render(request, "confirm.html", context)
