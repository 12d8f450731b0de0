"""Whatever is asked for, and in whatever protocol: no connection is made to where none may lead."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import certifi
import pytest

from dialects.assets.source_settings import DatabaseSettings, LdapSettings, RestSettings, Secrets
from runtime.destinations import Destinations
from runtime.outbound import NotAnswered, Outbound
from services.fetcher import databases, directories, web
from services.fetcher.failures import SourceError
from services.fetcher.http import Http
from services.fetcher.way import Way
from tests.addresses import SPELLINGS, resolving


@dataclass
class Listener:
    """Counts who comes."""

    port: int
    connections: list[Any] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - however this machine is called
        server.settimeout(0.05)
        made = Listener(server.getsockname()[1])
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                made.connections.append(address)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield made
        stop.set()
        thread.join()


Connecting = Callable[[str, int, Destinations], str]
"""Tries, and tells why it was for nothing."""


def reading(read: Callable[[str, int, Way], Any]) -> Connecting:
    def connect(host: str, port: int, destinations: Destinations) -> str:
        with pytest.raises(SourceError) as failed:
            read(host, port, Way(destinations, True, certifi.where(), 1, 1))
        return failed.value.code

    return connect


def rest(host: str, port: int, way: Way) -> list[Any]:
    return list(web.read(RestSettings(url=f"http://{host}:{port}/"), Secrets(), way))


def ldap(host: str, port: int, way: Way) -> list[Any]:
    return list(directories.read(LdapSettings(host=host, port=port, tls="none", base_dn="dc=x"), Secrets(), way))


def database(dialect: Any) -> Connecting:
    def read(host: str, port: int, way: Way) -> list[Any]:
        settings = DatabaseSettings(
            dialect=dialect, host=host, port=port, database="d", user="u", table="t", tls="disable"
        )
        return list(databases.read(settings, Secrets(password="p"), way))

    return reading(read)


def webhook(host: str, port: int, destinations: Destinations) -> str:
    async def post() -> None:
        outbound = Outbound(destinations, allow_http=True, timeout_seconds=1)
        try:
            await outbound.post(f"http://{host}:{port}/", b"{}", {})
        finally:
            await outbound.close()

    with pytest.raises(NotAnswered) as failed:
        asyncio.run(post())
    is_refused = str(failed.value).startswith("The URL is not allowed: ")
    return "DESTINATION_FORBIDDEN" if is_refused else str(failed.value)


WAYS: Mapping[str, Connecting] = {
    "rest": reading(rest),
    "ldap": reading(ldap),
    "postgresql": database("postgresql"),
    "mysql": database("mysql"),
    "webhook": webhook,
}
REFUSALS = {"DESTINATION_FORBIDDEN", "HOST_UNKNOWN", "The name of the host is not known."}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_writing_this_machine_is_connected_to(listener: Listener, way: str) -> None:
    destinations = Destinations(resolve=resolving({"second.example.com": 1}))
    assert len(SPELLINGS) >= 50
    for host in SPELLINGS:
        assert WAYS[way](host, listener.port, destinations) in REFUSALS, host
    assert listener.connections == []


@pytest.mark.parametrize("way", WAYS)
def test_the_listener_would_have_noticed(listener: Listener, way: str) -> None:
    assert WAYS[way]("127.0.0.1", listener.port, Destinations("127.0.0.1")) not in REFUSALS
    assert listener.connections


@pytest.mark.parametrize("way", WAYS)
def test_what_the_name_server_says_later_changes_nothing(way: str) -> None:
    """The first answer is exempt, and nobody listens there; this machine would be the second."""
    answers = iter([["127.0.0.9"]])
    destinations = Destinations("127.0.0.9", resolve=lambda _host, _port: next(answers, ["127.0.0.1"]))
    with socket.create_server(("127.0.0.1", 0)) as own:
        own.settimeout(0.2)
        WAYS[way]("rebinding.example.com", own.getsockname()[1], destinations)
        with pytest.raises(TimeoutError):
            own.accept()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "unix:///run/x",
        "//127.0.0.1/",
        "javascript:1",
    ],
)
def test_other_schemes_are_none(url: str) -> None:
    way = Way(Destinations(), True, certifi.where(), 1, 1)
    with Http(way) as http, pytest.raises(SourceError, match="URL"), http.stream("GET", url):
        pass
