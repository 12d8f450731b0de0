from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runtime.outbound import BadUrl, NotAnswered, Outbound, seconds_of

REFUSED_ADDRESSES = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",  # noqa: S104 - what must be refused
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "fe80::1", "fe80::1%1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::808:808",
    "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]  # fmt: skip
NEVER_ALLOWED = [
    "0.0.0.0", "169.254.169.254", "169.254.1.1", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1",  # noqa: S104
    "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
]  # fmt: skip
PRIVATE = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd12:3456::1", "::ffff:10.0.0.1"]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


TLS = ssl.create_default_context()


class Names:
    """A name server; connections are not made in these tests."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses


@pytest.fixture
async def made() -> AsyncIterator[Any]:
    opened: list[Outbound] = []

    def make(**settings: Any) -> Outbound:
        opened.append(Outbound(tls=TLS, **settings))
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook",
        "https://example.org:8443/a?b=c",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
    ],
)
async def test_what_is_public_and_https_may_be_sent_to(made: Any, url: str) -> None:
    assert str(made().check(url)) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.org/", "https://"),
        ("ftp://example.org/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://example.org/", "https://"),
        ("unix:///run/socket", "https://"),
        ("example.org/hook", "https://"),
        ("//example.org/hook", "https://"),
        ("", "https://"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://user@example.org/", "user name"),
        ("https://user:pw@example.org/", "user name"),
        ("https://@example.org/", "user name"),
        ("https://example.org\\@127.0.0.1/", "encoded"),
        ("https://exa mple.org/", "encoded"),
        ("https://example.org/\n", "encoded"),
        ("https://bücher.example/", "encoded"),
        ("https://example.org/#part", "fragment"),
        ("https://example.org:0/", "port"),
        ("https://example.org:65536/", "port"),
        ("https://example.org:x/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://localhost/", "not public"),
        ("https://localhost./", "not public"),
        ("https://intranet/", "not public"),
        ("https://example.org/" + "a" * 2_048, "longer"),
    ],
)
async def test_a_url_that_is_not_allowed_is_refused_with_the_reason(made: Any, url: str, why: str) -> None:
    with pytest.raises(BadUrl, match=why):
        made().check(url)


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
async def test_an_address_that_is_not_public_is_refused_at_once_and_behind_a_name(made: Any, address: str) -> None:
    names = Names(address)
    outbound = made(resolve=names)
    if "%" not in address:
        with pytest.raises(BadUrl, match="not public"):
            outbound.check(f"https://{literal(address)}/")
    with pytest.raises(NotAnswered, match="not public"):
        await outbound.post("https://receiver.example/", b"{}", {})
    assert names.asked == [("receiver.example", 443)]


@pytest.mark.parametrize("url", ["https://0x7f.1/", "https://2130706433.0/", "https://127.1/", "https://0177.1/"])
async def test_an_address_in_disguise_is_checked_as_what_it_resolves_to(made: Any, url: str) -> None:
    with pytest.raises(NotAnswered, match="not public"):
        await made(resolve=Names("127.0.0.1")).post(url, b"{}", {})


@pytest.mark.parametrize("address", PRIVATE)
async def test_private_networks_are_allowed_by_a_setting(made: Any, address: str) -> None:
    outbound = made(allow_private_networks=True)
    outbound.check(f"https://{literal(address)}/")
    outbound.check("https://intranet/")
    with pytest.raises(BadUrl):
        outbound.check("http://intranet/")


@pytest.mark.parametrize("address", NEVER_ALLOWED)
async def test_where_clouds_keep_credentials_is_never_allowed(made: Any, address: str) -> None:
    outbound = made(allow_private_networks=True, allow_http=True, resolve=Names(address))
    with pytest.raises(BadUrl, match="not public"):
        outbound.check(f"http://{literal(address)}/")
    with pytest.raises(NotAnswered, match="not public"):
        await outbound.post("http://receiver.example/", b"{}", {})


@pytest.mark.parametrize("address", PUBLIC)
async def test_a_name_with_a_public_and_a_private_address_leads_to_the_public_one(made: Any, address: str) -> None:
    outbound = made(resolve=Names("10.0.0.1", address, "127.0.0.1", address))
    assert await outbound._addresses(outbound.check("https://receiver.example/")) == [address]


async def test_a_name_that_nobody_knows_is_said_to_be_so(made: Any) -> None:
    with pytest.raises(NotAnswered, match="name of the host is not known"):
        await made(resolve=Names()).post("https://receiver.example/", b"{}", {})


def test_a_wish_to_wait_is_a_number_or_a_date() -> None:
    assert seconds_of("120") == 120
    later = email.utils.formatdate(time.time() + 1_000, usegmt=True)
    assert 990 < (seconds_of(later) or 0) <= 1_000
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [seconds_of(text) for text in ("", "soon", "-1", "1.5", "٣")] == [None] * 5
