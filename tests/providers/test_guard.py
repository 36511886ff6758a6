"""No way of writing an address leads where this installation may not connect to."""

import asyncio
import socket
from typing import Any

import pytest

from jobs.failures import FailureClass
from jobs.providers import guard
from jobs.providers.guard import AddressRefused, check_address, check_form, check_url
from jobs.providers.transport import LeanTransport, TransportError
from jobs.providers.types import HttpRequest
from tests.providers.stand_in import answer, saying, standing_in

NEVER = [
    "169.254.169.254", "169.254.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "100.100.100.200", "192.0.0.192", "168.63.129.16", "fe80::1", "fe80::1%eth0", "ff02::1", "::",
    "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254", "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1", "fd00:ec2::254", "fd00:ec2::23",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.2.1",
    "198.18.0.1", "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1", "2002:7f00:1::1", "2001:db8::1", "::7f00:1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_private", [True, False])
def test_it_never_allows_special_addresses(address: str, allow_private: bool) -> None:
    with pytest.raises(AddressRefused):
        check_address(address, allow_private)


@pytest.mark.parametrize("address", PRIVATE)
def test_it_allows_private_addresses_only_where_told_so(address: str) -> None:
    check_address(address, allow_private=True)
    with pytest.raises(AddressRefused, match="ALLOW_PRIVATE_ADDRESSES"):
        check_address(address, allow_private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_it_allows_public_addresses(address: str) -> None:
    check_address(address, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/v1",
        "http://LOCALHOST:8080",
        "http://127.0.0.1",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[0:0:0:0:0:ffff:7f00:1]/",
        "https://10.0.0.1/v1",
    ],
)
def test_it_sees_through_spellings_of_private_addresses(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://2852039166/latest/meta-data",  # 169.254.169.254
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://0/",
    ],
)
def test_it_sees_through_spellings_of_metadata_services(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "//api.openai.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_SET",
        "javascript:alert(1)",
        "http://",
        "http:///v1",
        "http://user@127.0.0.1/",
        "http://user:word@127.0.0.1/",
        "http://api.openai.com@127.0.0.1/",
        "http://@127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://127.0.0.1\\@example.com/",
        "http://127.0.0.1/ v1",
        "http://127.0.0.1/\r\nHost: x",
        "http://127.0.0.1\t/",
        "http://①②⑦.⓪.⓪.①/",
        "http://127.0.0.1/?a=b",
        "http://127.0.0.1/#a",
        "http://no-such-host.invalid/",
        "http://" + "a" * 300 + "/",
    ],
)
def test_it_refuses_what_is_no_address_to_connect_to(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080", "https://127.0.0.1/v1", "http://[::1]:1/v1", "HTTP://127.0.0.1"],
)
def test_it_takes_an_address_that_is_one(url: str) -> None:
    check_url(url, allow_private=True)
    assert check_form(url).hostname in ("127.0.0.1", "::1")


def refused(url: str, allow_private: bool) -> TransportError:
    async def session() -> TransportError:
        transport = LeanTransport(allow_private=allow_private, max_connections=1)
        try:
            with pytest.raises(TransportError) as raised:
                await transport.send(HttpRequest("POST", url, {}, b"{}"), 5)
            return raised.value
        finally:
            await transport.close()

    return asyncio.run(session())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f000001",
                                  "127.1", "[::ffff:127.0.0.1]"])  # fmt: skip
def test_it_connects_to_no_private_address_however_written(host: str) -> None:
    async def session() -> None:
        async with standing_in(saying(answer(b"{}"))) as there:
            port = there.url.rpartition(":")[2]
            transport = LeanTransport(allow_private=False, max_connections=1)
            with pytest.raises(TransportError) as raised:
                await transport.send(HttpRequest("POST", f"http://{host}:{port}/", {}, b"{}"), 5)
            await transport.close()
            assert raised.value.failure is FailureClass.CONNECTION
            assert not raised.value.sent
            assert there.connections == 0

    asyncio.run(session())


def test_it_connects_to_no_metadata_service_even_where_private_is_allowed() -> None:
    assert "never allowed" in str(refused("http://169.254.169.254/latest", allow_private=True))


def test_it_judges_the_address_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was fine when it was saved leads elsewhere when it is used."""
    leads_to = ["93.184.215.14"]

    def lookup(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (leads_to[0], port or 443))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    check_url("http://rebinding.example/", allow_private=False)
    leads_to[0] = "127.0.0.1"
    error = refused("http://rebinding.example/", allow_private=False)
    assert "loopback or private" in str(error)
    assert not error.sent


def test_it_does_not_look_at_a_name_twice_between_check_and_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up = []

    def lookup(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(host)
        address = "127.0.0.1" if len(looked_up) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def session() -> int:
        async with standing_in(saying(answer(b"{}"))) as there:
            monkeypatch.setattr(socket, "getaddrinfo", lookup)
            transport = LeanTransport(allow_private=True, max_connections=1)
            url = there.url.replace("127.0.0.1", "fickle.example")
            response = await transport.send(HttpRequest("POST", url, {}, b"{}"), 5)
            await transport.close()
            return response.status

    assert asyncio.run(session()) == 200
    assert looked_up == ["fickle.example"]


def test_it_is_the_guard_and_nothing_else_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the guard taken out, the same calls get through: the tests above would notice."""

    async def session() -> int:
        async with standing_in(saying(answer(b"{}"))) as there:
            transport = LeanTransport(allow_private=False, max_connections=1)
            try:
                request = HttpRequest("POST", there.url, {}, b"{}")
                return (await transport.send(request, 5)).status
            finally:
                await transport.close()

    with pytest.raises(TransportError):
        asyncio.run(session())
    monkeypatch.setattr(guard, "check_address", lambda *_: None)
    assert asyncio.run(session()) == 200
    check_url("http://169.254.169.254/", allow_private=False)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Again", "308 For good"])
def test_it_follows_no_redirect_with_the_key(status: str) -> None:
    async def session() -> tuple[int, int]:
        async with standing_in(saying(answer(b"{}"))) as elsewhere:
            there_says = saying(answer(b"", f"location: {elsewhere.url}/v1", status=status))
            async with standing_in(there_says) as there:
                transport = LeanTransport(allow_private=True, max_connections=1)
                request = HttpRequest("POST", there.url, {"authorization": "Bearer sk-x"}, b"{}")
                told = (await transport.send(request, 5)).status
                await transport.close()
            return told, elsewhere.connections

    assert asyncio.run(session()) == (int(status[:3]), 0)
