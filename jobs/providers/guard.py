"""Where this installation may connect to: one guard for all that a person can point somewhere.

The address is checked when it is saved and again when it is connected to, on the very addresses
that are then used, so that a name which resolves otherwise later gains nothing. Redirects are not
followed anywhere, and proxies of the environment are not used.
"""

import ipaddress
import socket
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

type _Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Metadata and host services of clouds that do not sit on link-local addresses.
_METADATA = tuple(
    ipaddress.ip_network(network)
    for network in ("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::/32")
)
# The networks in whose addresses an IPv4 address is the last 32 bits (RFC 6052, RFC 4291).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


class AddressRefused(Exception):
    """The address may not be connected to; says why in words."""


def check_url(url: str, allow_private: bool) -> None:
    """Raises AddressRefused. Resolves the host; a host that does not resolve is refused too."""
    parts = check_form(url)
    if parts.query or parts.fragment:
        raise AddressRefused("The address must not hold “?” or “#”")
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"The host “{host[:100]}” cannot be found") from error
    for *_, address in found:
        check_address(str(address[0]), allow_private)


@lru_cache(maxsize=1_000)
def check_form(url: str) -> SplitResult:
    """The parts of a URL that has the form of an address to connect to; else raises
    AddressRefused. Where it leads is not looked at."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise AddressRefused("The address holds characters that no address has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("This is not an address") from error
    if parts.scheme not in ("http", "https"):
        raise AddressRefused("The address must begin with https:// (or http://)")
    if "@" in parts.netloc:
        raise AddressRefused("The address must not hold a user name or password")
    if not parts.hostname or port == 0:
        raise AddressRefused("The address has no host")
    return parts


def check_address(address: str, allow_private: bool) -> None:
    """Raises AddressRefused for an IP address that is out of bounds, ValueError for none at all."""
    ip = _reached(ipaddress.ip_address(address.split("%", 1)[0]))
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or _is_metadata(ip):
        raise AddressRefused(f"{ip} is a link-local or special address and never allowed")
    if ip.is_reserved and not ip.is_loopback:
        raise AddressRefused(f"{ip} is a reserved address and never allowed")
    if not ip.is_global and not allow_private:
        raise AddressRefused(
            f"{ip} is a loopback or private address; this installation does not allow those "
            "(ALLOW_PRIVATE_ADDRESSES)"
        )


def _reached(ip: _Address) -> _Address:
    """An IPv4 address in IPv6 clothes is judged as what it reaches."""
    if isinstance(ip, ipaddress.IPv4Address) or ip.is_loopback or ip.is_unspecified:
        return ip
    if ip in _NAT64 or ip in _COMPATIBLE:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    teredo = ip.teredo
    return ip.ipv4_mapped or ip.sixtofour or (teredo[1] if teredo else None) or ip


def _is_metadata(ip: _Address) -> bool:
    return any(ip in network for network in _METADATA)


def guarded_connector(
    *, allow_private: bool, limit: int, keepalive_timeout: float = 15.0
) -> aiohttp.TCPConnector:
    """A connector for aiohttp that reaches allowed addresses only. Make it inside the running loop.

    Two checks, so that none is the only one: on the addresses a name resolves to, and on each
    socket's address before it connects (addresses written as such are never resolved).
    """

    def socket_for(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        check_address(str(address[0]), allow_private)
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        limit=limit,
        resolver=GuardedResolver(allow_private),
        ttl_dns_cache=60,
        keepalive_timeout=keepalive_timeout,
        socket_factory=socket_for,
    )


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
