"""How a page is declared: who may see it, and what becomes of the services' errors."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from jobs.errors import NotAllowed, NotFound
from jobs.teams.access import Actor
from jobs.teams.policy import Rule
from jobs.teams.sessions import actor_of


class PageRequest(HttpRequest):
    """A request that has passed `page`: `actor` is set."""

    actor: Actor
    htmx: Any


View = Callable[..., HttpResponseBase]


def page(rule: Rule, methods: tuple[str, ...] = ("GET",)) -> Callable[[View], View]:
    """Declare a view: its policy rule and its methods. A person without a team is told so."""

    def declare(view: View) -> View:
        @wraps(view)
        def checked(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if rule == "public":
                return view(request, *args, **kwargs)
            actor = actor_of(request)
            if actor is None:
                if request.user.is_authenticated:
                    return render(request, "403.html", {"reason": "no_team"}, status=403)
                target = f"{redirect(settings.LOGIN_URL).url}?next={quote(request.get_full_path())}"
                if request.headers.get("HX-Request"):
                    # A fragment must not be replaced by a log-in page: send the whole tab there.
                    return HttpResponse(status=204, headers={"HX-Redirect": target})
                return redirect(target)
            request.actor = actor
            try:
                if rule != "logged_in":
                    actor.require(rule)
                return view(request, *args, **kwargs)
            except NotAllowed as refusal:
                return render(request, "403.html", {"message": str(refusal)}, status=403)
            except NotFound as error:
                raise Http404(str(error)) from error

        checked.rule = rule  # type: ignore[attr-defined]
        return require_http_methods(list(methods) + (["HEAD"] if "GET" in methods else []))(checked)

    return declare
