from __future__ import annotations

import pytest

from runtime.destinations import Destinations, Forbidden, Unresolved, parsed_exemptions
from tests.addresses import NEVER_REACHED, NOT_PUBLIC, PRIVATE, PUBLIC


def answering(*answers: str) -> Destinations:
    """A name has these addresses, whatever it is."""
    return Destinations(resolve=lambda _host, _port: list(answers))


@pytest.mark.parametrize("host", ["db.example.com", "DB.Example.com.", "xn--bcher-kva.example", "a_b.example.com"])
def test_a_name_with_a_public_address_is_connected_to(host: str) -> None:
    assert answering(PUBLIC, "2606:2800:21f::1").addresses(host, 5432) == (PUBLIC, "2606:2800:21f::1")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_not_connected_to(address: str) -> None:
    for destinations in (answering(address), answering(PUBLIC, address)):
        with pytest.raises(Forbidden, match="not public"):
            destinations.addresses("rebound.example.com", 443)
    with pytest.raises(Forbidden, match="not public"):
        answering(PUBLIC).check(f"[{address}]" if ":" in address else address, 443)


@pytest.mark.parametrize("address", PRIVATE)
def test_networks_of_private_use_are_exempt_by_one_word(address: str) -> None:
    destinations = Destinations("private:443", resolve=lambda _host, _port: [address])
    for host in (address, "intranet", "db.example.com"):
        assert destinations.addresses(host, 443)
        with pytest.raises(Forbidden):
            destinations.addresses(host, 444)


@pytest.mark.parametrize("address", NEVER_REACHED)
def test_where_clouds_keep_credentials_is_never_connected_to(address: str) -> None:
    everything = Destinations("private, 0.0.0.0/0, ::/0, db.example.com", resolve=lambda _host, _port: [address])
    for host in (address, "db.example.com"):
        with pytest.raises(Forbidden, match="not public"):
            everything.addresses(host, 443)


def test_a_name_without_a_dot_is_asked_for_only_where_something_is_exempt() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC]

    for exemptions in ("", "db", "intranet:444", "10.0.0.0/8:444", "intranet.example.com"):
        with pytest.raises(Forbidden, match="not public"):
            Destinations(exemptions, resolve=resolve).addresses("intranet", 443)
    assert asked == []
    for exemptions in ("intranet", "10.0.0.0/8", "private:443"):
        assert Destinations(exemptions, resolve=resolve).addresses("intranet", 443) == (PUBLIC,)


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", ".", "..", "a..b", "a b", "a/b", "a@b", "a?b", "a#b", "a\\b", "a,b", "a:1", "a\tb", "a\0b", "[::1"),
        *(
            "fe80::1%eth0",
            "[fe80::1%25lo]",
            "bücher.example",
            "\uff11\uff12\uff17.0.0.1",
            "127。0。0。1",
            "a" * 254,
            "a'b",
            "a%00b",
        ),
    ],
)
def test_what_is_no_host_is_not_asked_for(host: str) -> None:
    with pytest.raises(Forbidden):
        answering(PUBLIC).addresses(host, 443)


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "017700000001", "127.1", "127.0.1", "0x7f.1", "0177.0.0.1", "0", "0.0", "0x0"),
        *("localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "ip6-localhost", "127.0.0.1."),
        *("127.000.000.001", "0x7f.0x0.0x0.0x1", "127.0.0.0x1", "0000177.0.0.1"),
    ],
)
def test_other_ways_to_write_this_machine_lead_nowhere(host: str) -> None:
    """By the resolver of this machine, which knows them."""
    with pytest.raises((Forbidden, Unresolved)):
        Destinations().addresses(host, 443)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_is_one(port: int) -> None:
    with pytest.raises(Forbidden):
        answering(PUBLIC).addresses("db.example.com", port)


def test_a_name_is_asked_for_once_and_the_answer_is_what_is_connected_to() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    destinations = Destinations(resolve=lambda _host, _port: next(answers))
    assert destinations.addresses("rebinding.example.com", 443) == (PUBLIC,)
    with pytest.raises(Forbidden):
        destinations.addresses("rebinding.example.com", 443)


def test_a_name_without_an_address_is_unknown() -> None:
    def fails(_host: str, _port: int) -> list[str]:
        raise OSError

    for destinations in (Destinations(resolve=fails), answering()):
        with pytest.raises(Unresolved):
            destinations.addresses("nowhere.example.com", 443)


@pytest.mark.parametrize(
    ("exemptions", "host", "port", "is_allowed"),
    [
        ("10.0.0.0/8", "10.1.2.3", 5432, True),
        ("10.0.0.0/8", "11.1.2.3", 5432, True),
        ("10.0.0.0/8", "172.16.0.1", 5432, False),
        ("10.0.0.0/8:5432", "10.1.2.3", 5432, True),
        ("10.0.0.0/8:5432", "10.1.2.3", 5433, False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 1, True),
        ("[fd12::/16]:636", "fd12::1", 636, True),
        ("[fd12::/16]:636", "fd12::1", 389, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1", "127.0.0.2", 80, False),
        ("169.254.0.0/16", "169.254.169.254", 80, False),
        ("0.0.0.0/0", "224.0.0.1", 80, False),
        ("::/0", "64:ff9b::a9fe:a9fe", 80, False),
    ],
)
def test_an_exemption_is_for_its_addresses_and_ports(exemptions: str, host: str, port: int, is_allowed: bool) -> None:
    destinations = Destinations(exemptions)
    if is_allowed:
        assert destinations.addresses(host, port)
    else:
        with pytest.raises(Forbidden):
            destinations.addresses(host, port)


def test_an_exempt_name_may_have_a_private_address_and_no_other_name_of_it() -> None:
    destinations = Destinations("db.internal.example:5432", resolve=lambda _host, _port: ["10.0.0.5"])
    assert destinations.addresses("DB.internal.example.", 5432) == ("10.0.0.5",)
    for host, port in (("db.internal.example", 5433), ("other.internal.example", 5432), ("10.0.0.5", 5432)):
        with pytest.raises(Forbidden):
            destinations.addresses(host, port)
    metadata = Destinations("db.internal.example", resolve=lambda _host, _port: ["169.254.169.254"])
    with pytest.raises(Forbidden):
        metadata.addresses("db.internal.example", 5432)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "a b", "db:0", "db:65536", "http://a", "[fd12::/16", "db:x", "a/b"])
def test_an_exemption_that_is_none_stops_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|port"):
        parsed_exemptions(f"10.0.0.0/8,{text}")
