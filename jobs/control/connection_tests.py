"""Trying a connection out with real calls, each a line of the ledger."""

import asyncio
import time

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from jobs.costs.services import (
    direct_call_book,
    direct_call_open,
    direct_call_settle,
    highest_of,
)
from jobs.models import Connection
from jobs.providers.checkup import (
    MAX_TOKENS,
    QUESTION_TOKENS,
    QUESTIONS_AT_MOST,
    ConnectionReport,
    test_connection,
)
from jobs.providers.dialogue import without_key
from jobs.providers.formats import FORMATS
from jobs.providers.transport import Deadline, Transport, TransportError
from jobs.providers.transport_kinds import make_transport
from jobs.providers.types import Endpoint, HttpRequest, HttpResponse, Outcome
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.endpoints import endpoint_of
from jobs.teams.policy import Action


class _Remembering:
    """A transport that keeps what each question came to, for the ledger."""

    def __init__(self, inner: Transport, endpoint: Endpoint) -> None:
        self._inner = inner
        self._wire = FORMATS[endpoint.api]
        self._key = endpoint.api_key
        self.calls: list[tuple[Outcome, int]] = []

    async def send(self, request: HttpRequest, deadline: Deadline) -> HttpResponse:
        if request.method != "POST":
            return await self._inner.send(request, deadline)  # a list of models costs nothing
        start = time.monotonic()
        try:
            response = without_key(await self._inner.send(request, deadline), self._key)
        except TransportError as error:
            outcome = Outcome(failure=error.failure, charged=None if error.sent else False)
            self.calls.append((outcome, int((time.monotonic() - start) * 1000)))
            raise
        self.calls.append((self._wire.parse(response), int((time.monotonic() - start) * 1000)))
        return response

    async def close(self) -> None:
        await self._inner.close()


def connection_test(*, actor: Actor, connection: Connection, model: str) -> ConnectionReport:
    """Make a small real call (up to six, where the server refuses what it is asked) and keep on the
    connection what it can do, or what is wrong, in words of our own."""
    actor.require(Action.CONNECTION_WRITE)
    try:
        endpoint = endpoint_of(connection)
    except ValueError as error:
        return _kept(
            actor, connection, ConnectionReport(None, str(error)), failure="authentication"
        )
    # In doubt before anything leaves: a test that dies half-way has its line.
    # At the most that all its questions may cost; at a price that nobody knows yet, with nothing: to
    # set one, people want to know first that there is a model.
    of_one = highest_of(connection, model, QUESTION_TOKENS, MAX_TOKENS)
    first = direct_call_open(
        actor=actor,
        purpose="test",
        connection=connection,
        model=model,
        highest=None if of_one is None else of_one * QUESTIONS_AT_MOST,
        held=of_one is not None,
    )
    report, calls = asyncio.run(_run(endpoint, model))
    with transaction.atomic():
        for at, (outcome, took_ms) in enumerate(calls):
            line = first
            if at:
                line = direct_call_book(
                    actor=actor, purpose="test", connection=connection, model=model
                )
            direct_call_settle(call=line, connection=connection, outcome=outcome, took_ms=took_ms)
    if not calls:
        # Nothing was asked: the line is settled as a call that cost nothing.
        direct_call_settle(
            call=first, connection=connection, outcome=Outcome(charged=False), took_ms=0
        )
    return _kept(actor, connection, report, failure=report.failure.value if report.failure else "")


async def _run(
    endpoint: Endpoint, model: str
) -> tuple[ConnectionReport, list[tuple[Outcome, int]]]:
    transport = _Remembering(
        make_transport(
            settings.TRANSPORT, allow_private=settings.ALLOW_PRIVATE_ADDRESSES, max_connections=4
        ),
        endpoint,
    )
    try:
        return await test_connection(transport, endpoint, model), transport.calls
    finally:
        await transport.close()


def _kept(
    actor: Actor, connection: Connection, report: ConnectionReport, *, failure: str
) -> ConnectionReport:
    connection.tested_at = timezone.now()
    connection.test_failure = failure
    connection.test_message = report.message[:500]
    if report.capabilities:
        connection.capabilities = report.capabilities
    connection.save(update_fields=["tested_at", "test_failure", "test_message", "capabilities"])
    record(actor, "connection.test", connection, outcome=failure or "ok")
    return report
