"""Log-in, log-out, one's own password, the current team."""

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login as begin_session
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters

from jobs.errors import NotFound
from jobs.teams.audit import record
from jobs.teams.initial_passwords import has_initial_password, initial_password_replaced
from jobs.teams.sessions import choose_team, teams_of
from jobs.web.pages import MUST_CHANGE_PASSWORD, PageRequest, came_from, go_to, page


class _Login(LoginView):
    template_name = "accounts/login.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        begin_session(self.request, user)
        if has_initial_password(user):
            self.request.session[MUST_CHANGE_PASSWORD] = True
        return HttpResponseRedirect(self.get_success_url())

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


_login = _Login.as_view()
_logout = LogoutView.as_view()


@page("public", methods=("GET", "POST"))
def login(request: HttpRequest) -> HttpResponseBase:
    """Django rotates the session's id and the CSRF token here; axes counts the failures."""
    return _login(request)


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: object = None
) -> HttpResponse:
    """What axes shows after too many failures; the same for a name that exists and one that does
    not. Each attempt while it is locked starts the wait anew, this one too."""
    wait = timedelta(hours=settings.AXES_COOLOFF_TIME)
    # Shown without seconds, so rounded up: a minute early would start the wait anew.
    until = (timezone.now() + wait + timedelta(minutes=1)).replace(second=0, microsecond=0)
    answer = render(request, "accounts/locked.html", {"until": until}, status=429)
    answer["Retry-After"] = str(round(wait.total_seconds()))
    return answer


@page("logged_in", methods=("POST",))
def logout(request: PageRequest) -> HttpResponseBase:
    return _logout(request)


@page("logged_in")
def logged_in(request: PageRequest) -> HttpResponseBase:
    """Where a log-in beside an open form leads: that form waits in another tab."""
    return render(request, "accounts/logged_in.html")


@page("logged_in", methods=("GET", "POST"))
@sensitive_post_parameters()
def password(request: PageRequest) -> HttpResponseBase:
    """Change one's own password; all other sessions of the account end."""
    form = PasswordChangeForm(request.user, request.POST or None)  # type: ignore[arg-type]
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            user = form.save()
            initial_password_replaced(user)
            if hasattr(request, "actor"):
                record(request.actor, "account.password", user)
        request.session.pop(MUST_CHANGE_PASSWORD, None)
        update_session_auth_hash(request, user)
        messages.success(request, "Your password was changed.")
        return go_to(request, resolve_url("overview"))
    context = {"form": form, "forced": request.session.get(MUST_CHANGE_PASSWORD, False)}
    return render(
        request, "accounts/password.html", context, status=422 if request.method == "POST" else 200
    )


@page("logged_in", methods=("POST",))
def team_switch(request: PageRequest) -> HttpResponseBase:
    """Make another of one's teams the current one. Objects of the old one are out of reach, so the
    way leads to the section's list rather than back to such an object."""
    chosen = request.POST.get("team", "")
    team = next(
        (one for one in teams_of(request.user) if chosen in (one.public_id, str(one.pk))),  # type: ignore[arg-type]
        None,
    )
    if team is None:
        raise NotFound("There is no such team.")
    choose_team(request, team)
    section = came_from(request).split("?")[0].strip("/").split("/")[0]
    return go_to(request, f"/{section}/" if section in _SECTIONS else "/")


_SECTIONS = frozenset({"datasets", "templates", "jobs", "costs", "notices", "settings"})
