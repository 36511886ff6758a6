"""A form that cannot be carried out now is given back as it was typed.

That is so when the session ended, or when the page is older than the last log-in, which makes a new
CSRF token. Nothing is kept on the server: the answer itself carries the fields. Nothing is carried
out either: a form that came back is shown filled in, and the person presses its button again.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render

# In a form that is given back: show it again, do nothing.
RESUMED = "resumed"
LEFT_OUT = "left_out"
# What is never part of a page, and what no browser keeps; with the words for it.
_NOT_KEPT = {
    "api_key": "the API key",
    "password": "the password",
    "old_password": "the password",
    "new_password1": "the password",
    "new_password2": "the password",
    "file": "the file",
}
_OURS = {"csrfmiddlewaretoken", RESUMED, LEFT_OUT}


def is_resumed(request: HttpRequest) -> bool:
    """Whether the request is a form that came back, to be shown and not to be carried out."""
    return getattr(request, "resumed", False) or (
        request.method == "POST" and RESUMED in request.POST
    )


def left_out(request: HttpRequest) -> list[str]:
    """Words for what the person had entered and must enter again."""
    given = {name for name in _NOT_KEPT if request.POST.get(name) or name in request.FILES}
    named = given | (set(request.POST.getlist(LEFT_OUT)) & _NOT_KEPT.keys())
    return list(dict.fromkeys(words for name, words in _NOT_KEPT.items() if name in named))


def typed(request: HttpRequest) -> list[tuple[str, str]]:
    """What a page may carry of the form's fields."""
    skipped = _NOT_KEPT.keys() | _OURS
    return [
        (name, value)
        for name, values in request.POST.lists()
        if name not in skipped
        for value in values
    ]


def kept_form(request: HttpRequest) -> HttpResponse:
    """The answer to a form without a session: a page that carries it over the log-in."""
    fields = typed(request)
    dropped = [name for name in _NOT_KEPT if request.POST.get(name) or name in request.FILES]
    dropped += request.POST.getlist(LEFT_OUT)
    context = {
        "fields": [*fields, (RESUMED, "1"), *((LEFT_OUT, name) for name in dict.fromkeys(dropped))],
        "left_out": left_out(request),
        "again": RESUMED in request.POST,
    }
    return render(request, "accounts/kept_form.html", context, status=401)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """What is answered to a request without this session's token (the setting CSRF_FAILURE_VIEW).

    Our own page, grown too old, gets its form back, as any GET could show it: nothing is carried
    out. Any other origin gets one and the same page, whatever it asked for and whoever is logged in.
    """
    if request.headers.get("HX-Request"):
        if _from_our_page(request):
            get_token(request)  # the answer brings a lost cookie back: the next press gets through
        return HttpResponse(status=403 if request.user.is_authenticated else 401)
    match = request.resolver_match
    rule = getattr(match.func, "rule", "public") if match else "public"
    if match is None or rule == "public" or not _from_our_page(request):
        return render(request, "403_csrf.html", status=403)
    request.resumed = True  # type: ignore[attr-defined]
    answer: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    if answer.status_code == 200:
        answer.status_code = 403
    return answer


def _from_our_page(request: HttpRequest) -> bool:
    """By what browsers say of themselves and no page can forge. `null` is nobody's."""
    origin = request.headers.get("Origin", "")
    own = f"{request.scheme}://{request.get_host()}"
    return origin == own or origin in settings.CSRF_TRUSTED_ORIGINS
