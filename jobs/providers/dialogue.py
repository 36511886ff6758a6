"""One call from question to outcome: build, send, parse. `jobs.providers.checkup` makes one to see
whether a connection works."""

import base64
import html
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

from jobs.providers.errors import message_of
from jobs.providers.formats import FORMATS
from jobs.providers.transport import Deadline, Transport, TransportError
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome

SHORTEST_SECRET = 12  # characters; real keys have 20 and more


async def ask(
    transport: Transport, endpoint: Endpoint, call: Call, deadline: Deadline
) -> tuple[HttpRequest, HttpResponse | None, Outcome]:
    """Never raises for what a provider or a network does.

    Whatever may have been billed unseen comes back with `charged=None`. The key, should the server
    send it back, is taken out of the response before anybody reads it.
    """
    wire = FORMATS[endpoint.api]
    request = wire.build(endpoint, call)
    try:
        response = await transport.send(request, deadline)
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
    """The response with `[key]` for the key, plain, in JSON, in a URL or in base64.

    A key of a few characters is a word that local servers want to hear ("none", "ollama"): cut out
    of every answer, it would change what the model said. Not guaranteed for other writings: whoever
    was sent the key can tell it in a thousand ways.
    """
    if len(key) < SHORTEST_SECRET:
        return response
    body, headers = response.body, response.headers
    forms = _forms(key)
    for form in forms:
        if form in body:
            body = body.replace(form, b"[key]")
    names = [form.decode() for form in forms]
    told = "\n".join(headers.values())
    if any(name in told for name in names):
        headers = {header: _cut(value, names) for header, value in headers.items()}
    if body is response.body and headers is response.headers:
        return response
    return HttpResponse(response.status, headers, body)


def _cut(value: str, names: list[str]) -> str:
    for name in names:
        value = value.replace(name, "[key]")
    return value


@lru_cache(maxsize=64)
def _forms(key: str) -> tuple[bytes, ...]:
    plain = key.encode()
    in_json = key.replace("\\", "\\\\").replace('"', '\\"')
    in_texts = (key, quote(key, safe=""), in_json, in_json.replace("/", "\\/"), html.escape(key))
    written = [text.encode() for text in in_texts]
    return tuple(dict.fromkeys([*written, *_base64_forms(plain)]))


def _base64_forms(plain: bytes) -> Iterator[bytes]:
    """What the key looks like inside the base64 of any text: three bytes make four characters, so
    that there are three ways it can lie; characters shared with its neighbours are left out."""
    for before in range(3):
        written = base64.b64encode(b"\0" * before + plain)
        whole = (before + len(plain)) // 3 * 4
        inner = written[-(-before * 4 // 3) : whole]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
