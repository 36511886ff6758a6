"""One call from question to outcome: build, send, parse."""

from jobs.failures import FailureClass
from jobs.providers.errors import message_of
from jobs.providers.formats import FORMATS
from jobs.providers.shared import REQUEST_ID
from jobs.providers.transport import Transport, TransportError
from jobs.providers.types import Call, Endpoint, HttpRequest, HttpResponse, Outcome


async def ask(
    transport: Transport, endpoint: Endpoint, call: Call, timeout: float
) -> tuple[HttpRequest, HttpResponse | None, Outcome]:
    """Never raises for what a provider or a network does. Whatever may have been billed unseen comes
    back with `charged=None`."""
    wire = FORMATS[endpoint.api]
    request = wire.build(endpoint, call)
    try:
        response = await transport.send(request, timeout)
    except TransportError as error:
        return request, None, Outcome(
            failure=error.failure,
            message=message_of(str(error)),
            charged=None if error.sent else False,
        )
    echoed = response.headers.get(REQUEST_ID)
    if echoed is not None and call.request_id and echoed != call.request_id:
        # Somebody else's answer: a proxy or a pool mixed up two exchanges on one connection.
        return request, response, Outcome(
            failure=FailureClass.CONNECTION,
            message="The answer carries another request's id and was not believed",
            http_status=response.status,
            charged=None,
        )
    return request, response, wire.parse(response)


def request_body(endpoint: Endpoint, call: Call) -> str:
    """The body that `ask` would send, as text; headers, and with them the key, are left out."""
    return FORMATS[endpoint.api].build(endpoint, call).body.decode("utf-8", "replace")
