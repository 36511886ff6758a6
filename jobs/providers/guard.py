"""Where this installation may connect to: one guard for everything that a person can point somewhere.

The address is checked when it is saved and again when it is connected to, on the very addresses that
are then used, so that a name which resolves otherwise later gains nothing. Redirects are not
followed anywhere.
"""

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver


class AddressRefused(Exception):
    """The address may not be connected to; says why in words."""


def check_url(url: str, allow_private: bool) -> None:
    """Raises AddressRefused. Resolves the host; a host that does not resolve is refused too."""
    parts = _parts(url)
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"The host “{host}” cannot be found") from error
    for *_, address in found:
        check_address(str(address[0]), allow_private)


def _parts(url: str) -> Any:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("This is not an address") from error
    if parts.scheme not in ("http", "https"):
        raise AddressRefused("The address must begin with https:// (or http://)")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise AddressRefused("The address must not hold a user name or password")
    if not parts.hostname or port == 0:
        raise AddressRefused("The address has no host")
    if parts.query or parts.fragment:
        raise AddressRefused("The address must not hold “?” or “#”")
    return parts


def check_address(address: str, allow_private: bool) -> None:
    """Raises AddressRefused for an IP address that is out of bounds."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv4 address in IPv6 clothes is judged as what it reaches.
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or _is_metadata(ip):
        raise AddressRefused(f"{ip} is a link-local or special address and never allowed")
    if ip.is_reserved and not ip.is_private:
        raise AddressRefused(f"{ip} is a reserved address and never allowed")
    if (ip.is_loopback or ip.is_private or not ip.is_global) and not allow_private:
        raise AddressRefused(
            f"{ip} is a loopback or private address; this installation does not allow those "
            "(ALLOW_PRIVATE_ADDRESSES)"
        )


# Metadata services of clouds that do not sit on link-local addresses.
_METADATA = frozenset({"100.100.100.200", "192.0.0.192", "fd00:ec2::254"})


def _is_metadata(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return str(ip) in _METADATA


class GuardedResolver(AbstractResolver):
    """Resolves for aiohttp and refuses what is out of bounds: what it returns is connected to."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for result in found:
            check_address(result["host"], self._allow_private)
        return found

    async def close(self) -> None:
        await self._inner.close()
