"""What is answered when a page breaks: a fault of ours, or a database that does not answer now."""

import sys

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string

from jobs.troubles import RETRY_AFTER_S, is_passing
from jobs.web.kept_forms import left_out, typed


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`. No context processor is asked: they read the database."""
    if not is_passing(sys.exc_info()[1]):
        return HttpResponse(render_to_string("500.html"), status=500)
    context = {}
    if request.method == "POST":
        context = {
            "path": request.get_full_path(),
            "fields": typed(request),
            "left_out": left_out(request),
            "csrf_token": get_token(request),
        }
    answer = HttpResponse(render_to_string("503.html", context), status=503)
    answer["Retry-After"] = str(RETRY_AFTER_S)
    return answer
