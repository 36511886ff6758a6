"""One call from question to outcome: build, send, parse. `jobs.providers.checkup` makes one to see
whether a connection works."""

import base64
from functools import lru_cache
from urllib.parse import quote

from jobs.providers.errors import message_of
from jobs.providers.formats import FORMATS
from jobs.providers.transport import Transport, TransportError
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome


async def ask(
    transport: Transport, endpoint: Endpoint, call: Call, timeout: float
) -> tuple[HttpRequest, HttpResponse | None, Outcome]:
    """Never raises for what a provider or a network does.

    Whatever may have been billed unseen comes back with `charged=None`. The key, should the server
    send it back, is taken out of the response before anybody reads it.
    """
    wire = FORMATS[endpoint.api]
    request = wire.build(endpoint, call)
    try:
        response = await transport.send(request, timeout)
    except TransportError as error:
        outcome = Outcome(
            failure=error.failure,
            message=message_of(str(error)),
            charged=None if error.sent else False,
        )
        return request, None, outcome
    response = without_key(response, endpoint.api_key)
    return request, response, wire.parse(response)


def request_body(endpoint: Endpoint, call: Call) -> str:
    """The body that `ask` would send, as text; headers, and with them the key, are left out."""
    return FORMATS[endpoint.api].build(endpoint, call).body.decode("utf-8", "replace")


def without_key(response: HttpResponse, key: str) -> HttpResponse:
    """The response with `[key]` for the key, plain, in JSON, in a URL or in base64."""
    if not key:
        return response
    body, headers = response.body, response.headers
    for form in _forms(key):
        if form in body:
            body = body.replace(form, b"[key]")
    if any(key in value for value in headers.values()):
        headers = {name: value.replace(key, "[key]") for name, value in headers.items()}
    if body is response.body and headers is response.headers:
        return response
    return HttpResponse(response.status, headers, body)


@lru_cache(maxsize=64)
def _forms(key: str) -> tuple[bytes, ...]:
    plain = key.encode()
    in_json = key.replace("\\", "\\\\").replace('"', '\\"').replace("/", "\\/").encode()
    in_base64 = base64.b64encode(plain).rstrip(b"=")
    return tuple(dict.fromkeys((plain, quote(key, safe="").encode(), in_json, in_base64)))
