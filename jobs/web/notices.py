"""One's notices, and which of them are worth a mail."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url

from jobs.models import NoticeKind, NoticePreference
from jobs.notices.own import notices_mark_read, preference_of, preference_save
from jobs.notices.selectors import notice_page, unread_elsewhere
from jobs.teams.access import notice_copy_for
from jobs.teams.policy import Action
from jobs.web.context import Shell
from jobs.web.live import is_poll, part, tag_of
from jobs.web.pages import PageRequest, came_from, go_to, page, submitted

TONES = {
    NoticeKind.JOB_COMPLETED: ("green", "circle-check"),
    NoticeKind.JOB_COMPLETED_WITH_FAILURES: ("orange", "alert-triangle"),
    NoticeKind.JOB_FAILED: ("red", "circle-x"),
    NoticeKind.JOB_PAUSED: ("orange", "player-pause"),
    NoticeKind.JOB_STALLED: ("red", "hourglass"),
    NoticeKind.BUDGET_WARNING: ("orange", "coin"),
    NoticeKind.BUDGET_STOP: ("red", "coin"),
    NoticeKind.BUDGET_FORECAST: ("orange", "coin"),
    NoticeKind.LEDGER_DIFFERENCE: ("red", "alert-triangle"),
    NoticeKind.MONTHLY_REPORT: ("blue", "file-text"),
}
_LARGEST_ID = 2**63 - 1
_MOST_MINUTES = 7 * 24 * 60


class PreferenceForm(forms.Form):
    email = forms.EmailField(
        label="Your address", required=False, max_length=254, help_text="Empty: no mail at all."
    )
    mail = forms.MultipleChoiceField(
        label="Send me a mail for",
        choices=NoticeKind.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Notices about a job go to whoever launched it, those about budgets to leads and "
        "admins. In the application all of them are listed, whatever is ticked here.",
    )
    end_after_minutes = forms.IntegerField(
        label="Only for ends of jobs that ran for so many minutes",
        min_value=0,
        max_value=_MOST_MINUTES,
    )


@page(Action.JOB_READ)
def notices(request: PageRequest) -> HttpResponseBase:
    if is_poll(request, "bell"):
        return _bell(request)
    unread = request.GET.get("show") == "unread"
    before = request.GET.get("before", "")
    number = int(before) if before.isascii() and before.isdigit() else None
    found = notice_page(
        request.actor,
        unread=unread,
        before=number if number is not None and number <= _LARGEST_ID else None,
    )
    rows = [(copy, *TONES[NoticeKind(copy.notice.kind)]) for copy in found.copies]
    base = "?show=unread" if unread else "?"
    tabs = [
        {"label": "All", "url": resolve_url("notices"), "active": not unread},
        {
            "label": "Unread",
            "url": f"{resolve_url('notices')}?show=unread",
            "active": unread,
            "count": Shell(request).unread,
        },
    ]
    context = {
        "rows": rows,
        "tabs": tabs,
        "unread": unread,
        "elsewhere": unread_elsewhere(request.actor),
        "first_url": base if number is not None else "",
        "next_url": f"{base}&before={found.next_before}" if found.next_before else "",
    }
    return render(request, "notices/list.html", context)


def _bell(request: PageRequest) -> HttpResponse:
    tag = tag_of(request.actor.team.pk, Shell(request).unread)
    return part(request, "notices/bell.html", {}, tag)


@page(Action.JOB_READ, methods=("POST",))
def notices_read(request: PageRequest) -> HttpResponseBase:
    count = notices_mark_read(actor=request.actor)
    messages.success(request, f"Marked {count:,} as read.")
    return go_to(request, resolve_url("notices"))


@page(Action.JOB_READ, methods=("POST",))
def notice_read(request: PageRequest, notice_id: str) -> HttpResponseBase:
    notices_mark_read(actor=request.actor, copy=notice_copy_for(request.actor, notice_id))
    return go_to(request, came_from(request, resolve_url("notices")))


@page("logged_in", methods=("GET", "POST"), keeps=True)
def notice_preferences(request: PageRequest) -> HttpResponseBase:
    user = request.user
    assert user.is_authenticated
    stored = preference_of(user)
    form = PreferenceForm(request.POST or None, initial=_initial(stored, user.email))
    if submitted(request) and form.is_valid():
        preference_save(
            user=user,
            actor=getattr(request, "actor", None),
            email=form.cleaned_data["email"],
            mail_off=[kind for kind in NoticeKind.values if kind not in form.cleaned_data["mail"]],
            end_after_minutes=form.cleaned_data["end_after_minutes"],
        )
        messages.success(request, "Saved.")
        return go_to(request, resolve_url("notice_preferences"))
    status = 422 if submitted(request) else 200
    return render(request, "notices/preferences.html", {"form": form}, status=status)


def _initial(stored: NoticePreference, email: str) -> dict[str, object]:
    return {
        "email": email,
        "mail": [kind for kind in NoticeKind.values if kind not in stored.mail_off],
        "end_after_minutes": stored.end_after_minutes,
    }
