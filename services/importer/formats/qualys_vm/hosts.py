"""Makes assets of the hosts that Qualys VM names."""

from __future__ import annotations

from collections.abc import Iterable

from services.importer.formats.kit.addresses import ip_address
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.qualys import something
from services.importer.formats.kit.values import line
from services.importer.targets.findings.records import Asset

# What stands for a name where the scanner found none.
_NO_NAME = frozenset({"no registered hostname", "unknown"})


def asset_of(
    addresses: Iterable[str],
    *,
    dns: str = "",
    netbios: str = "",
    systems: Iterable[str] = (),
    tags: Iterable[str] = (),
    other_name: str = "",
) -> Asset:
    """The asset of a host: known by its first address, called by its DNS name.

    `other_name` is what it is called where it has neither name nor address. Raises `RecordError` where that is missing
    too.
    """
    ips = tuple(dict.fromkeys(ip for text in addresses if (ip := ip_address(text))))
    hostname, netbios = _name(dns), _name(netbios)
    if hostname and ip_address(hostname):
        ips, hostname = tuple(dict.fromkeys((*ips, ip_address(hostname)))), ""
    name = hostname or netbios or (ips[0] if ips else _name(other_name))
    if not name:
        raise RecordError("MISSING_FIELD", "IP", "The host has neither address nor name.")
    return Asset(
        ref=ips[0] if ips else name,
        name=name,
        hostname=hostname,
        ips=ips,
        netbios=netbios,
        operating_systems=tuple(dict.fromkeys(filter(None, (line(something(each)) for each in systems)))),
        tags=tuple(dict.fromkeys(filter(None, (line(something(each)) for each in tags)))),
    )


def _name(text: str) -> str:
    name = line(something(text))
    return "" if name.casefold() in _NO_NAME else name
