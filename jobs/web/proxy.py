"""Behind a reverse proxy: who the client is. Only with BEHIND_PROXY: anybody can send the header."""

import ipaddress
from collections.abc import Callable
from contextlib import suppress

from django.http import HttpRequest, HttpResponseBase


class ClientAddressMiddleware:
    """Takes the client's address from the proxy: the last one of X-Forwarded-For is what the proxy
    itself saw; those before it are what the client claimed. The lock-out after failed log-ins and the
    audit log would otherwise know everybody by the proxy's address.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        told = request.headers.get("X-Forwarded-For", "").rsplit(",", 1)[-1].strip()
        # No address: no proxy in between (a health check), or a header that is none.
        with suppress(ValueError):
            request.META["REMOTE_ADDR"] = str(ipaddress.ip_address(told))
        return self.get_response(request)
