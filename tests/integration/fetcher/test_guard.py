"""Whatever is asked for, and in whatever protocol: no connection is made to where none may lead."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import certifi
import pytest

from dialects.assets.source_settings import DatabaseSettings, LdapSettings, RestSettings, Secrets
from runtime.destinations import Destinations
from services.fetcher import databases, directories, web
from services.fetcher.failures import SourceError
from services.fetcher.http import Http
from services.fetcher.way import Way


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


def rest(host: str, port: int, way: Way) -> list[Any]:
    return list(web.read(RestSettings(url=f"http://{host}:{port}/"), Secrets(), way))


def ldap(host: str, port: int, way: Way) -> list[Any]:
    return list(directories.read(LdapSettings(host=host, port=port, tls="none", base_dn="dc=x"), Secrets(), way))


def database(dialect: Any) -> Callable[[str, int, Way], list[Any]]:
    def read(host: str, port: int, way: Way) -> list[Any]:
        settings = DatabaseSettings(
            dialect=dialect, host=host, port=port, database="d", user="u", table="t", tls="disable"
        )
        return list(databases.read(settings, Secrets(password="p"), way))

    return read


READERS = {"rest": rest, "ldap": ldap, "postgresql": database("postgresql"), "mysql": database("mysql")}

HOSTS = [
    *("127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "2130706433", "0x7f000001", "017700000001", "0x7f.1", "0177.0.0.1"),
    *("0", "0.0.0.0", "0x0", "127.0.0.1.", "localhost", "LOCALHOST", "localhost.", "LocalHost.", "127.000.000.001"),  # noqa: S104 - an address to refuse
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]"),
    *("[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]"),
    *("[2001:0:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]", "192.0.0.192", "100.100.100.200", "10.0.0.1"),
    *("user@127.0.0.1", "127.0.0.1@localhost", "127.0.0.1#@example.com", "example.com@127.0.0.1", "127.0.0.1\\@a.b"),
    *(
        "127。0。0。1",
        "\uff11\uff12\uff17.0.0.1",
        "ⓛocalhost",
        "127.0.0.1%00.example.com",
        "127.0.0.1\t",
        "127.0.0.1,127.0.0.1",
    ),
    *("127.0.0.1/32", "rebound.example.com", "partly.example.com", "second.example.com"),
]


def resolve(answers: dict[str, int]) -> Callable[[str, int], list[str]]:
    """`rebound` leads here, `partly` also elsewhere, `second` elsewhere first and here from then on."""

    def look_up(host: str, port: int) -> list[str]:
        answers[host] = answers.get(host, 0) + 1
        if host == "rebound.example.com":
            return ["127.0.0.1"]
        if host == "partly.example.com":
            return ["93.184.215.14", "127.0.0.1"]
        if host == "second.example.com" and answers[host] > 1:
            return ["127.0.0.1"]
        return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    return look_up


@pytest.mark.parametrize("kind", READERS)
def test_no_way_of_writing_this_machine_is_connected_to(listener: Listener, kind: str) -> None:
    way = Way(Destinations(resolve=resolve({"second.example.com": 1})), True, certifi.where(), 1, 1)
    assert len(HOSTS) >= 40
    for host in HOSTS:
        with pytest.raises(SourceError) as failed:
            READERS[kind](host, listener.port, way)
        assert failed.value.code in {"DESTINATION_FORBIDDEN", "HOST_UNKNOWN"}, host
    assert listener.connections == []


@pytest.mark.parametrize("kind", READERS)
def test_the_listener_would_have_noticed(listener: Listener, kind: str) -> None:
    way = Way(Destinations("127.0.0.1"), True, certifi.where(), 1, 1)
    with pytest.raises(SourceError):
        READERS[kind]("127.0.0.1", listener.port, way)
    assert listener.connections


@pytest.mark.parametrize("kind", READERS)
def test_what_the_name_server_says_later_changes_nothing(listener: Listener, kind: str) -> None:
    """The first answer is exempt, and nobody listens there; this machine would be the second."""
    answers = iter([["127.0.0.9"]])
    way = Way(
        Destinations("127.0.0.9", resolve=lambda _host, _port: next(answers, ["127.0.0.1"])),
        True,
        certifi.where(),
        1,
        1,
    )
    with socket.create_server(("127.0.0.1", 0)) as own:
        own.settimeout(0.2)
        with pytest.raises(SourceError):
            READERS[kind]("rebinding.example.com", own.getsockname()[1], way)
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
