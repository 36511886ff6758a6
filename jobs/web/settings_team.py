"""Settings: what the team keeps; and, for installation admins, the teams there are."""

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponseBase
from django.shortcuts import redirect, resolve_url

from jobs.errors import Invalid
from jobs.models import KeepAnswers, Team
from jobs.teams.policy import Action
from jobs.teams.sessions import choose_team
from jobs.teams.team import team_create, team_keep_answers
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_shared import put_errors, settings_page

TAB = "settings_team"
TEAMS_TAB = "settings_teams"


class KeepForm(forms.Form):
    keep_answers = forms.ChoiceField(
        label="Keep",
        choices=KeepAnswers.choices,
        widget=forms.RadioSelect,
        help_text="What a provider answered, byte for byte, beside each attempt. Results, failures "
        "and costs are kept in any case. A change counts for calls from now on.",
    )


class TeamForm(forms.Form):
    name = forms.CharField(max_length=100)


@page("logged_in")
def settings_start(request: PageRequest) -> HttpResponseBase:
    """The first settings page that the person may see."""
    if getattr(request, "actor", None) is None and request.user.is_superuser:
        return redirect(TEAMS_TAB)
    return redirect("settings_connections")


@page(Action.TEAM_SETTINGS, methods=("GET", "POST"), keeps=True)
def team(request: PageRequest) -> HttpResponseBase:
    form = KeepForm(request.POST or None, initial={"keep_answers": request.actor.team.keep_answers})
    if submitted(request) and form.is_valid():
        team_keep_answers(actor=request.actor, policy=form.cleaned_data["keep_answers"])
        messages.success(request, "Saved. It counts for calls from now on.")
        return go_to(request, resolve_url(TAB))
    status = 422 if submitted(request) else 200
    return settings_page(request, "team.html", TAB, {"form": form}, status=status)


@page("installation_admin", methods=("GET", "POST"), keeps=True)
def teams(request: PageRequest) -> HttpResponseBase:
    form = TeamForm(request.POST or None)
    if submitted(request) and form.is_valid():
        try:
            made = team_create(
                user=request.user,  # type: ignore[arg-type]
                name=form.cleaned_data["name"],
                address=request.META.get("REMOTE_ADDR") or None,
            )
        except Invalid as fault:
            put_errors(form, fault)
        else:
            choose_team(request, made)
            messages.success(request, f"Made {made.name}. It is your current team; add its people.")
            return go_to(request, resolve_url("settings_members"))
    found = Team.objects.annotate(people=Count("memberships")).order_by("name")
    status = 422 if submitted(request) else 200
    return settings_page(request, "teams.html", TEAMS_TAB, {"form": form, "found": found}, status)
