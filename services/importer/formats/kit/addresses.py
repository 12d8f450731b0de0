"""Reads the addresses of hosts: IP addresses, MAC addresses, names and the origins of URLs."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from services.importer.formats.kit.values import NAME_LIMIT, PORT_MAX, URL_LIMIT, line

_IP_LIMIT, _IPV6_COLONS = 64, 2
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}", re.ASCII)
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", re.ASCII)
_HOST_AND_PORT = re.compile(
    r"(\[[0-9A-Fa-f:.%]{2,64}\]|[^\s:/\[\]]+):(\d{1,5})(?:/(tcp|udp))?", re.IGNORECASE | re.ASCII
)
_PLAIN_URL = re.compile(r"(https?)://([A-Za-z0-9.-]++)(?::(\d{1,4}))?+(?=[/?#]|$)", re.ASCII)
_HOSTNAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.){1,20}[A-Za-z0-9-]{1,63}\.?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443}


class Origin(NamedTuple):
    """Scheme, host and port of a URL, in lower case; port 0 is unknown."""

    scheme: str
    host: str
    port: int


class Place(NamedTuple):
    """What somebody wrote for an asset: its name, a port (0: the whole host) with its protocol, and the URL if any."""

    name: str
    port: int = 0
    protocol: str = ""
    url: str = ""


def ip_address(text: str) -> str:
    """An IP address in its normal form, without zone; "" for anything else."""
    text = text.strip()[:_IP_LIMIT]
    if _IPV4.fullmatch(text):
        return text
    # Only IPv6 is left, whose module is slow; `host:port` is no address of it.
    if text.count(":") < _IPV6_COLONS:
        return ""
    text = text.partition("%")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def mac_address(text: str) -> str:
    """The first MAC address in a text, upper case with colons; "" where there is none."""
    found = _MAC.search(text[:NAME_LIMIT])
    return found[0].upper().replace("-", ":") if found else ""


def origin(url: str) -> Origin:
    """The origin of a URL; a text that is none, or a bare host, is taken for the host."""
    url = line(url)
    # Most are like this, and the standard library takes ten times as long.
    if plain := _PLAIN_URL.match(url):
        scheme, host, digits = plain.groups()
        return Origin(scheme, host.lower(), int(digits) if digits else _DEFAULT_PORTS[scheme])
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Origin("", url, 0)
    scheme = parts.scheme.lower()
    number = port if port is not None and port <= PORT_MAX else _DEFAULT_PORTS.get(scheme, 0)
    return Origin(scheme, host[:NAME_LIMIT] or url, number)


def place(text: str) -> Place:
    """The place that a name, an address, `host:port`, `host:port/udp`, `[IPv6]:port` or a URL means.

    A port of which nothing is said is taken for TCP. Any other text is a name, as it is.
    """
    name = line(text)
    if "://" in name:
        found = origin(name)
        return Place(found.host, found.port, "tcp" if found.port else "", line(text, URL_LIMIT))
    parts = None if ip_address(name) else _HOST_AND_PORT.fullmatch(name)
    if parts is None or int(parts[2]) > PORT_MAX:
        return Place(name)
    return Place(parts[1].strip("[]"), int(parts[2]), (parts[3] or "tcp").lower())


def is_hostname(text: str) -> bool:
    """Is this a name of the domain name system with at least one dot, and no IPv4 address?"""
    return bool(_HOSTNAME.fullmatch(text)) and not _IPV4.fullmatch(text)
