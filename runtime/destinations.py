"""Where connections on behalf of users may lead: into the public internet, and where an operator's list says so.

The one guard of all ways out: the reading of sources (services/fetcher) and webhooks (runtime/outbound.py). A name is
resolved here once, and each address that it has is checked. Whoever connects takes an address that was checked, never
the name: what the name server says a moment later changes nothing. Nobody follows redirects or referrals; a link that
is followed all the same, as to a next page, comes by here as any other address.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HIGHEST_PORT = 65_535
HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
LONGEST_HOST = 253
NOT_PUBLIC = "the host is not public"

# Never, whatever a setting says: they belong to one machine or to none. 169.254.0.0/16, 192.0.0.192, 100.100.100.200
# and fd00:ec2::254 are where clouds hand out credentials.
NEVER = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "100.100.100.200/32", "224.0.0.0/4", "240.0.0.0/4",
        "::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::/32",
    )
)  # fmt: skip
# These carry an IPv4 address that a translator somewhere would reach: NAT64, 6to4 and its relays (RFC 7526), Teredo.
TRANSLATED = tuple(
    ip_network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "192.88.99.0/24")
)
# Documentation (RFC 9637), which `ipaddress` of Python 3.11 does not know yet.
NOT_GLOBAL = ip_network("3fff::/20")

PRIVATE = "private"
"""In a list of exemptions, instead of a network: all that are of private use (RFC 1918, 4193, 6598) or this machine."""
PRIVATE_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128",
    )
)  # fmt: skip

Resolve = Callable[[str, int], list[str]]
"""The addresses of a name. Raises OSError when there are none."""


class Forbidden(Exception):
    """Nothing is connected to there; the words are a clause for who gave the name, and show nothing of our network."""


class Unresolved(Exception):
    """The name has no address at the moment."""


def unmapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def is_never_reached(address: Address) -> bool:
    """Whether no setting can allow it. `address` is unmapped."""
    return any(address in network for network in (*NEVER, *TRANSLATED))


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could be meant by it."""
    is_odd = address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local
    return address.is_global and not is_odd and not address.is_private and address not in NOT_GLOBAL


@dataclass(frozen=True, slots=True)
class Exemption:
    """An entry of the operator's list: a network or a host name, for one port or for all."""

    network: Network | None
    host: str
    port: int | None

    def covers(self, address: Address, host: str, port: int) -> bool:
        if self.port is not None and port != self.port:
            return False
        return host == self.host if self.network is None else address in self.network

    def may_cover(self, host: str, port: int) -> bool:
        """Whether it could be one for this name, whose addresses are not known yet."""
        return self.port in {None, port} and (self.network is not None or host == self.host)


class Destinations:
    """The public internet and the exemptions. `resolve` is another one in tests."""

    def __init__(self, exemptions: str = "", *, resolve: Resolve | None = None) -> None:
        """Raises ValueError for exemptions that are none (`parsed_exemptions`)."""
        self._exemptions = parsed_exemptions(exemptions)
        self._resolve = resolve or look_up

    def check(self, host: str, port: int) -> str:
        """The host in its canonical form, if one may connect there as far as can be told without asking for addresses.

        Raises Forbidden. A name without a dot is one of this network: it needs an exemption.
        """
        name = canonical_host(host)
        if not 0 < port <= HIGHEST_PORT:
            raise Forbidden("the port is none")
        literal = _literal(name)
        if literal is not None:
            self._check_all([literal], name, port)
        elif "." not in name and not any(each.may_cover(name, port) for each in self._exemptions):
            raise Forbidden(NOT_PUBLIC)
        return name

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """All addresses of a host, each of which may be connected to at this port.

        Raises Forbidden when one of them may not, Unresolved when there is none. Blocks while it asks.
        """
        name = self.check(host, port)
        literal = _literal(name)
        try:
            found = [str(literal)] if literal else self._resolve(name, port)
            addresses = [ip_address(each) for each in dict.fromkeys(found)]
        except (OSError, UnicodeError):
            raise Unresolved("The name of the host is not known.") from None
        except ValueError:
            # An address with a zone (RFC 4007) leads to this machine's own links.
            raise Forbidden(NOT_PUBLIC) from None
        if not addresses:
            raise Unresolved("The name of the host is not known.")
        self._check_all(addresses, name, port)
        return tuple(str(each) for each in addresses)

    def _check_all(self, addresses: list[Address], name: str, port: int) -> None:
        if not all(self._is_allowed(unmapped(each), name, port) for each in addresses):
            raise Forbidden(NOT_PUBLIC)

    def _is_allowed(self, address: Address, host: str, port: int) -> bool:
        if is_never_reached(address):
            return False
        return is_public(address) or any(each.covers(address, host, port) for each in self._exemptions)


def canonical_host(host: str) -> str:
    """In lower case, without brackets and without the dot of the root. Raises Forbidden for what is no host."""
    name = host.removeprefix("[").removesuffix("]") if host.startswith("[") and host.endswith("]") else host
    if _literal(name) is None and (len(name) > LONGEST_HOST or not HOST_NAME.fullmatch(name)):
        raise Forbidden("the host is neither a name (beyond ASCII: xn--…) nor an address")
    return name.lower().removesuffix(".")


def _literal(text: str) -> Address | None:
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def parsed_exemptions(text: str) -> tuple[Exemption, ...]:
    """`10.0.0.0/8, [fd12::/16]:5432, db.example.com, private:443`: networks, addresses, names; with a port or for all.

    Raises ValueError that names the entry.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return tuple(exemption for entry in entries for exemption in _exemptions(entry))


def _exemptions(entry: str) -> Iterator[Exemption]:
    found = re.fullmatch(r"\[(?P<inner>[^\]]+)\](?::(?P<port6>\d+))?|(?P<plain>[^:]+)(?::(?P<port>\d+))?", entry)
    target = (found["inner"] or found["plain"]) if found else entry
    number = (found["port6"] or found["port"]) if found else None
    port = int(number) if number else None
    if port is not None and not 0 < port <= HIGHEST_PORT:
        raise ValueError(f"{entry}: the port is none")
    if target == PRIVATE:
        yield from (Exemption(network, "", port) for network in PRIVATE_NETWORKS)
        return
    try:
        yield Exemption(ip_network(target, strict=False), "", port)
    except ValueError:
        yield Exemption(None, _exempt_name(target, entry), port)


def _exempt_name(target: str, entry: str) -> str:
    try:
        return canonical_host(target)
    except Forbidden:
        raise ValueError(f"{entry}: neither a network nor a host") from None


def look_up(host: str, port: int) -> list[str]:
    """By the resolver of this machine."""
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
