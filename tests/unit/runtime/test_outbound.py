from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runtime.destinations import Destinations
from runtime.outbound import BadUrl, NotAnswered, Outbound, seconds_of
from tests.addresses import NEVER_REACHED, NOT_PUBLIC, PRIVATE, PUBLIC

TLS = ssl.create_default_context()


class Names:
    """A name server; connections are not made in these tests."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses


@pytest.fixture
async def made() -> AsyncIterator[Any]:
    opened: list[Outbound] = []

    def make(exemptions: str = "", names: Names | None = None, **settings: Any) -> Outbound:
        opened.append(Outbound(Destinations(exemptions, resolve=names), tls=TLS, **settings))
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


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_an_address_that_is_not_public_is_refused_at_once_and_behind_a_name(made: Any, address: str) -> None:
    for names in (Names(address), Names(PUBLIC, address)):
        outbound = made(names=names)
        with pytest.raises(BadUrl, match="not public"):
            outbound.check(f"https://{literal(address)}/")
        with pytest.raises(NotAnswered, match="not public"):
            await outbound.post("https://receiver.example/", b"{}", {})
        assert names.asked == [("receiver.example", 443)]


@pytest.mark.parametrize("url", ["https://0x7f.1/", "https://2130706433.0/", "https://127.1/", "https://0177.1/"])
async def test_an_address_in_disguise_is_checked_as_what_it_resolves_to(made: Any, url: str) -> None:
    with pytest.raises(NotAnswered, match="not public"):
        await made(names=Names("127.0.0.1")).post(url, b"{}", {})


@pytest.mark.parametrize("address", PRIVATE)
async def test_private_networks_are_allowed_by_a_setting(made: Any, address: str) -> None:
    outbound = made("private")
    outbound.check(f"https://{literal(address)}/")
    outbound.check("https://intranet/")
    with pytest.raises(BadUrl):
        outbound.check("http://intranet/")


@pytest.mark.parametrize("address", NEVER_REACHED)
async def test_where_clouds_keep_credentials_is_never_allowed(made: Any, address: str) -> None:
    outbound = made("private, 0.0.0.0/0, ::/0", allow_http=True, names=Names(address))
    with pytest.raises(BadUrl, match="not public"):
        outbound.check(f"http://{literal(address)}/")
    with pytest.raises(NotAnswered, match="not public"):
        await outbound.post("http://receiver.example/", b"{}", {})


async def test_a_name_that_nobody_knows_is_said_to_be_so(made: Any) -> None:
    with pytest.raises(NotAnswered, match="name of the host is not known"):
        await made(names=Names()).post("https://receiver.example/", b"{}", {})


def test_a_wish_to_wait_is_a_number_or_a_date() -> None:
    assert seconds_of("120") == 120
    later = email.utils.formatdate(time.time() + 1_000, usegmt=True)
    assert 990 < (seconds_of(later) or 0) <= 1_000
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [seconds_of(text) for text in ("", "soon", "-1", "1.5", "٣")] == [None] * 5
