"""Every error of the API as problem details (RFC 9457): {type, title, status, detail, errors}.

`errors` names each fault by the path to it in the request, as the client wrote it: a field of the body,
a parameter of the query or path, a header (also that of a token that does not reach); or "body", "path",
"method" where it is that as a whole. What goes wrong on this side (5xx) has no place in it.
"""

import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from jobs.api.idempotency import HEADER, KeyInUse
from jobs.api.naming import NotFoundAt
from jobs.api.parsing import Malformed, UnsupportedType
from jobs.errors import BudgetRefused, Conflict, FieldError, Invalid, NotAllowed, NotFound
from jobs.troubles import RETRY_AFTER_S, is_passing

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_NUL = "Must not contain the NUL character"
_BY_STATUS = {
    400: ("request", "The server cannot make sense of this request."),
    404: ("path", "There is nothing at this address."),
    405: ("method", "This method is not offered here."),
    413: ("body", "The request is larger than this server takes."),
}


def problem(status: int, detail: str, errors: Sequence[FieldError] = ()) -> HttpResponse:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [{"loc": list(error.loc), "msg": error.msg} for error in errors],
    }
    return HttpResponse(orjson.dumps(body), status=status, content_type=CONTENT_TYPE)


def _at(status: int, place: str, detail: str) -> HttpResponse:
    return problem(status, detail, [FieldError((place,), detail)])


class ProblemMiddleware:
    """Errors that Django answers before or around the API (no such path, wrong method, a body too
    large) are problems too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith("/api/"):
            return self.get_response(request)
        # No text in the database holds one, and PostgreSQL refuses to be asked for it.
        for place, text in (("path", request.path), ("query", request.META["QUERY_STRING"])):
            if "\0" in text or (place == "query" and "%00" in text):
                return _at(400, place, _NUL)
        response = self.get_response(request)
        if response.status_code < 400 or response.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        status = response.status_code
        place, words = _BY_STATUS.get(status, ("request", HTTPStatus(status).description))
        answer = _at(status, place, words)
        for header in ("Allow", "Retry-After", "WWW-Authenticate"):
            if header in response:
                answer[header] = response[header]
        return answer


def install(api: NinjaAPI) -> None:
    """Have all exceptions answered as problems."""

    @api.exception_handler(ValidationError)
    def wrong(request: HttpRequest, error: ValidationError) -> HttpResponse:
        errors = [FieldError(_place(e["loc"]), _words(e)) for e in error.errors]
        return problem(422, "The request is not valid.", errors)

    @api.exception_handler(Invalid)
    def invalid(request: HttpRequest, error: Invalid) -> HttpResponse:
        return problem(422, "The request is not valid.", error.errors)

    @api.exception_handler(BudgetRefused)
    def refused(request: HttpRequest, error: BudgetRefused) -> HttpResponse:
        return problem(402, error.errors[0].msg, error.errors)

    @api.exception_handler(NotFound)
    def not_found(request: HttpRequest, error: NotFound) -> HttpResponse:
        loc = error.loc if isinstance(error, NotFoundAt) else ("path",)
        return problem(404, str(error), [FieldError(loc, str(error))])

    @api.exception_handler(Http404)
    def no_such_page(request: HttpRequest, error: Http404) -> HttpResponse:
        return _at(404, "path", "There is nothing here.")

    @api.exception_handler(NotAllowed)
    def not_allowed(request: HttpRequest, error: NotAllowed) -> HttpResponse:
        return _at(403, "Authorization", str(error))

    @api.exception_handler(Conflict)
    def conflict(request: HttpRequest, error: Conflict) -> HttpResponse:
        place = HEADER if isinstance(error, KeyInUse) else "path"
        return _at(409, place, str(error))

    @api.exception_handler(HttpError)
    def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
        if error.status_code == 401:
            words = "Send a valid API token: Authorization: Bearer …"
            response = _at(401, "Authorization", words)
            response["WWW-Authenticate"] = "Bearer"
            return response
        # What goes wrong while ninja reads a body reaches us as the cause of an error of its own.
        return _unreadable(error.__cause__) or _at(error.status_code, "body", str(error))

    @api.exception_handler(Exception)
    def unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
        known = _unreadable(error)
        if known is not None:
            return known
        if is_passing(error):
            words = "The database does not answer now, or somebody holds what was asked for."
            answer = problem(503, f"{words} Try again in a moment.")
            answer["Retry-After"] = str(RETRY_AFTER_S)
            return answer
        told = {"method": request.method, "path": request.path, "status_code": 500}
        logger.error("request failed", exc_info=error, extra=told)
        return problem(500, "Something went wrong on our side; it was logged.")


def _unreadable(error: BaseException | None) -> HttpResponse | None:
    """The answer to a body that could not be read; None for other errors."""
    if isinstance(error, Invalid):
        return problem(422, "The request is not valid.", error.errors)
    if isinstance(error, UnsupportedType):
        return _at(415, "Content-Type", str(error))
    if isinstance(error, Malformed):
        return _at(400, "body", str(error))
    if isinstance(error, RequestDataTooBig):
        return _at(413, *_BY_STATUS[413])
    if isinstance(error, MultiPartParserError):
        return _at(400, "body", f"Not a multipart body: {error}")
    if isinstance(error, UnreadablePostError):
        return _at(400, "body", "The body ended before it was complete.")
    if isinstance(error, SuspiciousOperation | BadRequest):
        return _at(400, "body", str(error))
    return None


def _words(error: dict[str, Any]) -> str:
    """Without what our classes are called."""
    if error.get("type") in ("model_type", "model_attributes_type", "dict_type"):
        return "Must be an object"
    return str(error["msg"])


def _place(loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """Without where ninja found the value and what we called the parameter: nobody asked."""
    place = tuple(loc)
    if place and place[0] in ("body", "query", "form", "path", "file", "header"):
        place = place[1:]
    if place and place[0] == "payload":
        place = place[1:]
    # A wrong key of an object is told apart from its value by this word.
    return tuple(step for step in place if step != "[key]") or ("body",)
