"""How a page is declared: who may see it, and what becomes of the services' errors."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_cache_control
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from jobs.errors import Conflict, NotAllowed, NotFound
from jobs.teams.access import Actor
from jobs.teams.policy import Action, Rule
from jobs.teams.sessions import actor_of
from jobs.web.confirmation import Question, ask, is_confirmed
from jobs.web.kept_forms import is_resumed, kept_form, left_out


class PageRequest(HttpRequest):
    """A request that has passed `page`: `actor` is set."""

    actor: Actor
    htmx: HtmxDetails
    resumed: bool  # a form that came back: shown filled in, never carried out
    left_out: list[str]


# Of a session whose person logged in with a password that somebody else has seen.
MUST_CHANGE_PASSWORD = "must_change_password"  # noqa: S105
View = Callable[..., HttpResponseBase]
_NOT_DONE = "Nothing was done: the page was open across a log-in. Press the button again."


def page(
    rule: Rule,
    methods: tuple[str, ...] = ("GET",),
    *,
    keeps: bool = False,
    confirm: Callable[..., Question | None] | None = None,
) -> Callable[[View], View]:
    """Declare a view: its policy rule (the same as in `policy.ROUTES`) and its methods.

    `keeps`: it has a form with something typed in it, and shows that again instead of carrying it
    out when `request.resumed` (see `kept_forms`; `submitted` tells the two apart). `confirm`: what
    to ask before a POST is carried out; None where there is nothing to ask.

    The view gets `request.actor`. NotFound becomes a 404 page, NotAllowed a 403 page, Conflict a
    message on the page one came from; Invalid is the view's own business (422 with its form). A
    person without a log-in is sent to it, one without a team is told so. Under the rules
    "logged_in" and "installation_admin" a person may be in no team: then `request.actor` is unset.
    """

    def declare(view: View) -> View:
        @wraps(view)
        def checked(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if rule == "public":
                return view(request, *args, **kwargs)
            if not request.user.is_authenticated:
                return _logged_out(request, keeps=keeps)
            if rule != "logged_in" and request.session.get(MUST_CHANGE_PASSWORD):
                return go_to(request, resolve_url("password"))
            try:
                _admit(request, rule)
                _refuse_nul(request)
                request.resumed = is_resumed(request)
                if request.resumed:
                    request.left_out = left_out(request)
                question = None
                if confirm is not None and (request.resumed or not is_confirmed(request)):
                    question = confirm(request, *args, **kwargs)
                if question is not None:
                    response: HttpResponseBase = ask(request, question, came_from(request))
                elif request.resumed and not keeps:
                    messages.warning(request, _NOT_DONE)
                    response = go_to(request, came_from(request))
                else:
                    response = view(request, *args, **kwargs)
            except NotAllowed as refusal:
                if request.user.is_superuser and getattr(request, "actor", None) is None:
                    # A new installation has no team; its first admin is who makes one.
                    response = go_to(request, resolve_url("settings_teams"))
                else:
                    response = render(request, "403.html", {"message": str(refusal)}, status=403)
            except NotFound as error:
                raise Http404(str(error)) from error
            except Conflict as conflict:
                messages.error(request, str(conflict))
                response = go_to(request, came_from(request))
            if not response.has_header("Cache-Control"):
                # Not for shared caches, and not shown again after a log-out.
                patch_cache_control(response, private=True, no_cache=True)
            return response

        checked.rule = rule  # type: ignore[attr-defined]
        checked.keeps = keeps  # type: ignore[attr-defined]
        checked.confirm = confirm  # type: ignore[attr-defined]
        allowed = [*methods, "HEAD"] if "GET" in methods else [*methods]
        return require_http_methods(allowed)(checked)

    return declare


def submitted(request: PageRequest) -> bool:
    """Whether a form was sent to be carried out."""
    return request.method == "POST" and not request.resumed


def _logged_out(request: HttpRequest, *, keeps: bool) -> HttpResponse:
    """Without a session nothing is done, and nothing that was typed is lost: a fragment leaves its
    page where it is (static/js/trouble.js says what happened), a form is carried over the log-in."""
    if request.headers.get("HX-Request"):
        return HttpResponse("You were logged out.", status=401, content_type="text/plain")
    if request.method == "POST":
        if keeps:
            return kept_form(request)
        messages.warning(request, "Nothing was done: you were logged out. Press the button again.")
    return go_to(request, f"{resolve_url('login')}?next={quote(_whole(request))}")


def _admit(request: PageRequest, rule: Rule) -> None:
    """Sets `request.actor`. Raises NotAllowed."""
    if rule == "installation_admin" and not request.user.is_superuser:
        raise NotAllowed("This is for the admins of the installation.")
    actor = actor_of(request)
    if actor is not None:
        request.actor = actor
    if isinstance(rule, Action):
        if actor is None:
            raise NotAllowed("You belong to no team yet. Ask an admin of a team to add you.")
        actor.require(rule)


def _refuse_nul(request: PageRequest) -> None:
    """No form of ours sends a NUL, and PostgreSQL takes none in a text: 400."""
    for given in (request.GET, request.POST):
        if any("\0" in value for _, values in given.lists() for value in values):
            raise BadRequest("A NUL character cannot be part of a request.")


def tell_ignored(request: PageRequest, ignored: Sequence[str]) -> None:
    """Say on the page which parts of its address mean nothing; not again when it is polled."""
    if ignored and not request.htmx:
        named = ", ".join(ignored)
        messages.warning(
            request, f"The address asks for what there is not, which was ignored: {named}."
        )


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """Go to another page, also out of a fragment: the whole tab goes there."""
    if request.headers.get("HX-Request"):
        return HttpResponseClientRedirect(url)
    return HttpResponseRedirect(url)


def came_from(request: HttpRequest, otherwise: str = "/") -> str:
    """The page of ours that the request was made from; never an address elsewhere."""
    referrer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(
        referrer, {request.get_host()}, require_https=request.is_secure()
    ):
        return otherwise
    parts = urlsplit(referrer)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _whole(request: HttpRequest) -> str:
    """Where to return after the log-in; only a page that was asked for can be returned to."""
    return request.get_full_path() if request.method == "GET" else came_from(request)
