"""Every error of the API as problem details (RFC 9457): {type, title, status, detail, errors}."""

import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus

import orjson
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from jobs.errors import Conflict, FieldError, Invalid, NotAllowed, NotFound

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"


def problem(status: int, detail: str, errors: Sequence[FieldError] = ()) -> HttpResponse:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [{"loc": list(error.loc), "msg": error.msg} for error in errors],
    }
    return HttpResponse(orjson.dumps(body), status=status, content_type=CONTENT_TYPE)


class ProblemMiddleware:
    """Errors that Django answers before or around the API (no such path, wrong method, a body too
    large) are problems too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if (
            not request.path.startswith("/api/")
            or response.status_code < 400
            or response.get("Content-Type", "").startswith(CONTENT_TYPE)
        ):
            return response
        words = {404: "There is nothing at this address.", 405: "This method is not offered here."}
        status = response.status_code
        answer = problem(status, words.get(status, HTTPStatus(status).description))
        for header in ("Allow", "Retry-After", "WWW-Authenticate"):
            if header in response:
                answer[header] = response[header]
        return answer


def install(api: NinjaAPI) -> None:
    """Have all exceptions answered as problems."""

    @api.exception_handler(ValidationError)
    def malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
        errors = [FieldError(_place(e["loc"]), str(e["msg"])) for e in error.errors]
        return problem(422, "The request is not valid.", errors)

    @api.exception_handler(Invalid)
    def invalid(request: HttpRequest, error: Invalid) -> HttpResponse:
        return problem(422, "The request is not valid.", error.errors)

    @api.exception_handler(NotFound)
    def not_found(request: HttpRequest, error: NotFound) -> HttpResponse:
        return problem(404, str(error))

    @api.exception_handler(Http404)
    def no_such_page(request: HttpRequest, error: Http404) -> HttpResponse:
        return problem(404, "There is nothing here.")

    @api.exception_handler(NotAllowed)
    def not_allowed(request: HttpRequest, error: NotAllowed) -> HttpResponse:
        return problem(403, str(error))

    @api.exception_handler(Conflict)
    def conflict(request: HttpRequest, error: Conflict) -> HttpResponse:
        return problem(409, str(error))

    @api.exception_handler(HttpError)
    def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
        words = "Send a valid API token: Authorization: Bearer …"
        response = problem(error.status_code, words if error.status_code == 401 else str(error))
        if error.status_code == 401:
            response["WWW-Authenticate"] = "Bearer"
        return response

    @api.exception_handler(Exception)
    def unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
        logger.error("%s %s", request.method, request.path, exc_info=error)
        return problem(500, "Something went wrong on our side; it was logged.")


def _place(loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """Without where ninja found the value and what we called the parameter: nobody asked."""
    place = tuple(loc)
    if place and place[0] in ("body", "query", "form", "path", "file", "header"):
        place = place[1:]
    return place[1:] if place and place[0] in ("payload", "query") else place
