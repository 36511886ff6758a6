"""Settings: members and their roles."""

from django import forms
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import resolve_url
from django.views.decorators.cache import never_cache

from jobs.errors import Invalid
from jobs.models import Role
from jobs.teams.access import membership_for
from jobs.teams.members import member_add, member_remove, member_set_role
from jobs.teams.policy import Action
from jobs.teams.selectors import member_list
from jobs.web.confirmation import Question
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_shared import put_errors, settings_page, why_not

TAB = "settings_members"
ROLES = {
    Role.OPERATOR: "uploads, composes, launches, replays",
    Role.LEAD: "also sees members and what each person spent",
    Role.ADMIN: "also holds keys, prices, members and the audit log",
}


class MemberForm(forms.Form):
    username = forms.CharField(
        label="User name",
        max_length=150,
        help_text="A new name gets an account; an existing account joins with its own password.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    role = forms.ChoiceField(
        choices=[(role.value, f"{role.label}: {words}") for role, words in ROLES.items()],
        initial=Role.OPERATOR,
        widget=forms.RadioSelect,
    )


@page(Action.MEMBER_READ)
def members(request: PageRequest) -> HttpResponseBase:
    return settings_page(
        request,
        "members.html",
        TAB,
        {
            "members": [
                (one, _question(one.user.username).words) for one in member_list(request.actor)
            ],
            "roles": list(Role),
            "why_not": why_not(request.actor, Action.MEMBER_WRITE),
        },
    )


@page(Action.MEMBER_WRITE, methods=("GET", "POST"), keeps=True)
@never_cache
def member_new(request: PageRequest) -> HttpResponseBase:
    form = MemberForm(request.POST or None)
    if submitted(request) and form.is_valid():
        try:
            membership, password = member_add(actor=request.actor, **form.cleaned_data)
        except Invalid as fault:
            put_errors(form, fault)
        else:
            if password is None:
                messages.success(request, f"{membership.user.username} joined the team.")
                return go_to(request, resolve_url(TAB))
            # In this answer alone: a redirect would need the password stored somewhere.
            return settings_page(
                request, "member_added.html", TAB, {"membership": membership, "password": password}
            )
    return settings_page(
        request,
        "member_new.html",
        TAB,
        {"form": form},
        status=422 if submitted(request) else 200,
    )


@page(Action.MEMBER_WRITE, methods=("POST",))
def member_role(request: PageRequest, username: str) -> HttpResponseBase:
    membership = membership_for(request.actor, username)
    try:
        member_set_role(
            actor=request.actor, membership=membership, role=request.POST.get("role", "")
        )
    except Invalid as fault:
        messages.error(request, fault.errors[0].msg)
    else:
        label = Role(membership.role).label.lower()
        messages.success(request, f"{username} is {label} now.")
    return go_to(request, resolve_url(TAB))


def _question(username: str) -> Question:
    return Question(
        f"Take {username} out of the team? The tokens of this person for the team stop working "
        "for good.",
        "Remove",
    )


def _remove_question(request: PageRequest, username: str) -> Question:
    return _question(membership_for(request.actor, username).user.username)


@page(Action.MEMBER_WRITE, methods=("POST",), confirm=_remove_question)
def member_take_out(request: PageRequest, username: str) -> HttpResponseBase:
    member_remove(actor=request.actor, membership=membership_for(request.actor, username))
    messages.success(request, f"{username} is no longer in the team.")
    return go_to(request, resolve_url(TAB))
