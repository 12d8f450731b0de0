"""Reads the addresses of hosts: IP addresses, MAC addresses, names and the origins of URLs."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from services.importer.formats.kit.values import NAME_LIMIT, PORT_MAX, line

_IP_LIMIT = 64
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443}


class Origin(NamedTuple):
    """Scheme, host and port of a URL, in lower case; port 0 is unknown."""

    scheme: str
    host: str
    port: int


def ip_address(text: str) -> str:
    """An IP address in its normal form, without zone; "" for anything else."""
    text = text.strip()[:_IP_LIMIT].partition("%")[0]
    # Only an address begins with a digit or a hexadecimal group; most names are told apart without an exception.
    if "." not in text and ":" not in text:
        return ""
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
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Origin("", url, 0)
    scheme = parts.scheme.lower()
    number = port if port is not None and port <= PORT_MAX else _DEFAULT_PORTS.get(scheme, 0)
    return Origin(scheme, host[:NAME_LIMIT] or url, number)
